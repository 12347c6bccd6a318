"""After the storm: what GitHub shows, against what must be and against what the database says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sqlalchemy import text

from adapters.database import audit_log, store
from core.task.labels import labels_of
from core.task.model import Status, Task
from core.texts import CARD_MARKER, KEY_MARKER
from sandbox.state.models import Issue, Repository
from tests.chaos.run import ChaosRun

_KEY = re.compile(re.escape(KEY_MARKER) + r"(\S+)")
_ESCALATED_TASKS = text("SELECT DISTINCT task FROM escalations WHERE repository_id = :home")
_LINKED_PULLS = text("SELECT number, task FROM pulls WHERE repository_id = :home")
# Two attempts at the work of one task at the same time; reviews are another role.
_CONCURRENT_ATTEMPTS = text(
    "SELECT one.task, one.attempt, other.attempt FROM attempts one JOIN attempts other"
    " ON one.repository_id = other.repository_id AND one.task = other.task AND one.role = other.role"
    " AND one.attempt < other.attempt"
    " WHERE one.repository_id = :home AND (one.ended_at IS NULL OR one.ended_at > other.started_at)"
)


async def summarize(storm: ChaosRun) -> dict[str, Any]:
    """The summary: counts of what happened, and `problems`, which is empty only if all is as it must be."""
    problems: list[str] = []
    status: Counter[str] = Counter()
    if storm.timed_out:
        problems.append(f"it did not come to rest within {storm.scale.timeout_seconds:.0f} s")
    for repository in storm.repositories:
        issues = [issue for issue_repository, issue in storm.issues if issue_repository is repository]
        problems += await _check_repository(storm, repository, issues, status)
    problems += storm.replicas.failures
    problems += [f"GitHub's description: {violation}" for violation in storm.hub.violations]
    problems += [f"the sandbox: {error!r}" for error in storm.hub.errors]
    bots = {storm.app.slug, storm.app.bot.login}
    requests = [record for record in storm.hub.requests if record.actor in bots]
    writes = [record for record in requests if record.method != "GET" and record.operation_id != "graphql"]
    rate_limited_count = (
        sum(request.status in (403, 429) for request in requests) - storm.random_faults.counts["403-secondary"]
    )
    return {
        "seed": storm.seed,
        "tasks": storm.scale.tasks,
        "done": status["done"],
        "failed": status["failed"],
        "behind_failed": status["ready"],
        "merged": sum(pull.merged for repository in storm.repositories for pull in repository.pulls()),
        "dispatched": sum(_count_dispatches(storm, repository).total() for repository in storm.repositories),
        "comments": sum(1 for _ in _all_comments(storm)),
        "weather": dict(sorted(storm.random_faults.counts.items())),
        "replicas_killed": storm.replicas.killed_count,
        "database_killed": storm.server.killed_count,
        "github_calls": len(requests),
        "operations": dict(Counter(record.operation_id or record.path for record in requests).most_common(12)),
        "github_writes": len(writes),
        "limits_hit": rate_limited_count,
        "seconds": round(storm.seconds, 1),
        "holds": not problems,
        "problems": problems[:50],
    }


async def _check_repository(
    storm: ChaosRun, repository: Repository, issues: list[Issue], status: Counter[str]
) -> list[str]:
    problems: list[str] = []
    async with storm.database.transaction() as connection:
        tasks = {issue.number: await store.load_task(connection, repository.id, issue.number) for issue in issues}
        escalated_numbers = set((await connection.execute(_ESCALATED_TASKS, {"home": repository.id})).scalars())
        tasks_by_pull = {
            row.number: row.task for row in await connection.execute(_LINKED_PULLS, {"home": repository.id})
        }
        concurrent_attempts = (await connection.execute(_CONCURRENT_ATTEMPTS, {"home": repository.id})).all()
        audit_result = await audit_log.verify(connection, repository.id)
    main_files = (await repository.git.git("ls-tree", "-r", "--name-only", "main")).split()
    problems += [f"{repository.full_name}: {problem}" for problem in audit_result.problems]
    problems += [
        f"{repository.full_name}#{task} was held by attempts {first_attempt} and {second_attempt} at once"
        for task, first_attempt, second_attempt in concurrent_attempts
    ]
    for issue in issues:
        issue_name = f"{repository.full_name}#{issue.number}"
        task = tasks[issue.number]
        if task is None:
            problems.append(f"{issue_name} never became a task")
            continue
        status[task.status.value] += 1
        problems += [
            f"{issue_name} {problem}" for problem in _check_task(storm, issue, task, issue.number in escalated_numbers)
        ]
        merged_pulls = [
            pull for pull in repository.pulls() if pull.merged and tasks_by_pull.get(pull.number) == issue.number
        ]
        if len(merged_pulls) != (task.status is Status.DONE):
            problems.append(f"{issue_name} is {task.status}, and merged by {[pull.number for pull in merged_pulls]}")
        # What a service hands in as the work of a task is taken for it, whatever it is: there is no review here.
        other_work = any(pull.head_ref.startswith("improvements-") for pull in merged_pulls)
        if task.status is Status.DONE and not other_work and f"work/task_{issue.number}.py" not in main_files:
            problems.append(f"{issue_name} is done, and its work is not on main")
    for pull in repository.pulls():
        problems += [
            f"{repository.full_name}#{pull.number} {problem}" for problem in _duplicate_comments(storm, pull.issue)
        ]
    for (task_number, attempt), count in _count_dispatches(storm, repository).items():
        if count > 1:
            problems.append(f"{repository.full_name}#{task_number} was dispatched {count} times for attempt {attempt}")
    return problems


def _check_task(storm: ChaosRun, issue: Issue, task: Task, is_escalated: bool) -> Iterator[str]:
    is_waiting = task.status is Status.READY and task.open_dependencies and storm.is_hopeless(issue)
    if task.status not in (Status.DONE, Status.FAILED) and not is_waiting:
        yield f"is {task.status}"
    comments = [comment.body for comment in issue.comments if comment.user is storm.app.bot]
    if task.status is Status.FAILED and not (is_escalated and any("@alice" in body for body in comments)):
        yield "failed without an escalation"
    bot_labels = {label for label in issue.label_names if _is_bot_label(label)}
    if bot_labels != set(labels_of(task)):
        yield f"has the labels {sorted(bot_labels)}, and should have {sorted(labels_of(task))}"
    if (issue.state == "closed") != (task.status is Status.DONE):
        yield f"is {issue.state}, and {task.status}"
    cards = [body for body in comments if CARD_MARKER in body]
    if len(cards) != 1:
        yield f"has {len(cards)} cards"
    elif f"| **Status** | {task.status.value} since " not in cards[0]:
        yield f"is {task.status}, which its card does not say"
    yield from _duplicate_comments(storm, issue)


def _duplicate_comments(storm: ChaosRun, issue: Issue) -> Iterator[str]:
    """Comments of ours that are there more than once, by their keys; on issues and pull requests alike."""
    bot_comments = (comment.body for comment in issue.comments if comment.user is storm.app.bot)
    keys = Counter(key for body in bot_comments for key in _KEY.findall(body))
    yield from (f"has the comment {key} {count} times" for key, count in keys.items() if count > 1)


def _is_bot_label(label: str) -> bool:
    name = label.partition(":")[0]
    return name in {"task", "status", "type", "needs", "agent", "P0", "P1", "P2"} or label in {
        *("blocked", "conflict", "stalled", "needs-human", "parked")
    }


def _count_dispatches(storm: ChaosRun, repository: Repository) -> Counter[tuple[int, int]]:
    """How often each attempt was really handed to an agent, as the agents' side has it."""
    counts: Counter[tuple[int, int]] = Counter()
    for agent in storm.hub.agents.values():
        counts.update((work.task, work.attempt) for work in agent.work_items if work.repository is repository)
    for service_agent in storm.services.agents.values():
        for session in service_agent.sessions:
            if session.repository is repository:
                counts[_parse_attempt(session.branch, session.prompt)] += 1
    return counts


def _parse_attempt(branch: str, prompt: str) -> tuple[int, int]:
    match = re.search(r"task/([0-9]+)-([0-9]+)", prompt) or re.search(r"task/([0-9]+)-([0-9]+)", branch)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _all_comments(storm: ChaosRun) -> Iterator[str]:
    for _, issue in storm.issues:
        yield from (comment.body for comment in issue.comments if comment.user is storm.app.bot)
