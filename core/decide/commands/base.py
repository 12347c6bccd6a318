"""What all rules of commands share: refusing, and the outcome of a command that needs no task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from config.team import Change
from core.assignment.agent_state import AgentNews
from core.audit.events import Event
from core.decide.builder import Context, Draft
from core.effects.base import Comment, Effect, React
from core.effects.commands import Asked
from core.retro.model import Retrospective
from core.signals.base import CommandGiven
from core.task.model import Task


class Refused(Exception):
    """The command cannot be carried out now; the text says why and what to do.

    Its `events` are written down all the same.
    """

    def __init__(self, text: str, *events: Event) -> None:
        super().__init__(text)
        self.events = events


@dataclass(frozen=True, slots=True)
class Told:
    """What comes of a command that needs no task: the answer, and what else follows."""

    text: str | None
    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    team: Mapping[str, Change] = field(default_factory=dict)  # what is changed of agents, by name
    agents: tuple[AgentNews, ...] = ()  # news of agents themselves
    retrospective: Retrospective | None = None  # that is held, or changed
    answered_later: bool = False  # the effects are not done yet, and a signal will tell how they went


# Carries out a command on a task: gives the answer, or None where 🚀 says enough. Raises `Refused`.
Rule = Callable[[Draft, CommandGiven], str | None]
# The same for a command that may be given anywhere; the task is the one that the issue is, if it is one.
RuleAnywhere = Callable[[Context, CommandGiven, Task | None], Told]


def answer(
    number: int, key: str, comment_id: int | None, reaction: Literal["rocket", "confused"], text: str | None
) -> tuple[Effect, ...]:
    """The reaction on the comment with the command, if it came in one, and the words, if there are any."""
    effects: list[Effect] = []
    if comment_id is not None:
        effects.append(React(comment_id, reaction))
    if text:
        effects.append(Comment(number, f"answer:{key}", text))
    return tuple(effects)


def answer_later(asked: Asked, text: str) -> tuple[Effect, ...]:
    """What was begun with 🚀 came to nothing: 😕, and why. Who pressed a button is named, for there is no comment."""
    told = f"@{asked.login}: {text}" if asked.pressed else text
    effects: tuple[Effect, ...] = (Comment(asked.number, f"refused:{asked.key}", told),)
    return (React(asked.comment_id, "confused"), *effects) if asked.comment_id is not None else effects


def not_yet(what: str, gaps: tuple[str, ...]) -> str:
    """A sentence, and what is missing as a list."""
    return f"{what}:\n\n" + "\n".join(f"- {gap}" for gap in gaps)
