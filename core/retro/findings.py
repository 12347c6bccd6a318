"""Derives findings and action items from the figures by fixed rules.

Each rule has its threshold as a named constant with its reason. No model takes part, and the same figures give the same
sentences. An action item's id names its rule, so it is the same item even if its text changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from core.retro.metrics import AgentMetrics, TaskMetrics, middle
from core.text_safety.sanitize import code
from core.texts.render import format_duration

MOSTLY_RIGHT = 0.75  # of the tasks without rework: at most one of four returned, which is normal
MUCH_REWORK = 1 / 3  # rounds of rework per task: with three tasks the first one counts
FASTER = 0.8  # of the previous median: beyond the noise of a few tasks
SLOWER = 1.5  # of the previous median: slower results happen by chance more easily than faster ones
LONG = timedelta(minutes=30)  # a shorter wait is not worth an afternoon of work
MOST_ACTIONS = 5  # more are not done before the next retrospective
FILES_NAMED = 5


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do about a finding. Ticking its checkbox makes it a task with this goal and these criteria."""

    id: str
    title: str
    goal: str
    criteria: tuple[str, ...]
    task: int | None = None  # the task that it became
    ticked_by: str | None = None


@dataclass(slots=True)
class Findings:
    """The findings of a retrospective."""

    well: list[str] = field(default_factory=list)
    improve: list[str] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)

    def bad(self, said: str, action: Action) -> None:
        """Add something to improve, and what can be done about it."""
        self.improve.append(said)
        if len(self.actions) < MOST_ACTIONS:
            self.actions.append(action)


def find(tasks: Sequence[TaskMetrics], agents: Sequence[AgentMetrics], before: timedelta | None = None) -> Findings:
    """Derive findings from the figures. `before` is the median cycle time of the last retrospective."""
    found = Findings()
    _rework(found, tasks)
    _failovers(found, tasks, agents)
    _conflicts(found, tasks)
    _waits(found, tasks)
    _speed(found, middle(task.cycle for task in tasks), before)
    return found


def _rework(found: Findings, tasks: Sequence[TaskMetrics]) -> None:
    again = [task for task in tasks if task.rework]
    right = sum(1 for task in tasks if task.attempts and not task.rework)
    rounds = sum(task.rework for task in tasks)
    if right and right / len(tasks) >= MOSTLY_RIGHT:
        found.well.append(f"{right} of {_count(len(tasks), 'task')} passed all checks and reviews the first time.")
    if rounds / len(tasks) < MUCH_REWORK:
        return
    which = _numbers(again)
    found.bad(
        f"{_count(rounds, 'round')} of rework for {_count(len(tasks), 'task')}: {which}.",
        Action(
            "rework",
            f"Find out why work on {which} came back",
            f"Work on {which} was sent back {_count(rounds, 'time')} by checks or reviews. Find what the agents could "
            "have known before, and write it where they read it: in the task form, in the instructions for "
            "agents, or as a check that they can run themselves.",
            (
                "the reason for every round of rework is named",
                "what would have prevented it is written where agents read it",
            ),
        ),
    )


def _failovers(found: Findings, tasks: Sequence[TaskMetrics], agents: Sequence[AgentMetrics]) -> None:
    lost = sum(agent.failed for agent in agents)
    if not lost and agents:
        found.well.append("No agent failed or was not available.")
    for agent in sorted(agents, key=lambda one: (-one.failed, one.name)):
        if agent.failed:
            found.bad(
                f"`{agent.name}` failed or was not available {_count(agent.failed, 'time')}; "
                f"{_count(sum(task.failovers for task in tasks if agent.name in task.agents), 'failover')} followed.",
                Action(
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


def _conflicts(found: Findings, tasks: Sequence[TaskMetrics]) -> None:
    late, early = sum(task.conflicts for task in tasks), sum(task.foreseen for task in tasks)
    if early:
        found.well.append(f"{_count(early, 'conflict')} found before any work was lost.")
    if not late:
        found.well.append("No tasks conflicted.")
        return
    met = [task for task in tasks if task.conflicts]
    paths = list(dict.fromkeys(path for task in met for path in task.files))
    files = ", ".join(code(path) for path in paths[:FILES_NAMED]) + (" and others" if len(paths) > FILES_NAMED else "")
    where = f" in {files}" if files else ""
    found.bad(
        f"{_count(late, 'conflict')} found only after work began: {_numbers(met)}{where}.",
        Action(
            "conflicts",
            f"Prevent new conflicts between tasks like {_numbers(met)}",
            f"Work on {_numbers(met)} conflicted{where}. Split the files that many tasks change, or let such "
            "tasks depend on each "
            "other and name their files, so that agents do not work on them at the same time.",
            ("the files that many tasks change are split, or the tasks that change them depend on each other",),
        ),
    )


def _waits(found: Findings, tasks: Sequence[TaskMetrics]) -> None:
    cycle = middle(task.cycle for task in tasks)
    waited, unready = middle(task.waited for task in tasks), middle(task.unready for task in tasks)
    closing = middle(task.closing for task in tasks)
    if cycle and waited and waited > max(cycle, LONG):
        found.bad(
            f"Tasks waited {format_duration(waited)} for an agent (median), longer than the work took.",
            Action(
                "waiting",
                "Shorten the wait for an agent",
                f"Tasks that were ready waited {format_duration(waited)} (median) for an agent, and the rest took "
                f"{format_duration(cycle)}. Add an agent or a capability, or let an agent have more tasks at once.",
                ("an agent or a capability is added, or `max_tasks` is raised, or the wait is accepted with a reason",),
            ),
        )
    if cycle and unready and unready > max(cycle, LONG):
        found.bad(
            f"Tasks took {format_duration(unready)} to become ready (median), longer than the work took.",
            Action(
                "unready",
                "File tasks that are ready at once",
                f"Tasks took {format_duration(unready)} (median) from being filed to being ready. Find out what they "
                "lacked, and "
                "make the form or a template ask for it.",
                ("what tasks lacked is named", "the form or a template asks for it"),
            ),
        )
    if cycle and closing and closing > max(cycle / 2, LONG):
        found.bad(
            f"More than half of the cycle time, {format_duration(closing)} (median), came after the first hand-in.",
            Action(
                "closing",
                "Shorten the way from hand-in to merge",
                f"From the first hand-in to the end it took {format_duration(closing)} (median), "
                "more than half of the cycle "
                "time. Find out whether checks are slow, reviews wait, or branches need updates.",
                ("the slowest part between hand-in and merge is named", "it is shorter, or accepted with a reason"),
            ),
        )


def _speed(found: Findings, now: timedelta | None, before: timedelta | None) -> None:
    if not now or not before:
        return
    if now <= before * FASTER:
        found.well.append(f"The median cycle time fell from {format_duration(before)} to {format_duration(now)}.")
    elif now >= before * SLOWER:
        found.improve.append(f"The median cycle time rose from {format_duration(before)} to {format_duration(now)}.")


def _numbers(tasks: Sequence[TaskMetrics]) -> str:
    """The tasks by number, few of them by name."""
    shown = [f"#{task.number}" for task in tasks[:FILES_NAMED]]
    return ", ".join(shown) + (f" and {len(tasks) - FILES_NAMED} more" if len(tasks) > FILES_NAMED else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
