"""What needs a world: the sandbox, the real bot with its own PostgreSQL, and real time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import yaml
from sqlalchemy import text

from adapters.database import store, task_queue
from bot.app import Bot, assemble, listening
from config.labels import describe
from config.repository import Scoring, parse_repository_config
from config.settings import load_settings
from core.assignment.rules import AssignmentPass
from core.assignment.stats import quantile
from core.decide.issues import text_digest
from core.signals.base import CommandReceived
from core.task.labels import labels_for, labels_of
from core.task.model import Task
from sandbox import RateLimits, Sandbox
from sandbox.actors.agents import AgentWork, ScriptedAgent
from sandbox.actors.people import Person
from sandbox.services.labels import add_label
from sandbox.state.models import Issue, Repository
from tests.bench.figure import Figure
from tests.builders import ALICE, NOW, Story, agent
from tests.scenarios.shop import CONFIG_PATH, FILES, body

ROOT = Path(__file__).parents[2]
LIMITS = RateLimits(requests_per_hour=10**6, points_per_minute=10**6, content_per_minute=10**6, content_per_hour=10**6)
PATIENCE = 120.0  # seconds until something that should happen counts as not happening


@dataclass
class Begins:
    """An agent that notes when it began, and then goes on until it is stopped."""

    began: dict[int, float] = field(default_factory=dict)  # by the number of the task

    async def __call__(self, work: AgentWork) -> None:
        """Begin."""
        self.began[work.task] = perf_counter()
        await work.stall()


@dataclass
class Place:
    """Everything that is running."""

    hub: Sandbox
    shop: Repository
    alice: Person
    bot: Bot
    at_work: asyncio.Task[None]

    async def files(self, title: str, **more: Any) -> Issue:
        """Alice files a task that is ready at once."""
        return await self.alice.opens_issue(self.shop, title, body(f"Do {title}.", **more), labels=["task"])


@asynccontextmanager
async def running(
    agents: dict[str, Any], *, environment: Mapping[str, str] | None = None, **sections: Any
) -> AsyncIterator[Place]:
    """The sandbox and the bot, at work on a repository with these agents; `environment` has further settings."""
    workflow = {"adapter": "actions", "event": "agent-task"}
    config = {"version": 1, "agents": {name: {**workflow, **spec} for name, spec in agents.items()}, **sections}
    text = yaml.safe_dump(config)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-bench-")))
        hub = await stack.enter_async_context(Sandbox(folder / "github", limits=LIMITS))
        acme, alice = hub.organisation("acme"), hub.user("alice")
        shop = await asyncio.to_thread(lambda: hub.repository("acme/shop", files={**FILES, CONFIG_PATH: text}))
        hub.grant(shop, alice, "maintain")
        for label in map(describe, labels_for(parse_repository_config(text))):
            add_label(hub, shop, label.name, label.colour, label.description)
        manifest: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text(encoding="utf-8"))
        app = hub.register_app(
            "mcp-orchestrator",
            secret="a-webhook-secret",
            permissions=manifest["default_permissions"],
            events=manifest["default_events"],
        )
        settings = {
            "GITHUB_APP_ID": str(app.id),
            "GITHUB_PRIVATE_KEY": app.private_key,
            "GITHUB_WEBHOOK_SECRET": "a-webhook-secret",
            "GITHUB_API_URL": hub.url,
            "GITHUB_SERVER_URL": hub.url,
            "DATA_DIR": str(folder / "orchestrator"),
            "PORT": "0",
            "GITHUB_WRITE_INTERVAL_SECONDS": "0",  # what is measured is ours, not GitHub's advice
            "MEMORY_LIMIT_MB": "4096",  # the sandbox, which forgets nothing, is in this process
            "GITHUB_POINTS_PER_MINUTE": "1000000",
            "GITHUB_CONTENT_PER_MINUTE": "1000000",
            "GITHUB_CONTENT_PER_HOUR": "1000000",
            **(environment or {}),
        }
        bot = await stack.enter_async_context(assemble(load_settings(settings, env_file=None)))
        app.webhook_url = f"{await stack.enter_async_context(listening(bot))}/webhook"
        at_work = asyncio.create_task(bot.run())
        stack.push_async_callback(_stop, at_work)
        await hub.install(app, acme, [shop])
        yield Place(hub, shop, alice, bot, at_work)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _until(count: int, seen: dict[int, float]) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(seen) < count:
            await asyncio.sleep(0.02)


def _waiting(place: Place, needs: str) -> Task:
    """One more task that waits, known here and on GitHub, as if all news of it had been taken in."""
    hub, shop, number = place.hub, place.shop, place.shop.next_number()
    title, text, filed = f"Waiting {number}", body(f"Wait {number}.", needs=needs), NOW + timedelta(seconds=number)
    issue = Issue(
        id=hub.new_id(),
        repository=shop,
        number=number,
        title=title,
        body=text,
        user=place.alice,
        created_at=filed,
        updated_at=filed,
    )
    task = replace(
        Story().ready().task,
        repository_id=shop.id,
        number=number,
        issue_id=issue.id,
        title=title,
        required=(needs,),
        fingerprint=f"waiting-{number}",
        text_digest=text_digest(title, text),
        created_at=filed,
        issue_updated_at=filed,
    )
    issue.labels += [label for label in shop.labels.values() if label.name in labels_of(task)]
    shop.issues[number] = issue
    return task


async def _fill(place: Place, count: int, needs: str) -> int:
    """So many tasks that wait, straight into the database: filing them is not what is measured. Gives the first."""
    first = place.shop.next_number()
    async with place.bot.database.transaction() as connection:
        for _ in range(count):
            await store.save_task(connection, _waiting(place, needs), NOW)
    return first


_LEFT = text("SELECT (SELECT count(*) FROM outbox WHERE state = 'waiting') + (SELECT count(*) FROM procrastinate_jobs)")


async def _at_rest(place: Place) -> None:
    """Wait until the bot has nothing to do."""
    async with asyncio.timeout(10 * PATIENCE), place.bot.database.autocommit() as connection:
        while (await connection.execute(_LEFT)).scalar_one():
            await asyncio.sleep(0.5)


async def latency(seconds: float = 60, per_minute: int = 100, at_work: int = 20, queued: int = 1_000) -> Figure:
    """From filing a task that is ready to its agent's first breath, while others work and wait."""
    crowd = {f"quick-{n}": {"capabilities": ["python"], "max_tasks": 5} for n in range(8)}
    script = Begins()
    async with running({**crowd, "rare": {"capabilities": ["docs"]}}) as place:
        for name in (*crowd, "rare"):
            place.hub.agents[name] = ScriptedAgent(script)
        busy = [await place.files("one that keeps the rare agent busy", needs="docs")]
        busy += [await place.files(f"earlier {n}", needs="python") for n in range(1, at_work)]
        await _until(at_work, script.began)
        await _fill(place, queued, "docs")
        await _at_rest(place)  # the waiting tasks are as if they had been there for long: with their labels and cards
        filed: dict[int, float] = {}
        pause, begun = 60 / per_minute, perf_counter()
        for n in range(round(seconds / pause)):
            await asyncio.sleep(max(0.0, begun + n * pause - perf_counter()))
            now = perf_counter()
            issue = await place.files(f"request {n}", needs="python")
            filed[issue.number] = now
            busy.append(issue)
            if len(busy) > at_work:  # as many go as come; the first keeps the rare agent busy
                await place.alice.closes(busy.pop(1), reason="not_planned")
        with suppress(TimeoutError):
            await _until(at_work + len(filed), script.began)
        late = [(script.began[n] - at) * 1000 if n in script.began else PATIENCE * 1000 for n, at in filed.items()]
    how = {
        "median": round(median(late), 1),
        "worst": round(max(late), 1),
        "requests": len(filed),
        "per_minute": per_minute,
        "seconds": seconds,
        "in_progress": at_work,
        "queued": queued,
        "time": "real",
    }
    return Figure("assignment_latency_p95_ms", (quantile(late, 0.95) or 0.0), "ms", 1_000, 5_000, how)


