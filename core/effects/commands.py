"""Defines effects that a command requests and whose result a signal reports before the command is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.effects.priority import SendPriority
from core.task.model import Actor, Kind


@dataclass(frozen=True, slots=True)
class CreateTask:
    """The issue is a task with this text, if its text has not changed since the decision. A signal reports the result.

    Also used on an issue that is a task already, if a template fills in its text.
    """

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.ANSWER
    number: int
    title: str
    text_digest: str  # `core.decide.issues.text_digest` of the title and body that were decided on
    body: str | None  # None: it stays as it is
    actor: Actor
    can_write: bool  # whether the user who asked for it thereby approves the text
    command_key: str  # the key of the command
    comment_id: int | None = None  # of the comment with the command
    template: str = ""
    kind: Kind | None = None  # the template's
    reply: str = ""  # sent when it is done; if empty, 🚀 is enough

    @property
    def key(self) -> str:
        """One per command."""
        return f"make-task:{self.number}:{self.command_key}"


@dataclass(frozen=True, slots=True)
class SetDependency:
    """GitHub's own dependency of an issue on another one exists (`wanted`), or does not.

    `said_in`, `comment_id` and `answer` belong to the command that requests it: if GitHub refuses, the user is notified
    there.
    """

    is_state: ClassVar[bool] = True
    priority: ClassVar[SendPriority] = SendPriority.COMPLETION
    number: int
    reference: str
    issue_id: int  # the database's id of the other issue
    is_present: bool
    command_number: int
    comment_id: int | None
    reply: str

    @property
    def key(self) -> str:
        """One per issue and dependency."""
        return f"dependency:{self.number}:{self.reference}"


@dataclass(frozen=True, slots=True)
class RequestingCommand:
    """The user who requested an effect by a command, and where the answer goes once it is known."""

    number: int  # of the issue or pull request
    key: str  # of the command
    login: str
    comment_id: int | None = None
    from_button: bool = False  # by a button, so the answer must mention the user


@dataclass(frozen=True, slots=True)
class UpdateBranch:
    """The base is merged into the branch of a pull request, for this head only. A signal reports the result."""

    is_state: ClassVar[bool] = False
    priority: ClassVar[SendPriority] = SendPriority.COMPLETION
    number: int
    pull_number: int
    branch: str
    base: str
    head_sha: str
    base_sha: str  # that was tried; empty if none is known
    command: RequestingCommand | None = None  # None: the configuration asks for it

    @property
    def key(self) -> str:
        """One per head and base, or per command: a user may repeat a request that was refused before."""
        return f"update:{self.pull_number}:{self.head_sha}:{self.command.key if self.command else self.base_sha}"
