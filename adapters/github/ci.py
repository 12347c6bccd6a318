"""What continuous integration says of a commit, gathered from check suites, check runs and the older statuses."""

from __future__ import annotations

import re
from collections.abc import Sequence

from adapters.github.client import GitHub
from adapters.github.errors import Gone, NotFound
from adapters.github.models import CheckRun, CheckSuite, CombinedStatus
from core.handoff.failure_log import excerpt
from core.handoff.feedback import FailedCheck
from core.signals.base import ChecksSeen
from core.stall.model import ChecksWait
from core.task.model import ChecksState
from core.text_safety.sanitize import one_line

# GitHub's conclusions, told apart by what they mean for the commit. `action_required` is a run that waits for a
# person's approval and `stale` one that GitHub gave up waiting for: neither is the commit's failure.
_PASSED = frozenset({"success", "neutral", "skipped"})
_WAITING = frozenset({"action_required", "stale"})
_JOB_URL = re.compile(r"/actions/runs/(\d+)/job/(\d+)")
LOG_BYTES = 200_000  # of a job's log, the last ones: errors stand near the end
MAX_FAILED = 5  # failed checks told in detail; a hand-off has limits, and the first ones explain the rest


async def read_checks(github: GitHub, repo: str, sha: str, our_app: int, *, final: bool = False) -> ChecksSeen:
    """The state of all checks on `sha` but ours.

    Nothing there at all is `pending`, because checks need a moment to appear; with `final` it is `none`: they had
    their moment.
    """
    suites = [
        s
        for s in await github.list_check_suites(repo, sha)
        if (s.latest_check_runs_count or s.conclusion in _WAITING) and (s.app is None or s.app.id != our_app)
    ]
    runs = [r for r in await github.list_check_runs(repo, sha) if r.app is None or r.app.id != our_app]
    statuses = await github.combined_status(repo, sha)
    if not runs and not statuses.total_count and not suites:
        return ChecksSeen(sha, ChecksState.NONE if final else ChecksState.PENDING, wait=ChecksWait.NOTHING)
    unfinished = (
        any(s.status != "completed" or s.conclusion in _WAITING for s in suites)
        or any(r.status != "completed" or r.conclusion in _WAITING for r in runs)
        or (statuses.total_count and statuses.state == "pending")
    )
    if unfinished:
        return ChecksSeen(sha, ChecksState.PENDING, wait=_waits_for(suites, runs, statuses))
    red = [r for r in runs if r.conclusion not in _PASSED]
    failed_statuses = _failed_statuses(statuses)
    if not red and not failed_statuses:
        return ChecksSeen(sha, ChecksState.SUCCESS)
    details = [await _explain(github, repo, run) for run in red[:MAX_FAILED]]
    return ChecksSeen(sha, ChecksState.FAILURE, (*details, *failed_statuses[: MAX_FAILED - len(details)]))


def _waits_for(suites: Sequence[CheckSuite], runs: Sequence[CheckRun], statuses: CombinedStatus) -> ChecksWait:
    """What keeps checks from ending. A person's approval first: all else may be waiting for that."""
    conclusions = {suite.conclusion for suite in suites} | {run.conclusion for run in runs}
    if "action_required" in conclusions:
        return ChecksWait.APPROVAL
    begun = any(run.status in ("in_progress", "completed") for run in runs) or statuses.total_count
    return ChecksWait.RUNNING if begun else ChecksWait.QUEUED


def _failed_statuses(statuses: CombinedStatus) -> Sequence[FailedCheck]:
    return [
        FailedCheck(
            name=one_line(s.context, 100),
            url=s.target_url or "",
            first_error=one_line(s.description or "", 300) or None,
        )
        for s in statuses.statuses
        if s.state in ("failure", "error")
    ]


async def _explain(github: GitHub, repo: str, run: CheckRun) -> FailedCheck:
    """A failed check run with the step and the end of the log, where it is a job of GitHub Actions."""
    url = run.html_url or run.details_url or ""
    name = one_line(run.name, 100)
    job = _JOB_URL.search(run.details_url or "") or _JOB_URL.search(url)
    if job is None:
        summary = f"{run.output.title or ''}\n{run.output.summary or ''}"
        found = excerpt(summary)
        return FailedCheck(name, url, None, found.first_error, found.failing_tests, found.tail)
    run_id, job_id = int(job[1]), int(job[2])
    step: str | None = None
    log = ""
    try:
        jobs = {j.id: j for j in await github.list_run_jobs(repo, run_id)}
        steps = jobs[job_id].steps if job_id in jobs else ()
        step = next((one_line(s.name, 100) for s in steps if s.conclusion not in (*_PASSED, None)), None)
        log = await github.job_log_tail(repo, job_id, LOG_BYTES)
    except (NotFound, Gone):
        pass  # the log has expired or is not there yet; the check's name and address still help
    found = excerpt(log)
    return FailedCheck(name, url, step, found.first_error, found.failing_tests, found.tail)
