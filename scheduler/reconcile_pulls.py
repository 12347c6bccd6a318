"""Reconciles pull requests and their checks."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from adapters.database import open_pulls
from adapters.database.open_pulls import SaveResult
from adapters.database.repositories import RepositoryRow
from adapters.github import GitHub
from adapters.github.bulk_queries import PullList
from adapters.github.convert import pull_facts
from adapters.github.models import PullRequest
from core.conflicts.pulls import OpenPull
from core.effects.base import CompareBranches, ReadChecks, RefreshMirror
from core.task.model import ChecksState, Pull, Status, Task
from core.texts import CONFIG_CHECK, DONE_CHECK
from core.texts.checks import CONFLICT_CHECK
from engine import conflicts
from engine.attribution import find_task, read_pull_seen
from engine.forecasts import ForecastService
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

OWN_CHECKS = (CONFIG_CHECK, CONFLICT_CHECK, DONE_CHECK)


async def reconcile_pulls(
    work: UnitOfWorkFactory, github: GitHub, forecasts: ForecastService | None, row: RepositoryRow
) -> int:
    """Apply the pull requests that differ from the stored state, and compare them; returns how many are open."""
    survey = await github.list_open_pulls(row.full_name, OWN_CHECKS)
    async with work.database.autocommit() as connection:
        stored_pulls = await open_pulls.load_all(connection, row.id)
        tasks_by_pull = await open_pulls.pulls_of_tasks(connection, row.id)
    listed = {entry.pull.number: entry.pull for entry in survey.pulls}
    expected_open = {number for number, entry in stored_pulls.items() if entry.open} | tasks_by_pull.keys()
    closed = await github.get_pulls(row.full_name, expected_open - listed.keys(), row.id)
    for number, pull in sorted((listed | closed).items()):
        if pull is None:
            log.warning("pull_request_gone", repository=row.full_name, number=number)
        elif _differs(pull, stored_pulls.get(number), tasks_by_pull.get(number)):
            await _apply_pull(work, github, row, pull)
    await _read_checks(work, row, survey)
    await _compare_branches(work, forecasts, row, survey.heads)
    return len(listed)


def _differs(pull: PullRequest, stored: SaveResult | None, task: Task | None) -> bool:
    current = SaveResult(pull.number, pull.title, pull.base.ref, pull.head.sha, pull.draft, pull.state == "open")
    if stored != current:
        return True
    task_pull = task.pull if task else None
    # A change of the pull request is a sign of life, even if it looks the same.
    return task_pull is not None and (
        task_pull.base,
        task_pull.head_sha,
        task_pull.draft,
        task_pull.open,
        task_pull.updated_at,
    ) != (
        current.base,
        current.head_sha,
        current.draft,
        current.open,
        pull.updated_at,
    )


async def _apply_pull(work: UnitOfWorkFactory, github: GitHub, row: RepositoryRow, pull: PullRequest) -> None:
    number = await find_task(work.database, row, pull)
    signal = await read_pull_seen(github, row, number, pull) if number is not None else None
    async with work.begin(row.id) as unit:
        if number is None or signal is None or await unit.session.load_task(number) is None:
            await unit.apply_all(await conflicts.save_pull(unit.session, pull_facts(pull), None))
        else:
            await unit.apply(number, signal)


async def _read_checks(work: UnitOfWorkFactory, row: RepositoryRow, survey: PullList) -> None:
    """Tasks in review: read whether CI has ended, in case its event was lost."""
    async with work.database.autocommit() as connection:
        tasks_by_pull = await open_pulls.pulls_of_tasks(connection, row.id)
    check_results = {(entry.pull.number, entry.pull.head.sha): entry.passed for entry in survey.pulls}
    effects = [
        ReadChecks(task.number, task.pull.head_sha)
        for task in tasks_by_pull.values()
        if task.status is Status.REVIEW and task.pull and _checks_changed(task.pull, check_results)
    ]
    if effects:
        async with work.begin(row.id) as unit:
            for effect in effects:
                await unit.session.enqueue_effects(effect.number, effect)


def _checks_changed(pull: Pull, check_results: dict[tuple[int, str], bool | None]) -> bool:
    passed = check_results.get((pull.number, pull.head_sha))
    return passed is not None and pull.checks is not (ChecksState.SUCCESS if passed else ChecksState.FAILURE)


def _has_other_base(open_pull: OpenPull, sha: str) -> bool:
    """Whether its task received another base SHA, and so would ignore a comparison with this one."""
    return open_pull.reported_base_sha not in (None, sha)


async def _compare_branches(
    work: UnitOfWorkFactory, forecasts: ForecastService | None, row: RepositoryRow, heads: Mapping[str, str]
) -> None:
    """Compare open pull requests again if their base has moved or was never tried."""
    async with work.database.autocommit() as connection:
        pulls_by_number = await open_pulls.list_open(connection, row.id)
    bases = {open_pull.base for open_pull in pulls_by_number.values()}
    head = heads.get(row.default_branch)
    is_mirror_stale = head is not None and forecasts is not None and await forecasts.head_sha(row) != head
    async with work.begin(row.id) as unit:
        # The comparison shows on each pull request if its base no longer exists.
        for base, sha in heads.items():
            base_pulls = [open_pull for open_pull in pulls_by_number.values() if open_pull.base == base]
            if any(
                sha != (open_pull.trial_merge and open_pull.trial_merge.base_sha) or _has_other_base(open_pull, sha)
                for open_pull in base_pulls
            ):
                await unit.apply_all(await conflicts.update_base(unit.session, base, sha))
        for base in sorted(bases):
            await unit.session.enqueue_effects(0, CompareBranches(base))
        if is_mirror_stale and row.default_branch not in bases:
            await unit.session.enqueue_effects(0, RefreshMirror(row.default_branch))
