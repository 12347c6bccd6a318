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
from sandbox.git.command import GitError, git_process

TEST_SECONDS = 120.0  # for the shop's own tests, which take less than one
# Calls that are no content of the repository's conversation: signing in, and the labels made once for all tasks.
NO_CONTENT = ("apps/create-installation-access-token", "issues/create-label", "issues/update-label")
_RAN = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`figures` are the keys of the JSON summary. `problems` are empty when all is well; `proof` says what was seen."""

    figures: dict[str, Any]
    problems: tuple[str, ...]
    proof: tuple[str, ...]

    @property
    def well(self) -> bool:
        """Whether every task is done, merged, and works."""
        return not self.problems


async def conclude(stage: Environment, shown: Snapshot, root: Path) -> Outcome:
    """Measure and check what has come of it all; `root` is a folder to work in."""
    problems = [
        f"#{task.number} {task.title} is {task.status}, not done" for task in shown.tasks if task.status != Status.DONE
    ]
    if len(shown.tasks) < shown.expected:
        problems.append(f"the bot never saw {shown.expected - len(shown.tasks)} of {shown.expected} tasks")
    problems += _on_github(stage)
    figures = _figures(stage, shown)
    if too_late := figures["conflicts"]["at_merge"]:
        problems.append(f"{too_late} conflicts were found only when GitHub refused to merge")
    gone_wrong, proof = await _in_git(stage, root / "check")
    return Outcome(figures, (*problems, *gone_wrong), proof)


def _figures(stage: Environment, shown: Snapshot) -> dict[str, Any]:
    done, failed = shown.count(Status.DONE), shown.count(Status.FAILED)
    latencies = [ms / SPEED for ms in stage.bot.metrics.latencies]  # as the watcher's clock has them
    calls = [record for record in stage.hub.requests if by_bot(stage, record)]
    by_operation = Counter(record.operation_id or f"{record.method} {record.path}" for record in calls)
    return {
        "tasks": shown.expected,
        "done": done,
        "failed": failed,
        "lost": shown.expected - done - failed,
        "assignment_latency_ms": {
            "p50": round((quantile(latencies, 0.5) or 0.0), 1),
            "p95": round((quantile(latencies, 0.95) or 0.0), 1),
        },
        "feedback_rounds": shown.sent_back,
        "reassignments": len(shown.failovers),
        "failover_seconds_max": round(max(shown.failovers, default=0.0), 2),
        "conflicts": {
            "before_work": len(shown.foreseen),
            "during_work": len(shown.collided),
            "at_merge": conflicts_at_merge(calls),
        },
        "digests": shown.digests,
        "nudges": shown.nudges,
        "calls_answered": shown.answered,
        "retrospectives": sum(RETROSPECTIVE.name in issue.label_names for issue in stage.shop.issues.values()),
        "github_calls": dict(sorted(by_operation.items())),
        "content_writes_per_task": round(content_writes(calls) / shown.expected, 2),
        "seconds": round(shown.elapsed, 1),
    }


def by_bot(stage: Environment, record: RequestRecord) -> bool:
    """Whether our bot sent it, as the App itself or as its installation."""
    return record.actor in (stage.app.slug, stage.app.bot.login)


def content_writes(calls: list[RequestRecord]) -> int:
    """How many calls changed something that people see, counted against ourselves.

    GitHub's limit on content (80 a minute, 500 an hour) is not documented call by call. So everything that is no GET
    counts: labels set, cards, comments, reactions, check runs, dispatches, merges, closed issues and pull requests,
    whether it succeeded or not. Only access tokens, labels made once for the whole repository, and GraphQL that merely
    asks are left out.
    """
    return sum(writes_content(record) for record in calls)


def writes_content(record: RequestRecord) -> bool:
    """Whether this call counts as a content write."""
    if record.operation_id == "graphql":
        query = str(record.body.get("query")) if isinstance(record.body, dict) else ""
        return "mutation" in query and "createLabel" not in query
    return record.method != "GET" and record.operation_id not in NO_CONTENT


def conflicts_at_merge(calls: list[RequestRecord]) -> int:
    """How many merges GitHub refused because of a conflict: that would be too late, with nothing but rework left.

    It says the same of a pull request that is merged already, which is no conflict.
    """
    merged: set[str] = set()
    refused = 0
    for record in calls:
        if record.operation_id == "pulls/merge" and isinstance(record.response, dict):
            if record.response.get("merged"):
                merged.add(record.path)
            elif record.path not in merged and "not mergeable" in str(record.response.get("message")):
                refused += 1
    return refused


def _on_github(stage: Environment) -> list[str]:
    """What the issues and pull requests themselves show, beside what the bot believes."""
    problems = []
    for issue in stage.alice.issues.values():
        if issue.state != "closed" or "status:done" not in issue.label_names:
            labels = ", ".join(issue.label_names)
            problems.append(f"#{issue.number} {issue.title} is {issue.state} on GitHub, with the labels {labels}")
        merged = [p for p in stage.shop.pulls() if p.merged and f"task/{issue.number}-" in p.head_ref]
        if len(merged) != 1:
            problems.append(f"#{issue.number} {issue.title} has {len(merged)} merged pull requests, not one")
    return problems


async def _in_git(stage: Environment, clone: Path) -> tuple[list[str], tuple[str, ...]]:
    """Clone `main` as anybody would, look for each task's files, and run all tests there."""
    try:
        await git_process(["clone", "--quiet", f"{stage.hub.url}/acme/shop.git", str(clone)], directory=clone.parent)
    except GitError as error:
        return [f"main cannot be cloned: {error}"], ()
    problems, files = [], 0
    for errand in stage.alice.story.errands:
        for edit in errand.crib.edits:
            there = clone / edit.path
            if edit.text not in (there.read_text("utf-8") if there.is_file() else ""):
                problems.append(f"the change of the task {errand.title} to {edit.path} is not in main")
        for path, text in demo_files.work(errand.crib.folder).items():
            there = clone / path
            if not there.is_file():
                problems.append(f"{path} of the task {errand.title} is not in main")
            elif there.read_text("utf-8") != text:
                problems.append(f"{path} of the task {errand.title} is in main with other content")
            else:
                files += 1
    status, output = await _run_tests(clone)
    ran = _RAN.search(output)
    if status != 0 or ran is None:
        return [*problems, f"the tests of main fail:\n{output[-2000:]}"], ()
    return problems, (f"a clone of main has all {files} files of the tasks", f"its {ran[1]} tests pass")


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