async def failover(tasks: int = 8, hard: int = 8) -> Figure:
    """Agents that never come back: from the deadline that finds it to the first breath of the other agent."""
    dying, other = Begins(), Begins()
    agents = {
        "dying": {"capabilities": ["python", "docs"], "max_tasks": tasks},
        "other": {"capabilities": ["python"], "max_tasks": tasks},
    }
    short = f"{hard - 2}s"
    timeouts = {"ack": short, "heartbeat": short, "stall": short, "attempt": f"{hard}s"}
    async with running(agents, timeouts=timeouts) as place:
        place.hub.agents |= {"dying": ScriptedAgent(dying), "other": ScriptedAgent(other)}
        offset = perf_counter() - place.bot.work.now().timestamp()
        issues = [await place.files(f"task {n}", needs="python", wishes="docs") for n in range(tasks)]
        await _until(tasks, dying.began)
        due = {}
        async with place.bot.database.transaction() as connection:
            for issue in issues:
                task = await store.load_task(connection, place.shop.id, issue.number)
                assert task
                assert task.lease
                due[issue.number] = task.lease.since.timestamp() + hard + offset
        await _until(tasks, other.began)
        took = [other.began[number] - at for number, at in due.items()]
    how = {
        "median": round(median(took), 3),
        "tasks": tasks,
        "found_by": f"the hard deadline of {hard} s",
        "time": "real",
    }
    return Figure("failover_seconds_max", max(took), "s", 5, 10, how)


async def one_change(queued: int = 10_000, runs: int = 15) -> Figure:
    """Through the database: the change of one waiting task against a pass over all that wait."""
    codex = {"codex": {"capabilities": ["python"], "max_tasks": 1}}
    async with running(codex, limits={"max_queue_depth": 2 * queued}) as place:
        place.hub.agents["codex"] = ScriptedAgent(script := Begins())
        await place.files("one that keeps the agent busy", needs="python")
        await _until(1, script.began)
        await _stop(place.at_work)  # what is sent afterwards is not measured
        first = await _fill(place, queued, "python")
        one, whole = [], []
        for n in range(runs):
            begun = perf_counter()
            async with place.bot.work.on(place.shop.id) as unit:
                known = await unit.task(first + n)
                assert known
                await unit.apply(known.number, _priority(known))
            one.append(perf_counter() - begun)
            begun = perf_counter()
            async with place.bot.database.transaction() as connection:
                wanted = task_queue.QueueFilter(frozenset({frozenset({"python"})}))
                waiting = await task_queue.list_assignable(connection, place.shop.id, wanted, queued)
                round_ = AssignmentPass([agent("codex", "python", holding=1)], Scoring(), NOW)
                for task in waiting:
                    round_.choose(task)
            whole.append(perf_counter() - begun)
    how = {
        "one_change_ms": round(median(one) * 1000, 1),
        "pass_ms": round(median(whole) * 1000, 1),
        "queued": queued,
        "runs": runs,
    }
    return Figure("assignment_one_change_vs_pass", median(one) / median(whole), "times", 0.5, how=how)


def _priority(task: Task) -> CommandReceived:
    return CommandReceived(task.number, "priority", "P1", ALICE, "write", f"bench:{task.number}")
