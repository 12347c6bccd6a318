"""Pull requests, for the reconciler: which were opened, pushed to, closed or merged, and which checks have ended."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from adapters.database import open_pulls
from adapters.database.open_pulls import Kept
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.bulk_queries import SurveyedPulls
from adapters.github.convert import pull_facts
from adapters.github.models import PullRequest
from core.conflicts.pulls import Flight
from core.effects.base import CompareBranches, ReadChecks, RefreshMirror
from core.task.model import ChecksState, Pull, Status, Task
from core.texts import CONFIG_CHECK, DONE_CHECK
from core.texts.checks import CONFLICT_CHECK
from engine import conflicts
from engine.attribution import pull_seen, task_of
from engine.unit_of_work import Work

log = structlog.get_logger()

OURS = (CONFIG_CHECK, CONFLICT_CHECK, DONE_CHECK)


async def reconcile_pulls(work: Work, github: GitHub, row: RepositoryRow) -> int:
    """Take in which pull requests differ from what we know, and compare them; gives how many are open."""
    told = await github.survey_pulls(row.full_name, OURS)
    async with work.database.autocommit() as connection:
        kept = await open_pulls.kept(connection, row.id)
        carried = await open_pulls.carriers(connection, row.id)
    listed = {one.pull.number: one.pull for one in told.pulls}
    believed = {number for number, one in kept.items() if one.open} | carried.keys()
    closed = await github.pulls_numbered(row.full_name, believed - listed.keys(), row.id)
    for number, pull in sorted((listed | closed).items()):
        if pull is None:
            log.warning("pull_request_gone", repository=row.full_name, number=number)
        elif _differs(pull, kept.get(number), carried.get(number)):
            await _take(work, github, row, pull)
    await _read_checks(work, row, told)
    await _compare(work, row, told.heads)
    return len(listed)


def _differs(pull: PullRequest, kept: Kept | None, task: Task | None) -> bool:
    now = Kept(pull.number, pull.title, pull.base.ref, pull.head.sha, pull.draft, pull.state == "open")
    if kept != now:
        return True
    known = task.pull if task else None
    # That something was done to the pull request shows life, also where it looks the same.
    return known is not None and (known.base, known.head_sha, known.draft, known.open, known.updated_at) != (
        now.base,
        now.head_sha,
        now.draft,
        now.open,
        pull.updated_at,
    )


async def _take(work: Work, github: GitHub, row: RepositoryRow, pull: PullRequest) -> None:
    number = await task_of(work.database, row, pull)
    signal = await pull_seen(github, row, number, pull) if number is not None else None
    async with work.on(row.id) as unit:
        if number is None or signal is None or await unit.task(number) is None:
            await conflicts.saw(unit, pull_facts(pull), None)
        else:
            await unit.apply(number, signal)


async def _read_checks(work: Work, row: RepositoryRow, told: SurveyedPulls) -> None:
    """Tasks in review: has CI ended, or ended otherwise, without our hearing of it?"""
    async with work.database.autocommit() as connection:
        carried = await open_pulls.carriers(connection, row.id)
    verdicts = {(one.pull.number, one.pull.head.sha): one.passed for one in told.pulls}
    news = [
        ReadChecks(task.number, task.pull.head_sha)
        for task in carried.values()
        if task.status is Status.REVIEW and task.pull and _ended(task.pull, verdicts)
    ]
    if news:
        async with work.on(row.id) as unit:
            for effect in news:
                await unit.want(effect.number, effect)


def _ended(pull: Pull, verdicts: dict[tuple[int, str], bool | None]) -> bool:
    passed = verdicts.get((pull.number, pull.head_sha))
    return passed is not None and pull.checks is not (ChecksState.SUCCESS if passed else ChecksState.FAILURE)


def _misled(flight: Flight, sha: str) -> bool:
    """Whether its task was told of another place of the base, and so believes no comparison with this one."""
    return flight.base_said not in (None, sha)


async def _compare(work: Work, row: RepositoryRow, heads: Mapping[str, str]) -> None:
    """Open pull requests: has their base moved, and do they still merge with each other?"""
    async with work.database.autocommit() as connection:
        there = await open_pulls.in_flight(connection, row.id)
    bases = {flight.base for flight in there.values()}
    head = heads.get(row.default_branch)
    behind = head is not None and work.foresight is not None and await work.foresight.head(row) != head
    async with work.on(row.id) as unit:
        # The comparison says on each pull request if its base is not there any more.
        for base, sha in heads.items():
            concerned = [flight for flight in there.values() if flight.base == base]
            if any(sha != (flight.trial and flight.trial.base_sha) or _misled(flight, sha) for flight in concerned):
                await conflicts.base_moved(unit, base, sha)
        for base in sorted(bases):
            await unit.want(0, CompareBranches(base))
        if behind and row.default_branch not in bases:
            await unit.want(0, RefreshMirror(row.default_branch))
