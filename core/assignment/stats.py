"""Measures how well and how fast agents work, from their latest attempts.

An attempt counts while it is among the agent's latest `LATEST` within the last `WINDOW`. That is long enough for a few
attempts a week to be meaningful, and short enough that a new model under an old name is judged by its own work within a
month and that the figures of a busy agent change within days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from config.repository import Timeouts
from core.task.model import Attempt, ChecksState, LearnedTimeout, Lease, Pull, Role, Task

WINDOW = timedelta(days=30)
MAX_ATTEMPTS = 50
# Observations needed before a deadline is learned: with fewer, one odd attempt would decide it.
MIN_OBSERVATIONS = 20
MARGIN = 1.5  # on the 99th percentile: the next slow attempt may be a little slower
DEFAULT_SPEED_SCORE = 0.5  # the merit of an agent without history: the middle
MAX_TIMEOUT_FACTOR = 6  # times the configured timeout: beyond that, polling or replacing the agent is better


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt of an agent, as stored in the table `attempts`."""

    task: int
    attempt: int
    agent: str
    role: Role
    capabilities: tuple[str, ...]  # that the task required
    started_at: datetime
    acknowledged_at: datetime | None = None
    pull_opened_at: datetime | None = None  # when its pull request was first seen
    ended_at: datetime | None = None
    outcome: str | None = None  # of `core.task.model.Attempt`
    counts_against_agent: bool = False
    first_checks_passed: bool | None = None  # None: no checks have completed
    longest_silence_seconds: float = 0  # between two signs of life


