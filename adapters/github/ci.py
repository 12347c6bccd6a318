"""Summarizes continuous integration for a commit, from check suites, check runs and statuses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.github.client import GitHub
from adapters.github.errors import Gone, NotFound
from adapters.github.models import CheckRun, CheckSuite, CombinedStatus
from core.handoff.failure_log import extract_failure
from core.handoff.feedback import FailedCheck
from core.signals.base import ChecksSeen
from core.stall.model import CheckWaitReason
from core.task.model import ChecksState
from core.text_safety.sanitize import one_line

# GitHub's conclusions, told apart by what they mean for the commit. `action_required` is a run that waits for a
# person's approval and `stale` one that GitHub gave up waiting for: neither is the commit's failure.
_PASSED = frozenset({"success", "neutral", "skipped"})
_WAITING = frozenset({"action_required", "stale"})
_JOB_URL = re.compile(r"/actions/runs/(\d+)/job/(\d+)")
LOG_BYTES = 200_000  # of a job's log, the last ones: errors stand near the end
MAX_FAILED = 5  # failed checks described in detail; a hand-off has limits, and the first ones explain the rest


async def read_checks(github: GitHub, repo: str, sha: str, our_app_id: int, *, is_final: bool = False) -> ChecksSeen:
    """The state of all checks on `sha` except the bot's own.

    No check at all is `pending`, because checks need a moment to appear; with `is_final` it is `none`: that moment has
    passed.
    """
    suites = [
        suite
        for suite in await github.list_check_suites(repo, sha)
        if (suite.latest_check_runs_count or suite.conclusion in _WAITING)
        and (suite.app is None or suite.app.id != our_app_id)
    ]
    runs = [
        check_run
        for check_run in await github.list_check_runs(repo, sha)
        if check_run.app is None or check_run.app.id != our_app_id
    ]
    statuses = await github.get_combined_status(repo, sha)
    if not runs and not statuses.total_count and not suites:
        return ChecksSeen(
            sha, ChecksState.NONE if is_final else ChecksState.PENDING, wait_reason=CheckWaitReason.NOTHING
        )
    unfinished = (
        any(suite.status != "completed" or suite.conclusion in _WAITING for suite in suites)
        or any(check_run.status != "completed" or check_run.conclusion in _WAITING for check_run in runs)
        or (statuses.total_count and statuses.state == "pending")
    )
    if unfinished:
        return ChecksSeen(sha, ChecksState.PENDING, wait_reason=_wait_reason(suites, runs, statuses))
    failed_runs = [check_run for check_run in runs if check_run.conclusion not in _PASSED]
    failed_statuses = _failed_statuses(statuses)
    if not failed_runs and not failed_statuses:
        return ChecksSeen(sha, ChecksState.SUCCESS)
    details = [await _describe_failure(github, repo, run) for run in failed_runs[:MAX_FAILED]]
    return ChecksSeen(sha, ChecksState.FAILURE, (*details, *failed_statuses[: MAX_FAILED - len(details)]))


def _wait_reason(suites: Sequence[CheckSuite], runs: Sequence[CheckRun], statuses: CombinedStatus) -> CheckWaitReason:
    """What keeps checks from ending. A person's approval comes first: everything else may wait for that."""
    conclusions = {suite.conclusion for suite in suites} | {run.conclusion for run in runs}
    if "action_required" in conclusions:
        return CheckWaitReason.APPROVAL
    has_started = any(run.status in ("in_progress", "completed") for run in runs) or statuses.total_count
    return CheckWaitReason.RUNNING if has_started else CheckWaitReason.QUEUED


def _failed_statuses(statuses: CombinedStatus) -> Sequence[FailedCheck]:
    return [
        FailedCheck(
            name=one_line(status.context, 100),
            url=status.target_url or "",
            first_error=one_line(status.description or "", 300) or None,
        )
        for status in statuses.statuses
        if status.state in ("failure", "error")
    ]


async def _describe_failure(github: GitHub, repo: str, run: CheckRun) -> FailedCheck:
    """A failed check run; for a job of GitHub Actions with the step and the end of the log."""
    url = run.html_url or run.details_url or ""
    name = one_line(run.name, 100)
    job = _JOB_URL.search(run.details_url or "") or _JOB_URL.search(url)
    if job is None:
        summary = f"{run.output.title or ''}\n{run.output.summary or ''}"
        log_excerpt = extract_failure(summary)
        return FailedCheck(name, url, None, log_excerpt.first_error, log_excerpt.failing_tests, log_excerpt.tail)
    run_id, job_id = int(job[1]), int(job[2])
    step: str | None = None
    log = ""
    try:
        jobs = {run_job.id: run_job for run_job in await github.list_run_jobs(repo, run_id)}
        steps = jobs[job_id].steps if job_id in jobs else ()
        step = next(
            (one_line(job_step.name, 100) for job_step in steps if job_step.conclusion not in (*_PASSED, None)), None
        )
        log = await github.download_job_log(repo, job_id, LOG_BYTES)
    except (NotFound, Gone):
        pass  # the log has expired or is not there yet; the check's name and address still help
    log_excerpt = extract_failure(log)
    return FailedCheck(name, url, step, log_excerpt.first_error, log_excerpt.failing_tests, log_excerpt.tail)
