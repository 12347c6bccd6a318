"""Defines what a command is, and what all rules share: rejection, result and reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from config.team import AgentOverride
from core.assignment.agent_state import AgentStateChange
from core.audit.events import Event
from core.commands.permissions import CommandForm
from core.decide.builder import Context, DecisionBuilder
from core.effects.base import AddReaction, Comment, Effect
from core.effects.commands import RequestingCommand
from core.retro.model import Retrospective
from core.signals.base import CommandReceived
from core.task.model import Task


class CommandRejected(Exception):
    """The command cannot be carried out now; the text says why and what to do.

    Its `events` are still recorded.
    """

    def __init__(self, text: str, *events: Event) -> None:
        super().__init__(text)
        self.events = events


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The result of a command that needs no task: the answer and what follows."""

    text: str | None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    team_changes: Mapping[str, AgentOverride] = field(default_factory=dict)  # changes of agents' settings, by name
    agent_changes: tuple[AgentStateChange, ...] = ()  # changes of agents' states
    retrospective: Retrospective | None = None  # that is opened or changed
    reply_deferred: bool = False  # the effects are still to be sent; a signal will report the result


# Carries out a command on a task and returns the answer, or None if 🚀 is enough. Raises `CommandRejected`.
Rule = Callable[[DecisionBuilder, CommandReceived], str | None]
# The same for a command that may be given on any issue; the task is that of the issue, if it has one.
GlobalRule = Callable[[Context, CommandReceived, Task | None], CommandResult]


class Need(StrEnum):
    """What is loaded for the rule of a command alone: fields of `CommandContext` and `CommandReceived`."""

    ACTIVE_TASKS = "active_tasks"
    ASSIGNMENTS = "assignments"
    DEAD_LETTERS = "dead_letters"
    HEALTH = "health"
    ISSUE = "issue"
    LATEST_RETROSPECTIVE = "latest_retrospective"
    MEASURES = "measures"
    OPEN_PULLS = "open_pulls"
    PAIRS = "pairs"
    QUEUE = "queue"
    RECENT_EVENTS = "recent_events"
    REFERENCED_ISSUES = "referenced_issues"
    REFERENCED_TASKS = "referenced_tasks"
    RETROSPECTIVE = "retrospective"
    RETROSPECTIVE_INPUT = "retrospective_input"
    TEMPLATES = "templates"


SIGNAL_NEEDS = frozenset({Need.HEALTH, Need.ISSUE, Need.REFERENCED_ISSUES})  # the fields of `CommandReceived`


@dataclass(frozen=True, slots=True)
class Command(CommandForm):
    """One slash command. The first word of its argument can select another form, as in `/agents drain …`."""

    forms: Mapping[str, CommandForm] = field(default_factory=dict)
    needs: frozenset[Need] = frozenset()
    is_work_report: bool = False  # it counts only from the holder; from others it is rejected and recorded

    @property
    def name(self) -> str:
        """The word after the slash."""
        return self.example.removeprefix("/").partition(" ")[0]

    def resolve_form(self, argument: str) -> tuple[str, CommandForm]:
        """The form that an argument selects, and its name."""
        word = first_word(argument)
        return (f"{self.name} {word}", self.forms[word]) if word in self.forms else (self.name, self)

    @property
    def all_forms(self) -> tuple[CommandForm, ...]:
        """All its forms."""
        return (self, *self.forms.values())


@dataclass(frozen=True, slots=True)
class TaskCommand(Command):
    """A command on a task."""

    rule: Rule = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class GlobalCommand(Command):
    """A command that may be given on any issue."""

    rule: GlobalRule = field(kw_only=True)


def first_word(argument: str) -> str:
    """The first word of an argument, which can select a form, in lower case."""
    return next(iter(argument.split(maxsplit=1)), "").lower()


def reply(
    number: int, key: str, comment_id: int | None, reaction: Literal["rocket", "confused"], text: str | None
) -> tuple[Effect, ...]:
    """The reaction to the comment with the command, if there is one, and the answer, if there is one."""
    effects: list[Effect] = []
    if comment_id is not None:
        effects.append(AddReaction(comment_id, reaction))
    if text:
        effects.append(Comment(number, f"answer:{key}", text))
    return tuple(effects)


def failure_reply(request: RequestingCommand, text: str) -> tuple[Effect, ...]:
    """Answer a command that was started with 🚀 and failed: 😕 and the reason.

    A user who pressed a button is mentioned, because there is no comment.
    """
    reply_text = f"@{request.login}: {text}" if request.from_button else text
    effects: tuple[Effect, ...] = (Comment(request.number, f"refused:{request.key}", reply_text),)
    return (AddReaction(request.comment_id, "confused"), *effects) if request.comment_id is not None else effects


def gaps_text(problem: str, gaps: tuple[str, ...]) -> str:
    """A sentence, followed by the missing things as a list."""
    return f"{problem}:\n\n" + "\n".join(f"- {gap}" for gap in gaps)