@dataclass(frozen=True, slots=True)
class AttemptStats:
    """The figures of one agent, or of its work that required one capability. None if there is too little data."""

    attempts: int  # that ended
    merged: int  # that were merged
    error_rate: float | None  # share of the ended attempts that count against the agent, 0…1
    first_pass_rate: float | None  # share of attempts with checks whose first checks passed, 0…1
    rework: float | None  # attempts per merged attempt; 1 is perfect
    median: timedelta | None  # from assignment to pull request
    p90: timedelta | None


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that is not exceeded by `share` (0…1) of the values (nearest rank); None without values."""
    sorted_values = sorted(values)
    return sorted_values[max(0, ceil(share * len(sorted_values)) - 1)] if sorted_values else None


def compute_stats(rows: Sequence[AttemptRecord]) -> AttemptStats:
    """The figures of these attempts at implementation; plans and reviews do not count.

    Attempts that ended without fault (released, unavailable) are left out.
    """
    rows = [row for row in rows if row.role is Role.IMPLEMENT]
    ended = [row for row in rows if row.ended_at and (row.counts_against_agent or row.outcome == "delivered")]
    merged = sum(row.outcome == "delivered" for row in ended)
    checked = [row.first_checks_passed for row in rows if row.first_checks_passed is not None]
    times = [(row.pull_opened_at - row.started_at).total_seconds() for row in rows if row.pull_opened_at]
    return AttemptStats(
        attempts=len(ended),
        merged=merged,
        error_rate=sum(row.counts_against_agent for row in ended) / len(ended) if ended else None,
        first_pass_rate=sum(checked) / len(checked) if checked else None,
        rework=len(ended) / merged if merged else None,
        median=_to_timedelta(quantile(times, 0.5)),
        p90=_to_timedelta(quantile(times, 0.9)),
    )


def _to_timedelta(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def group_by_agent(rows: Iterable[AttemptRecord]) -> dict[str, list[AttemptRecord]]:
    """The rows grouped by agent, in order."""
    rows_by_agent: dict[str, list[AttemptRecord]] = {}
    for row in rows:
        rows_by_agent.setdefault(row.agent, []).append(row)
    return rows_by_agent


def stats_by_capability(rows: Iterable[AttemptRecord]) -> dict[str, AttemptStats]:
    """The figures of the attempts that required each capability, by its name."""
    rows_by_capability: dict[str, list[AttemptRecord]] = {}
    for row in rows:
        for name in row.capabilities:
            rows_by_capability.setdefault(name, []).append(row)
    return {name: compute_stats(rows_by_capability[name]) for name in sorted(rows_by_capability)}


def performance_scores(measures: Mapping[str, AttemptStats]) -> dict[str, float]:
    """The score's part `learned` for each agent, 0…1: half success, half speed relative to the fastest.

    Success is the share of merged attempts with one merged and one failed attempt added, so that no agent is perfect or
    hopeless after one attempt. An agent without data gets the middle.
    """
    speeds = {name: stats.median.total_seconds() for name, stats in measures.items() if stats.median is not None}
    fastest = max(1.0, min(speeds.values(), default=1.0))
    return {
        name: 0.5 * (stats.merged + 1) / (stats.attempts + 2)
        + 0.5 * (fastest / max(fastest, speeds[name]) if name in speeds else DEFAULT_SPEED_SCORE)
        for name, stats in measures.items()
    }


def learn_timeout(
    rows: Sequence[AttemptRecord], timeouts: Timeouts, work: timedelta | None = None
) -> LearnedTimeout | None:
    """How long this agent may be silent, from its own latest attempts; None if the configured timeouts apply.

    `work` is how long it may take until it hands in (`learned_work_time`). Attempts that ended in silence say nothing
    about how long a living agent is silent, so they do not count.
    """
    acknowledged = [row for row in rows if row.acknowledged_at and row.outcome != "silent"]
    ack_delays = [(row.acknowledged_at - row.started_at).total_seconds() for row in acknowledged if row.acknowledged_at]
    silences = [row.longest_silence_seconds for row in acknowledged if row.longest_silence_seconds]
    learned = LearnedTimeout(
        min(_learned_timeout(ack_delays, timeouts.ack), timeouts.attempt),
        min(_learned_timeout(silences, timeouts.heartbeat), timeouts.attempt),
        work,
    )
    return None if learned == LearnedTimeout(timeouts.ack, timeouts.heartbeat) else learned


def learned_work_time(durations: Sequence[float]) -> timedelta | None:
    """How long an agent may work before it hands in, from the latest attempts of all agents of the repository.

    `durations` are seconds from assignment to pull request; returns None if there are too few. Agents that were
    replaced because they took too long are not among them, so this value alone could only shrink: the configured time
    is its lower bound.
    """
    if len(durations) < MIN_OBSERVATIONS:
        return None
    return timedelta(seconds=round((quantile(durations, 0.9) or 0) * MARGIN))


def _learned_timeout(observations: Sequence[float], configured: timedelta) -> timedelta:
    if len(observations) < MIN_OBSERVATIONS:
        return configured
    slowest = timedelta(seconds=round((quantile(observations, 0.99) or 0) * MARGIN))
    return max(configured, min(slowest, configured * MAX_TIMEOUT_FACTOR))


def attempt_records(before: Task | None, after: Task, now: datetime) -> tuple[AttemptRecord, ...]:
    """The rows of attempts that a change of a task started, updated or ended.

    The table merges them: of each time the first is kept, of each silence the longest.
    """
    leases_before, leases_after = _agent_leases(before), _agent_leases(after)
    is_pull_changed = before is None or before.pull != after.pull
    rows = [
        _ongoing_record(after, lease, leases_before.get(number), now)
        for number, lease in leases_after.items()
        if is_pull_changed or lease != leases_before.get(number)
    ]
    endings = {attempt.number: attempt for attempt in after.history}
    rows += [
        _ended_record(after, lease, endings.get(number), now)
        for number, lease in leases_before.items()
        if number not in leases_after
    ]
    return tuple(rows)


def _agent_leases(task: Task | None) -> dict[int, Lease]:
    """The leases of agents, by attempt; people are not measured."""
    leases = (task.lease, task.review_lease) if task else ()
    return {lease.attempt: lease for lease in leases if lease and lease.holder_id is None}


def _new_record(task: Task, lease: Lease) -> AttemptRecord:
    return AttemptRecord(
        task=task.number,
        attempt=lease.attempt,
        agent=lease.agent,
        role=lease.role,
        capabilities=task.required_capabilities,
        started_at=lease.since,
        acknowledged_at=lease.acknowledged_at,
    )


def _ongoing_record(task: Task, lease: Lease, previous: Lease | None, now: datetime) -> AttemptRecord:
    row = _new_record(task, lease)
    if (
        previous and previous.acknowledged_at and lease.resumed_at == previous.resumed_at
    ):  # a pause is no silence of the agent
        silence = lease.silent_since - previous.silent_since
        row = replace(row, longest_silence_seconds=silence.total_seconds())
    pull = task.pull
    if lease != task.lease or lease.role is not Role.IMPLEMENT or pull is None or pull.draft:
        return row  # only the implementer hands in a pull request, and only when it is no draft
    return replace(row, pull_opened_at=now, first_checks_passed=_checks_passed(pull))


def _ended_record(task: Task, lease: Lease, attempt: Attempt | None, now: datetime) -> AttemptRecord:
    row = _new_record(task, lease)
    if attempt is None:
        return replace(row, ended_at=now)
    checks_failed = attempt.feedback is not None and attempt.feedback.key.startswith("ci:")
    return replace(
        row,
        ended_at=attempt.ended_at,
        outcome=attempt.outcome,
        counts_against_agent=attempt.counts_against_agent,
        first_checks_passed=False if checks_failed else _checks_passed(task.pull),
    )


def _checks_passed(pull: Pull | None) -> bool | None:
    """Whether the checks passed; None if they are running or there are none."""
    if pull is None or pull.checks not in (ChecksState.SUCCESS, ChecksState.FAILURE):
        return None
    return pull.checks is ChecksState.SUCCESS
