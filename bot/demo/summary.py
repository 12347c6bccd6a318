"""The outcome of a demo: figures that were measured, and what git itself says."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.demo import files as demo_files
from bot.demo.environment import Environment
from bot.demo.monitor import Snapshot
from bot.demo.scenario import SPEED
from config.labels import RETROSPECTIVE
from core.assignment.stats import quantile
from core.task.model import Status
from sandbox import RequestRecord
from sandbox.git.command import GitCommandError, run_git

TEST_SECONDS = 120.0  # for the shop's own tests, which take less than one
# Calls that are no content of the repository's conversation: signing in, and the labels made once for all tasks.
NON_CONTENT_OPERATIONS = ("apps/create-installation-access-token", "issues/create-label", "issues/update-label")
_TEST_COUNT = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`figures` are the keys of the JSON summary. `problems` are empty when all is well; `proof` says what was seen."""

    figures: dict[str, Any]
    problems: tuple[str, ...]
    proof: tuple[str, ...]

    @property
    def is_success(self) -> bool:
        """Whether every task is done, merged, and works."""
        return not self.problems


async def conclude(environment: Environment, snapshot: Snapshot, root: Path) -> Outcome:
    """Measure and check what has come of it all; `root` is a folder to work in."""
    problems = [
        f"#{task.number} {task.title} is {task.status}, not done"
        for task in snapshot.tasks
        if task.status != Status.DONE
    ]
    if len(snapshot.tasks) < snapshot.expected:
        problems.append(f"the bot never saw {snapshot.expected - len(snapshot.tasks)} of {snapshot.expected} tasks")
    problems += _check_github(environment)
    figures = _figures(environment, snapshot)
    if merge_conflicts := figures["conflicts"]["at_merge"]:
        problems.append(f"{merge_conflicts} conflicts were found only when GitHub refused to merge")
    git_problems, proof = await _check_git(environment, root / "check")
    return Outcome(figures, (*problems, *git_problems), proof)


def _figures(environment: Environment, snapshot: Snapshot) -> dict[str, Any]:
    done, failed = snapshot.count(Status.DONE), snapshot.count(Status.FAILED)
    latencies = [ms / SPEED for ms in environment.bot.metrics.recent_latencies_ms]  # as the watcher's clock has them
    calls = [record for record in environment.hub.requests if is_from_bot(environment, record)]
    by_operation = Counter(record.operation_id or f"{record.method} {record.path}" for record in calls)
    return {
        "tasks": snapshot.expected,
        "done": done,
        "failed": failed,
        "lost": snapshot.expected - done - failed,
        "assignment_latency_ms": {
            "p50": round((quantile(latencies, 0.5) or 0.0), 1),
            "p95": round((quantile(latencies, 0.95) or 0.0), 1),
        },
        "feedback_rounds": snapshot.sent_back,
        "reassignments": len(snapshot.failover_seconds),
        "failover_seconds_max": round(max(snapshot.failover_seconds, default=0.0), 2),
        "conflicts": {
            "before_work": len(snapshot.predicted_conflicts),
            "during_work": len(snapshot.detected_conflicts),
            "at_merge": count_merge_conflicts(calls),
        },
        "digests": snapshot.digest_updates,
        "nudges": snapshot.nudges,
        "calls_answered": snapshot.acknowledgements,
        "retrospectives": sum(RETROSPECTIVE.name in issue.label_names for issue in environment.shop.issues.values()),
        "github_calls": dict(sorted(by_operation.items())),
        "content_writes_per_task": round(count_content_writes(calls) / snapshot.expected, 2),
        "seconds": round(snapshot.elapsed, 1),
    }


def is_from_bot(environment: Environment, record: RequestRecord) -> bool:
    """Whether our bot sent it, as the App itself or as its installation."""
    return record.actor in (environment.app.slug, environment.app.bot.login)


def count_content_writes(calls: list[RequestRecord]) -> int:
    """How many calls changed something that people see, counted against ourselves.

    GitHub's limit on content (80 a minute, 500 an hour) is not documented call by call. So everything that is no GET
    counts: labels set, cards, comments, reactions, check runs, dispatches, merges, closed issues and pull requests,
    whether it succeeded or not. Only access tokens, labels made once for the whole repository, and GraphQL that merely
    asks are left out.
    """
    return sum(is_content_write(record) for record in calls)


def is_content_write(record: RequestRecord) -> bool:
    """Whether this call counts as a content write."""
    if record.operation_id == "graphql":
        query = str(record.body.get("query")) if isinstance(record.body, dict) else ""
        return "mutation" in query and "createLabel" not in query
    return record.method != "GET" and record.operation_id not in NON_CONTENT_OPERATIONS


def count_merge_conflicts(calls: list[RequestRecord]) -> int:
    """How many merges GitHub refused because of a conflict: that would be too late, with nothing but rework left.

    It says the same of a pull request that is merged already, which is no conflict.
    """
    merged_paths: set[str] = set()
    refused_count = 0
    for record in calls:
        if record.operation_id == "pulls/merge" and isinstance(record.response, dict):
            if record.response.get("merged"):
                merged_paths.add(record.path)
            elif record.path not in merged_paths and "not mergeable" in str(record.response.get("message")):
                refused_count += 1
    return refused_count


def _check_github(environment: Environment) -> list[str]:
    """What the issues and pull requests themselves show, beside what the bot believes."""
    problems = []
    for issue in environment.alice.issues.values():
        if issue.state != "closed" or "status:done" not in issue.label_names:
            labels = ", ".join(issue.label_names)
            problems.append(f"#{issue.number} {issue.title} is {issue.state} on GitHub, with the labels {labels}")
        merged_pulls = [
            pull for pull in environment.shop.pulls() if pull.merged and f"task/{issue.number}-" in pull.head_ref
        ]
        if len(merged_pulls) != 1:
            problems.append(f"#{issue.number} {issue.title} has {len(merged_pulls)} merged pull requests, not one")
    return problems


async def _check_git(environment: Environment, clone: Path) -> tuple[list[str], tuple[str, ...]]:
    """Clone `main` as anybody would, look for each task's files, and run all tests there."""
    try:
        await run_git(["clone", "--quiet", f"{environment.hub.url}/acme/shop.git", str(clone)], directory=clone.parent)
    except GitCommandError as error:
        return [f"main cannot be cloned: {error}"], ()
    problems, files = [], 0
    for demo_task in environment.alice.scenario.demo_tasks:
        for insertion in demo_task.solution.edits:
            file = clone / insertion.path
            if insertion.text not in (file.read_text("utf-8") if file.is_file() else ""):
                problems.append(f"the change of the task {demo_task.title} to {insertion.path} is not in main")
        for path, text in demo_files.solution_files(demo_task.solution.folder).items():
            file = clone / path
            if not file.is_file():
                problems.append(f"{path} of the task {demo_task.title} is not in main")
            elif file.read_text("utf-8") != text:
                problems.append(f"{path} of the task {demo_task.title} is in main with other content")
            else:
                files += 1
    status, output = await _run_tests(clone)
    test_count = _TEST_COUNT.search(output)
    if status != 0 or test_count is None:
        return [*problems, f"the tests of main fail:\n{output[-2000:]}"], ()
    return problems, (f"a clone of main has all {files} files of the tasks", f"its {test_count[1]} tests pass")


async def _run_tests(folder: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "unittest"),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(TEST_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        return None, f"they did not finish within {TEST_SECONDS:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, output.decode(errors="replace")
