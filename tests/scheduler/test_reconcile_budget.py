"""What a look at a whole repository costs: 200 open tasks and 40 pull requests about which nothing differs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from sqlalchemy import text

from adapters.database import audit_log, dependency_graph, open_pulls, repositories, store
from adapters.github.convert import pull_facts
from core.audit.chain import events_with_changes
from core.conflicts.pulls import TrialMerge
from core.decide import Context, decide
from core.decide.issues import text_digest
from core.forecast.model import Forecast
from core.signals.base import IssueSeen, PullSeen
from core.task.deadlines import task_target
from core.task.dependencies import Dependency
from core.task.labels import labels_of
from engine import issue_reader
from sandbox.services.issues import open_issue
from sandbox.services.labels import get_or_create_labels
from sandbox.state.models import Issue, PullRequest
from scheduler.reconcile import reconcile
from tests.scenarios.shop import CONFIG_PATH, body, config
from tests.scenarios.world import World, open_world

TASKS, PULLS, WAITING = 200, 40, 20
CODE = {CONFIG_PATH: config(merge={"auto": False})}
ROWS = text(
    "SELECT 'task ' || number, xmin::text FROM tasks UNION ALL SELECT target_id || kind, xmin::text FROM deadlines"
    " WHERE target_kind = 'task' UNION ALL SELECT 'events', count(*)::text FROM events ORDER BY 1"
)


async def test_a_repository_as_we_know_it_costs_a_handful_of_calls_and_writes_nothing(
    tmp_path: Path, database_url: str
) -> None:
    async with open_world(tmp_path, database_url, CODE) as world:
        await _fill(world)
        before = await _rows(world)
        calls, points = await _reconciled(world)
        assert await _rows(world) == before
        reading = {operation: count for operation, count in calls.items() if operation != "graphql"}
        # The configuration, its templates and CODEOWNERS; of issues and pull requests nothing one by one.
        assert set(reading) <= {"repos/get-content"}
        assert calls["graphql"] == 4, calls  # two pages of issues, one of pull requests, what is waited for elsewhere
        assert calls.total() <= 12, calls
        assert points <= 8, points
        await _forget(world)


async def _fill(world: World) -> None:
    """The tasks, into GitHub and the database at once: how they come about is not what is measured."""
    hub, shop, work = world.hub, world.shop, world.bot.work
    hub.faults.drop(times=100_000)
    github = world.bot.client.installation(world.installation.id)
    elsewhere = [open_issue(hub, shop, world.alice, f"question {n}") for n in range(WAITING)]
    task = get_or_create_labels(hub, shop, world.alice, ["task"])
    issues = []
    for n in range(TASKS):
        more: dict[str, Any] = {"depends_on": f"#{elsewhere[n].number}"} if n < WAITING else {}
        said = body(f"Do {n}.", criteria=(), files=f"shop/m{n}.py", **more)
        issues.append(open_issue(hub, shop, world.alice, f"task {n}", said, issue_labels=task))
    for issue in issues[-PULLS:]:
        _pull(world, issue)
    async with work.database.autocommit() as connection:
        row = await repositories.load_repository(connection, shop.id)
    assert row
    assert row.config
    signals = {}
    async for page in github.list_open_issues(shop.full_name, "task"):
        for node in page:
            facts = issue_reader.issue_facts(node.to_issue())
            signals[node.number] = IssueSeen(
                facts,
                dependencies={f"#{one.number}": Dependency(False) for one in facts.intake.dependencies},
                forecast=Forecast((), text_digest(facts.title, facts.body), files_known=True),
            )
    told = await github.list_open_pulls(shop.full_name)
    pulls = {issue.number: one.pull for one, issue in zip(told.pulls, issues[-PULLS:], strict=True)}
    tried = TrialMerge(base_sha=shop.git.head("main"), clean=True)
    context = Context(work.now(), row.config, shop.id, shop.full_name)
    tasks = {}
    async with work.database.transaction() as connection:
        for number, signal in signals.items():
            made = decide(None, signal, context)
            lines = events_with_changes(made.events, None, made.task)
            if pull := pulls.get(number):
                opened = decide(made.task, PullSeen(pull_facts(pull), None, author_can_write=True), context)
                lines += events_with_changes(opened.events, made.task, opened.task)
                await open_pulls.upsert(connection, shop.id, number, pull_facts(pull))
                await open_pulls.save_trial_merges(connection, shop.id, {pull.number: tried})
                made = opened
            assert made.task
            tasks[number] = made.task
            await store.save_task(connection, made.task, work.now())
            await dependency_graph.save_dependencies(connection, shop.id, number, signal.dependencies)
            await audit_log.append(connection, shop.id, lines)
            await store.replace_deadlines(connection, shop.id, task_target(number), made.deadlines or (), work.now())
    for issue in issues:
        issue.labels = get_or_create_labels(hub, shop, world.alice, labels_of(tasks[issue.number]))
    await hub.wait_until_idle()


def _pull(world: World, issue: Issue) -> None:
    """A pull request for the issue, without the git behind it."""
    hub, shop = world.hub, world.shop
    page = open_issue(hub, shop, world.alice, "Work", f"Closes #{issue.number}")
    ends: dict[str, Any] = {"head_sha": f"{page.number:040x}", "base_ref": "main", "base_sha": shop.git.head("main")}
    page.pull = PullRequest(id=page.id, issue=page, head_ref=f"work-{issue.number}", **ends)


async def _reconciled(world: World) -> tuple[Counter[str], int]:
    """One look: the calls by operation, and the points of the GraphQL among them."""
    work, github = world.bot.work, world.bot.client.installation(world.installation.id)
    async with work.database.autocommit() as connection:
        row = await repositories.load_repository(connection, world.shop.id)
    assert row
    bucket = world.hub.usage_counter.bucket(f"installation {world.installation.id}", "graphql", world.hub.now())
    asked, spent = len(world.hub.requests), bucket.used
    await reconcile(work, github, world.bot.context.forecasts, row)
    calls: Counter[str] = Counter(str(request.operation_id) for request in world.hub.requests[asked:])
    return calls, bucket.used - spent


async def _rows(world: World) -> list[Any]:
    async with world.bot.database.autocommit() as connection:
        return list(await connection.execute(ROWS))


async def _forget(world: World) -> None:
    """Nothing of it is to be sent."""
    world.hub.faults.clear()
    async with world.bot.database.transaction() as connection:
        await connection.execute(text("UPDATE outbox SET state = 'done'"))
