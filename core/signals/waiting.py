"""Signals of a task that waits for other tasks or for its agent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockerCleared:
    """The task behind which this one is queued is over; or, not `over`, nobody is at work on it for now."""

    number: int  # of that task
    over: bool = True


@dataclass(frozen=True, slots=True)
class OverlapPredicted:
    """It was about to be handed out, but it is likely to change files that a task under way changes as well."""

    number: int  # of that task
    files: tuple[str, ...]  # the likeliest first
    probability: float  # that both change at least one same file, 0…1
    agent: str | None = None  # who has that task


@dataclass(frozen=True, slots=True)
class AgentPollEmpty:
    """How an attempt goes was asked, and there is no trace of it, or nobody who could tell."""

    attempt: int


@dataclass(frozen=True, slots=True)
class AgentMessageResult:
    """The agent of an attempt was told something while it works; or not (`taken`), and `reason` may say why."""

    attempt: int
    topic: str  # of the `SteerAgent`
    taken: bool
    reason: str = ""
