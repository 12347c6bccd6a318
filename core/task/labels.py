"""Derives the labels of a task: a view of its state, never the state itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from config.labels import INITIAL_LABELS, agent_label, capability_label, is_bot_label
from config.repository import RepositoryConfig
from core.task.model import Kind, Priority, Status, Task

TASK_LABEL = "task"


def labels_of(task: Task) -> tuple[str, ...]:
    """The bot's labels that the issue must have, sorted."""
    labels = {TASK_LABEL, f"status:{task.status}", task.priority.value, f"type:{task.kind}"}
    labels |= {capability_label(name) for name in task.required_capabilities}
    labels |= {flag.value for flag in task.flags}
    if task.lease:
        labels.add(agent_label(task.lease.agent))
    return tuple(sorted(labels))


def capabilities_of(policy: RepositoryConfig) -> frozenset[str]:
    """The capabilities of all the repository's agents."""
    return frozenset(capability for agent in policy.agents.values() for capability in agent.capabilities)


def offered_labels(policy: RepositoryConfig) -> tuple[str, ...]:
    """The labels that people add by hand: GitHub offers, and issue forms set, only labels that exist.

    The others are created when an issue is about to get them.
    """
    return (
        *(label.name for label in INITIAL_LABELS),
        *(capability_label(name) for name in sorted(capabilities_of(policy))),
    )


def is_task(labels: Collection[str]) -> bool:
    """Whether an issue with these labels is a task. Case does not matter, as on GitHub."""
    return any(label.casefold() == TASK_LABEL for label in labels)


def with_status(labels: Collection[str], task: Task) -> bool:
    """Whether the bot's labels on an issue are those that the task must have."""
    our_labels = {label.casefold() for label in labels if is_bot_label(label)}
    return our_labels == {label.casefold() for label in labels_of(task)}


@dataclass(frozen=True, slots=True)
class Baseline:
    """The bot's labels on an issue at a known moment: any difference was made later by another actor."""

    recorded_at: datetime
    labels: frozenset[str]  # only the bot's, in lower case

    @classmethod
    def from_labels(cls, labels: Collection[str], recorded_at: datetime) -> Baseline:
        """The baseline of all labels of an issue."""
        return cls(recorded_at, frozenset(label.casefold() for label in labels if is_bot_label(label)))

    def __str__(self) -> str:
        """One line of text that `read` parses."""
        return f"{self.recorded_at.isoformat()} {','.join(sorted(self.labels))}"

    @classmethod
    def parse(cls, text: str | None) -> Baseline | None:
        """The baseline in such a text; None if there is none."""
        recorded_at, _, labels = (text or "").partition(" ")
        return (
            cls(datetime.fromisoformat(recorded_at), frozenset(filter(None, labels.split(","))))
            if recorded_at
            else None
        )

    def external_changes(self, current: Collection[str], desired: Collection[str]) -> frozenset[str]:
        """Labels that were added or removed since, and that the bot does not want to add or remove itself."""
        current_labels = Baseline.from_labels(current, self.recorded_at).labels
        desired_labels = Baseline.from_labels(desired, self.recorded_at).labels
        return ((current_labels - self.labels) - desired_labels) | ((self.labels - current_labels) & desired_labels)


def status_from_label(label: str) -> Status | None:
    """The status that a label stands for."""
    prefix, _, value = label.casefold().partition(":")
    return Status(value) if prefix == "status" and value in set(Status) else None


def kind_from_label(label: str) -> Kind | None:
    """The class that a label stands for."""
    prefix, _, value = label.casefold().partition(":")
    return Kind(value) if prefix == "type" and value in set(Kind) else None


def capability_from_label(label: str) -> str | None:
    """The capability that a label asks for."""
    prefix, _, value = label.casefold().partition(":")
    return value if prefix == "needs" and value else None


def closest_label(label: str, priority_labels: Mapping[str, str]) -> Priority | None:
    """The priority for which a label is a team's own word (`priorities`), if it is one; the bot's labels never are."""
    return {word.casefold(): Priority(value) for word, value in priority_labels.items()}.get(label.casefold())


def priority_from_labels(labels: frozenset[str], priority_labels: Mapping[str, str]) -> Priority | None:
    """The most urgent priority among the labels, the bot's or a team's own words (`priorities`)."""
    folded = {label.casefold() for label in labels}
    priorities = [priority for priority in Priority if priority.casefold() in folded]
    priorities += [Priority(value) for word, value in priority_labels.items() if word.casefold() in folded]
    return min(priorities, key=lambda p: p.rank, default=None)
