"""Checks the definition of ready and says what is missing, in words the author can act on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from config.problems import nearest_word, quote
from core.assignment.queue import Graph, cycle_through
from core.task.dependencies import Source
from core.task.model import Task


@dataclass(frozen=True, slots=True)
class ReadinessInputs:
    """What the check needs besides the task."""

    capabilities: Collection[str] = ()  # that some agent has
    # Open tasks that can be reached from this one, also in other repositories: reference → its dependencies.
    graph: Graph[str] = field(default_factory=dict)
    # Reference (`#12`, `owner/repo#3`) → finished? None: the issue does not exist.
    dependencies: Mapping[str, bool | None] = field(default_factory=dict)
    twins: Collection[int] = ()  # older open tasks with the same fingerprint
    sources: Mapping[str, Source] = field(default_factory=dict)  # the source of each dependency, including lifted ones


def missing(task: Task, around: ReadinessInputs) -> tuple[str, ...]:
    """One sentence for each thing that the task lacks to be ready; empty if it is ready."""
    intake = task.intake
    gaps: list[str] = list(intake.problems)
    if not task.issue_open:
        gaps.append("The issue is closed: reopen it.")
    if not intake.goal:
        gaps.append("It has no goal: write under a heading `Goal` what the task must achieve.")
    if not intake.criteria:
        gaps.append(
            "It has no acceptance criteria: add a heading `Acceptance criteria` with at least one line `- [ ] …`."
        )
    gaps += unknown_capabilities(task.required, around.capabilities)
    gaps += [
        f"It depends on {reference}, which does not exist."
        for reference, finished in sorted(around.dependencies.items())
        if finished is None
    ]
    me = f"#{task.number}"
    cycle = cycle_through({**around.graph, me: tuple(around.dependencies)}, me)
    if len(cycle) == 1:
        gaps.append(f"It depends on itself: remove `{me}` from its dependencies.")
    elif cycle:
        path = " → ".join((*cycle, cycle[0]))
        gaps.append(f"Its dependencies form a cycle: {path}. Remove one of them.")
    if twins := duplicates_of(task, around):
        gaps.append(twin_gap(twins))
    if task.approved_digest != task.text_digest:
        gaps.append(
            "Its text is by a person without write access: a maintainer must read it and approve it with `/ready`."
        )
    return tuple(gaps)


def duplicates_of(task: Task, around: ReadinessInputs) -> set[int]:
    """The older open duplicates, except one that a person made this task wait for, and so knows."""
    behind = {int(task.held.behind[1:])} if task.held and task.held.behind and not task.held.foreseen else set()
    return set(around.twins) - behind


def twin_gap(twins: Collection[int]) -> str:
    """What is missing while these duplicates are open."""
    return f"It is a duplicate of {_numbers(twins)}: close one of them, or describe how they differ."


def unknown_capabilities(names: Collection[str], known: Collection[str]) -> tuple[str, ...]:
    """What to say about capabilities that no agent has: the nearest name, or all names if none is near."""
    told, strange = [], []
    for name in sorted(set(names) - set(known)):
        if near := nearest_word(name, known):
            told.append(f"No agent has {quote(name)}. Did you mean `{near}`?")
        else:
            strange.append(quote(name))
    if strange:
        there = ", ".join(f"`{name}`" for name in sorted(known)) or "none at all"
        told.append(f"No agent has {' or '.join(strange)}; the capabilities of this repository's agents are {there}.")
    return tuple(told)


def _numbers(numbers: Collection[int]) -> str:
    return ", ".join(f"#{n}" for n in sorted(numbers))
