"""Defines signals of a task that waits for other tasks or for its agent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockerCleared:
    """The task that this one waits for is over; or, if not `over`, its work has stopped for now."""

    number: int  # of that task
    is_finished: bool = True


@dataclass(frozen=True, slots=True)
class OverlapPredicted:
    """The task was about to be assigned, but will probably change files that a task in progress changes too."""

    number: int  # of that task
    files: tuple[str, ...]  # the likeliest first
    probability: float  # that both change at least one common file, 0…1
    agent: str | None = None  # the agent that holds that task


@dataclass(frozen=True, slots=True)
class AgentPollEmpty:
    """The agent was polled, and there was no sign of life or no one could be asked."""

    attempt: int


@dataclass(frozen=True, slots=True)
class AgentMessageResult:
    """A message to a working agent was delivered (`taken`) or not; then `reason` may say why."""

    attempt: int
    topic: str  # of the `MessageAgent`
    accepted: bool
    reason: str = ""
