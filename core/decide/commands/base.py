"""What all rules of commands share: refusing, and the outcome of a command that needs no task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from config.team import AgentOverride
from core.assignment.agent_state import AgentStateChange
from core.audit.events import Event
from core.decide.builder import Context, DecisionBuilder
from core.effects.base import AddReaction, Comment, Effect
from core.effects.commands import Asked
from core.retro.model import Retrospective
from core.signals.base import CommandReceived
from core.task.model import Task


class CommandRejected(Exception):
    """The command cannot be carried out now; the text says why and what to do.

    Its `events` are written down all the same.
    """

    def __init__(self, text: str, *events: Event) -> None:
        super().__init__(text)
        self.events = events


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What comes of a command that needs no task: the answer, and what else follows."""

    text: str | None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    team_changes: Mapping[str, AgentOverride] = field(default_factory=dict)  # what is changed of agents, by name
    agent_changes: tuple[AgentStateChange, ...] = ()  # news of agents themselves
    retrospective: Retrospective | None = None  # that is held, or changed
    reply_deferred: bool = False  # the effects are not done yet, and a signal will tell how they went


# Carries out a command on a task: gives the answer, or None where 🚀 says enough. Raises `Refused`.
Rule = Callable[[DecisionBuilder, CommandReceived], str | None]
# The same for a command that may be given anywhere; the task is the one that the issue is, if it is one.
GlobalRule = Callable[[Context, CommandReceived, Task | None], CommandResult]


def reply(
    number: int, key: str, comment_id: int | None, reaction: Literal["rocket", "confused"], text: str | None
) -> tuple[Effect, ...]:
    """The reaction on the comment with the command, if it came in one, and the words, if there are any."""
    effects: list[Effect] = []
    if comment_id is not None:
        effects.append(AddReaction(comment_id, reaction))
    if text:
        effects.append(Comment(number, f"answer:{key}", text))
    return tuple(effects)


def failure_reply(request: Asked, text: str) -> tuple[Effect, ...]:
    """What was begun with 🚀 came to nothing: 😕, and why. Who pressed a button is named, for there is no comment."""
    reply_text = f"@{request.login}: {text}" if request.pressed else text
    effects: tuple[Effect, ...] = (Comment(request.number, f"refused:{request.key}", reply_text),)
    return (AddReaction(request.comment_id, "confused"), *effects) if request.comment_id is not None else effects


def gaps_text(problem: str, gaps: tuple[str, ...]) -> str:
    """A sentence, and what is missing as a list."""
    return f"{problem}:\n\n" + "\n".join(f"- {gap}" for gap in gaps)
