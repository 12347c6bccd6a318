"""Derives findings and action items from the figures by fixed rules.

Each rule has its threshold as a named constant with its reason. No model takes part, and the same figures give the same
sentences. An action item's id names its rule, so it is the same item even if its text changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from core.retro.metrics import AgentMetrics, TaskMetrics, middle
from core.text_safety.sanitize import inline_code
from core.texts.render import format_duration

MIN_FIRST_PASS_SHARE = 0.75  # of the tasks without rework: at most one of four returned, which is normal
MAX_REWORK_RATE = 1 / 3  # rounds of rework per task: with three tasks the first one counts
FASTER_FACTOR = 0.8  # of the previous median: beyond the noise of a few tasks
SLOWER_FACTOR = 1.5  # of the previous median: slower results happen by chance more easily than faster ones
MIN_NOTABLE_WAIT = timedelta(minutes=30)  # a shorter wait is not worth an afternoon of work
MAX_ACTIONS = 5  # more are not done before the next retrospective
MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class ActionItem:
    """Something to do about a finding. Ticking its checkbox makes it a task with this goal and these criteria."""

    id: str
    title: str
    goal: str
    criteria: tuple[str, ...]
    task_number: int | None = None  # the task that it became
    ticked_by: str | None = None


@dataclass(slots=True)
class Findings:
    """The findings of a retrospective."""

    went_well: list[str] = field(default_factory=list)
    to_improve: list[str] = field(default_factory=list)
    actions: list[ActionItem] = field(default_factory=list)

    def add_improvement(self, sentence: str, action: ActionItem) -> None:
        """Add something to improve, and what can be done about it."""
        self.to_improve.append(sentence)
        if len(self.actions) < MAX_ACTIONS:
            self.actions.append(action)


def make_findings(
    tasks: Sequence[TaskMetrics], agents: Sequence[AgentMetrics], previous: timedelta | None = None
) -> Findings:
    """Derive findings from the figures. `previous` is the median cycle time of the last retrospective."""
    findings = Findings()
    _check_rework(findings, tasks)
    _check_failovers(findings, tasks, agents)
    _check_conflicts(findings, tasks)
    _check_waits(findings, tasks)
    _check_speed(findings, middle(task.cycle_time for task in tasks), previous)
    return findings


def _check_rework(findings: Findings, tasks: Sequence[TaskMetrics]) -> None:
    reworked = [task for task in tasks if task.rework]
    first_pass = sum(1 for task in tasks if task.attempts and not task.rework)
    rounds = sum(task.rework for task in tasks)
    if first_pass and first_pass / len(tasks) >= MIN_FIRST_PASS_SHARE:
        findings.went_well.append(
            f"{first_pass} of {_count(len(tasks), 'task')} passed all checks and reviews the first time."
        )
    if rounds / len(tasks) < MAX_REWORK_RATE:
        return
    numbers = _format_numbers(reworked)
    findings.add_improvement(
        f"{_count(rounds, 'round')} of rework for {_count(len(tasks), 'task')}: {numbers}.",
        ActionItem(
            "rework",
            f"Find out why work on {numbers} came back",
            f"Work on {numbers} was sent back {_count(rounds, 'time')} by checks or reviews. Find what the agents "
            "could have known before, and write it where they read it: in the task form, in the instructions for "
            "agents, or as a check that they can run themselves.",
            (
                "the reason for every round of rework is named",
                "what would have prevented it is written where agents read it",
            ),
        ),
    )


def _check_failovers(findings: Findings, tasks: Sequence[TaskMetrics], agents: Sequence[AgentMetrics]) -> None:
    failure_count = sum(agent.failed for agent in agents)
    if not failure_count and agents:
        findings.went_well.append("No agent failed or was not available.")
    for agent in sorted(agents, key=lambda metrics: (-metrics.failed, metrics.name)):
        if agent.failed:
            findings.add_improvement(
                f"`{agent.name}` failed or was not available {_count(agent.failed, 'time')}; "
                f"{_count(sum(task.failovers for task in tasks if agent.name in task.agents), 'failover')} followed.",
                ActionItem(
                    f"failed-{agent.name}",
                    f"Find out why {agent.name} failed",
                    f"The agent `{agent.name}` failed, stopped responding or was not available "
                    f"{_count(agent.failed, 'time')} "
                    "while it had tasks. Find the cause (its credentials, its limits, its workflow) and fix it, or "
                    "give it fewer tasks at once.",
                    (
                        "the cause is named",
                        f"`{agent.name}` finishes a task without a failover, or has fewer tasks at once",
                    ),
                ),
            )


def _check_conflicts(findings: Findings, tasks: Sequence[TaskMetrics]) -> None:
    late_count, early_count = sum(task.conflicts for task in tasks), sum(task.early_conflicts for task in tasks)
    if early_count:
        findings.went_well.append(f"{_count(early_count, 'conflict')} found before any work was lost.")
    if not late_count:
        findings.went_well.append("No tasks conflicted.")
        return
    conflicting = [task for task in tasks if task.conflicts]
    paths = list(dict.fromkeys(path for task in conflicting for path in task.files))
    files = ", ".join(inline_code(path) for path in paths[:MAX_LISTED]) + (
        " and others" if len(paths) > MAX_LISTED else ""
    )
    location = f" in {files}" if files else ""
    findings.add_improvement(
        f"{_count(late_count, 'conflict')} found only after work began: {_format_numbers(conflicting)}{location}.",
        ActionItem(
            "conflicts",
            f"Prevent new conflicts between tasks like {_format_numbers(conflicting)}",
            f"Work on {_format_numbers(conflicting)} conflicted{location}. Split the files that many tasks change, or "
            "let such tasks depend on each other and name their files, so that agents do not work on them at the same "
            "time.",
            ("the files that many tasks change are split, or the tasks that change them depend on each other",),
        ),
    )


def _check_waits(findings: Findings, tasks: Sequence[TaskMetrics]) -> None:
    cycle_time = middle(task.cycle_time for task in tasks)
    time_to_assign, time_to_ready = (
        middle(task.time_to_assign for task in tasks),
        middle(task.time_to_ready for task in tasks),
    )
    review_time = middle(task.review_time for task in tasks)
    if cycle_time and time_to_assign and time_to_assign > max(cycle_time, MIN_NOTABLE_WAIT):
        findings.add_improvement(
            f"Tasks waited {format_duration(time_to_assign)} for an agent (median), longer than the work took.",
            ActionItem(
                "waiting",
                "Shorten the wait for an agent",
                f"Tasks that were ready waited {format_duration(time_to_assign)} (median) for an agent, and the rest "
                f"took {format_duration(cycle_time)}. Add an agent or a capability, or let an agent have more tasks at "
                "once.",
                ("an agent or a capability is added, or `max_tasks` is raised, or the wait is accepted with a reason",),
            ),
        )
    if cycle_time and time_to_ready and time_to_ready > max(cycle_time, MIN_NOTABLE_WAIT):
        findings.add_improvement(
            f"Tasks took {format_duration(time_to_ready)} to become ready (median), longer than the work took.",
            ActionItem(
                "unready",
                "File tasks that are ready at once",
                f"Tasks took {format_duration(time_to_ready)} (median) from being filed to being ready. Find out what "
                "they lacked, and make the form or a template ask for it.",
                ("what tasks lacked is named", "the form or a template asks for it"),
            ),
        )
    if cycle_time and review_time and review_time > max(cycle_time / 2, MIN_NOTABLE_WAIT):
        findings.add_improvement(
            f"More than half of the cycle time, {format_duration(review_time)} (median), came after the first hand-in.",
            ActionItem(
                "closing",
                "Shorten the way from hand-in to merge",
                f"From the first hand-in to the end it took {format_duration(review_time)} (median), "
                "more than half of the cycle "
                "time. Find out whether checks are slow, reviews wait, or branches need updates.",
                ("the slowest part between hand-in and merge is named", "it is shorter, or accepted with a reason"),
            ),
        )


def _check_speed(findings: Findings, current: timedelta | None, previous: timedelta | None) -> None:
    if not current or not previous:
        return
    if current <= previous * FASTER_FACTOR:
        findings.went_well.append(
            f"The median cycle time fell from {format_duration(previous)} to {format_duration(current)}."
        )
    elif current >= previous * SLOWER_FACTOR:
        findings.to_improve.append(
            f"The median cycle time rose from {format_duration(previous)} to {format_duration(current)}."
        )


def _format_numbers(tasks: Sequence[TaskMetrics]) -> str:
    """The tasks by number, few of them by name."""
    numbers = [f"#{task.number}" for task in tasks[:MAX_LISTED]]
    return ", ".join(numbers) + (f" and {len(tasks) - MAX_LISTED} more" if len(tasks) > MAX_LISTED else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
