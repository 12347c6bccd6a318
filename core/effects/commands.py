"""Effects that a command asks for, and of which a signal says how they went: the command is answered after that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.effects.priority import SendPriority
from core.task.model import Actor, Kind


@dataclass(frozen=True, slots=True)
class CreateTask:
    """The issue is a task, with this text, if its text is still the one that was decided on. A signal says how it went.

    Also on an issue that is a task already, whose text a template fills in.
    """

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.ANSWER
    number: int
    title: str
    seen: str  # `core.decide.issues.digest` of title and body that were decided on
    body: str | None  # None: it stays as it is
    by: Actor
    can_write: bool  # whether who asked for it approves that text by it
    asked: str  # by which command: its key
    comment_id: int | None = None  # of the comment with the command
    template: str = ""
    kind: Kind | None = None  # the template's
    answer: str = ""  # for when it is done; where it is empty, 🚀 says enough

    @property
    def key(self) -> str:
        """One per command."""
        return f"make-task:{self.number}:{self.asked}"


@dataclass(frozen=True, slots=True)
class SetDependency:
    """GitHub's own dependency of an issue on another one is there (`wanted`), or is not.

    `said_in`, `comment_id` and `answer` are of the command that asks for it: should GitHub refuse, it is told there.
    """

    state: ClassVar[bool] = True
    lane: ClassVar[SendPriority] = SendPriority.END
    number: int
    reference: str
    issue_id: int  # the database's id of the other issue
    wanted: bool
    said_in: int
    comment_id: int | None
    answer: str

    @property
    def key(self) -> str:
        """One per issue and dependency."""
        return f"dependency:{self.number}:{self.reference}"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for an effect by a command, and where the answer goes once it is known."""

    number: int  # of the issue or pull request
    key: str  # of the command
    login: str
    comment_id: int | None = None
    pressed: bool = False  # by a button, so that the answer has to say whom it is for


@dataclass(frozen=True, slots=True)
class UpdateBranch:
    """The base is merged into the branch of a pull request, bound to this head. A signal says how it went."""

    state: ClassVar[bool] = False
    lane: ClassVar[SendPriority] = SendPriority.END
    number: int
    pull_number: int
    branch: str
    base: str
    head_sha: str
    base_sha: str  # that was tried; empty where none is known
    asked: Asked | None = None  # None: the configuration asks for it

    @property
    def key(self) -> str:
        """One per head and base, or per command: a person may ask again for what was refused before."""
        return f"update:{self.pull_number}:{self.head_sha}:{self.asked.key if self.asked else self.base_sha}"
