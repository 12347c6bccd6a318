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
from tests.chaos.run import Storm

_KEY = re.compile(re.escape(KEY_MARKER) + r"(\S+)")
_ESCALATED = text("SELECT DISTINCT task FROM escalations WHERE repository_id = :home")
_LINKED = text("SELECT number, task FROM pulls WHERE repository_id = :home")
# Two attempts at the work of one task at the same time; reviews are another role.
_HELD_BY_TWO = text(
    "SELECT one.task, one.attempt, other.attempt FROM attempts one JOIN attempts other"
    " ON one.repository_id = other.repository_id AND one.task = other.task AND one.role = other.role"
    " AND one.attempt < other.attempt"
    " WHERE one.repository_id = :home AND (one.ended_at IS NULL OR one.ended_at > other.started_at)"
)


async def reckon(storm: Storm) -> dict[str, Any]:
    """The summary: counts of what happened, and `problems`, which is empty only if all is as it must be."""
    problems: list[str] = []
    status: Counter[str] = Counter()
    if storm.hung:
        problems.append(f"it did not come to rest within {storm.scale.patience:.0f} s")
    for repository in storm.repositories:
        issues = [issue for there, issue in storm.issues if there is repository]
        problems += await _in_repository(storm, repository, issues, status)
    problems += storm.crowd.failed
    problems += [f"GitHub's description: {violation}" for violation in storm.hub.violations]
    problems += [f"the sandbox: {error!r}" for error in storm.hub.errors]
    bots = {storm.app.slug, storm.app.bot.login}
    calls = [record for record in storm.hub.requests if record.actor in bots]
    writes = [record for record in calls if record.method != "GET" and record.operation_id != "graphql"]
    limited = sum(r.status in (403, 429) for r in calls) - storm.weather.counts["403-secondary"]
    return {
        "seed": storm.seed,
        "tasks": storm.scale.tasks,
        "done": status["done"],
        "failed": status["failed"],
        "behind_failed": status["ready"],
        "merged": sum(pull.merged for repository in storm.repositories for pull in repository.pulls()),
        "dispatched": sum(_dispatched(storm, repository).total() for repository in storm.repositories),
        "comments": sum(1 for _ in _all_comments(storm)),
        "weather": dict(sorted(storm.weather.counts.items())),
        "replicas_killed": storm.crowd.killed,
        "database_killed": storm.server.killed,
        "github_calls": len(calls),
        "operations": dict(Counter(record.operation_id or record.path for record in calls).most_common(12)),
        "github_writes": len(writes),
        "limits_hit": limited,
        "seconds": round(storm.seconds, 1),
        "holds": not problems,
        "problems": problems[:50],
    }


async def _in_repository(storm: Storm, home: Repository, issues: list[Issue], status: Counter[str]) -> list[str]:
    found: list[str] = []
    async with storm.database.transaction() as connection:
        tasks = {issue.number: await store.load_task(connection, home.id, issue.number) for issue in issues}
        called = set((await connection.execute(_ESCALATED, {"home": home.id})).scalars())
        linked = {row.number: row.task for row in await connection.execute(_LINKED, {"home": home.id})}
        twice = (await connection.execute(_HELD_BY_TWO, {"home": home.id})).all()
        verdict = await audit_log.verify(connection, home.id)
    on_main = (await home.git.git("ls-tree", "-r", "--name-only", "main")).split()
    found += [f"{home.full_name}: {problem}" for problem in verdict.problems]
    found += [f"{home.full_name}#{task} was held by attempts {one} and {other} at once" for task, one, other in twice]
    for issue in issues:
        where = f"{home.full_name}#{issue.number}"
        task = tasks[issue.number]
        if task is None:
            found.append(f"{where} never became a task")
            continue
        status[task.status.value] += 1
        found += [f"{where} {problem}" for problem in _of_task(storm, issue, task, issue.number in called)]
        merged = [pull for pull in home.pulls() if pull.merged and linked.get(pull.number) == issue.number]
        if len(merged) != (task.status is Status.DONE):
            found.append(f"{where} is {task.status}, and merged by {[pull.number for pull in merged]}")
        # What a service hands in as the work of a task is taken for it, whatever it is: nobody reviews here.
        other_work = any(pull.head_ref.startswith("improvements-") for pull in merged)
        if task.status is Status.DONE and not other_work and f"work/task_{issue.number}.py" not in on_main:
            found.append(f"{where} is done, and its work is not on main")
    for pull in home.pulls():
        found += [f"{home.full_name}#{pull.number} {problem}" for problem in _twice(storm, pull.issue)]
    for (task_number, attempt), count in _dispatched(storm, home).items():
        if count > 1:
            found.append(f"{home.full_name}#{task_number} was dispatched {count} times for attempt {attempt}")
    return found


def _of_task(storm: Storm, issue: Issue, task: Task, called: bool) -> Iterator[str]:
    waits = task.status is Status.READY and task.waits_for and storm.is_hopeless(issue)
    if task.status not in (Status.DONE, Status.FAILED) and not waits:
        yield f"is {task.status}"
    comments = [c.body for c in issue.comments if c.user is storm.app.bot]
    if task.status is Status.FAILED and not (called and any("@alice" in body for body in comments)):
        yield "failed, and nobody was called"
    ours = {label for label in issue.label_names if _is_ours(label)}
    if ours != set(labels_of(task)):
        yield f"has the labels {sorted(ours)}, and should have {sorted(labels_of(task))}"
    if (issue.state == "closed") != (task.status is Status.DONE):
        yield f"is {issue.state}, and {task.status}"
    cards = [body for body in comments if CARD_MARKER in body]
    if len(cards) != 1:
        yield f"has {len(cards)} cards"
    elif f"| **Status** | {task.status.value} since " not in cards[0]:
        yield f"is {task.status}, which its card does not say"
    yield from _twice(storm, issue)


def _twice(storm: Storm, issue: Issue) -> Iterator[str]:
    """Comments of ours that are there more than once, by their keys; on issues and pull requests alike."""
    ours = (comment.body for comment in issue.comments if comment.user is storm.app.bot)
    keys = Counter(key for body in ours for key in _KEY.findall(body))
    yield from (f"has the comment {key} {count} times" for key, count in keys.items() if count > 1)


def _is_ours(label: str) -> bool:
    name = label.partition(":")[0]
    return name in {"task", "status", "type", "needs", "agent", "P0", "P1", "P2"} or label in {
        *("blocked", "conflict", "stalled", "needs-human", "parked")
    }


def _dispatched(storm: Storm, home: Repository) -> Counter[tuple[int, int]]:
    """How often each attempt was really handed to an agent, as the agents' side has it."""
    counts: Counter[tuple[int, int]] = Counter()
    for agent in storm.hub.agents.values():
        counts.update((work.task, work.attempt) for work in agent.works if work.repository is home)
    for outside in storm.services.agents.values():
        for session in outside.sessions:
            if session.repository is home:
                counts[_attempt_of(session.branch, session.prompt)] += 1
    return counts


def _attempt_of(branch: str, prompt: str) -> tuple[int, int]:
    found = re.search(r"task/([0-9]+)-([0-9]+)", prompt) or re.search(r"task/([0-9]+)-([0-9]+)", branch)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _all_comments(storm: Storm) -> Iterator[str]:
    for _, issue in storm.issues:
        yield from (comment.body for comment in issue.comments if comment.user is storm.app.bot)
