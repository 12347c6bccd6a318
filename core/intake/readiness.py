"""Checks the definition of ready and says what is missing, in words the author can act on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from config.problems import nearest_word, quote
from core.assignment.queue import Graph, shortest_cycle
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
    duplicates: Collection[int] = ()  # older open tasks with the same fingerprint
    sources: Mapping[str, Source] = field(default_factory=dict)  # the source of each dependency, including lifted ones


def readiness_problems(task: Task, inputs: ReadinessInputs) -> tuple[str, ...]:
    """One sentence for each thing that the task lacks to be ready; empty if it is ready."""
    intake = task.intake
    problems: list[str] = list(intake.problems)
    if not task.issue_open:
        problems.append("The issue is closed: reopen it.")
    if not intake.goal:
        problems.append("It has no goal: write under a heading `Goal` what the task must achieve.")
    if not intake.criteria:
        problems.append(
            "It has no acceptance criteria: add a heading `Acceptance criteria` with at least one line `- [ ] …`."
        )
    problems += unknown_capabilities(task.required_capabilities, inputs.capabilities)
    problems += [
        f"It depends on {reference}, which does not exist."
        for reference, finished in sorted(inputs.dependencies.items())
        if finished is None
    ]
    own_reference = f"#{task.number}"
    cycle = shortest_cycle({**inputs.graph, own_reference: tuple(inputs.dependencies)}, own_reference)
    if len(cycle) == 1:
        problems.append(f"It depends on itself: remove `{own_reference}` from its dependencies.")
    elif cycle:
        path = " → ".join((*cycle, cycle[0]))
        problems.append(f"Its dependencies form a cycle: {path}. Remove one of them.")
    if duplicates := duplicates_of(task, inputs):
        problems.append(duplicate_problem(duplicates))
    if task.approved_digest != task.text_digest:
        problems.append(
            "Its text is by a person without write access: a maintainer must read it and approve it with `/ready`."
        )
    return tuple(problems)


def duplicates_of(task: Task, inputs: ReadinessInputs) -> set[int]:
    """The older open duplicates, except one that a person made this task wait for, and so knows."""
    blockers = {int(task.hold.blocker[1:])} if task.hold and task.hold.blocker and not task.hold.is_forecast else set()
    return set(inputs.duplicates) - blockers


def duplicate_problem(duplicates: Collection[int]) -> str:
    """What is missing while these duplicates are open."""
    return f"It is a duplicate of {_format_numbers(duplicates)}: close one of them, or describe how they differ."


def unknown_capabilities(names: Collection[str], available: Collection[str]) -> tuple[str, ...]:
    """What to say about capabilities that no agent has: the nearest name, or all names if none is near."""
    problems, unknown = [], []
    for name in sorted(set(names) - set(available)):
        if suggestion := nearest_word(name, available):
            problems.append(f"No agent has {quote(name)}. Did you mean `{suggestion}`?")
        else:
            unknown.append(quote(name))
    if unknown:
        available_text = ", ".join(f"`{name}`" for name in sorted(available)) or "none at all"
        problems.append(
            f"No agent has {' or '.join(unknown)}; the capabilities of this repository's agents are {available_text}."
        )
    return tuple(problems)


def _format_numbers(numbers: Collection[int]) -> str:
    return ", ".join(f"#{number}" for number in sorted(numbers))
