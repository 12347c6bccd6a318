"""What needs a world: the sandbox, the real bot with its own PostgreSQL, and real time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import yaml
from sqlalchemy import text

from adapters.database import store, task_queue
from bot.app import Bot, assemble, listening
from config.repository import Scoring, parse_repository_config
from config.settings import load_settings
from core.assignment.rules import AssignmentPass
from core.assignment.stats import quantile
from core.decide.issues import text_digest
from core.signals.base import CommandReceived
from core.task.labels import labels_of
from core.task.model import Task
from sandbox import RateLimitSettings, Sandbox
from sandbox.actors.agents import AgentWork, ScriptedAgent
from sandbox.actors.people import Person
from sandbox.services.labels import add_label
from sandbox.state.models import Issue, Repository
from tests.bench.figure import Figure
from tests.builders import ALICE, NOW, Story, agent, repository_labels
from tests.scenarios.shop import CONFIG_PATH, FILES, body

ROOT = Path(__file__).parents[2]
LIMITS = RateLimitSettings(
    requests_per_hour=10**6, points_per_minute=10**6, content_per_minute=10**6, content_per_hour=10**6
)
TIMEOUT_SECONDS = 120.0  # seconds until something that should happen counts as not happening


@dataclass
class StartRecorder:
    """An agent that notes when it began, and then goes on until it is stopped."""

    started_at: dict[int, float] = field(default_factory=dict)  # by the number of the task

    async def __call__(self, work: AgentWork) -> None:
        """Begin."""
        self.started_at[work.task] = perf_counter()
        await work.stall()


@dataclass
class Environment:
    """Everything that is running."""

    hub: Sandbox
    shop: Repository
    alice: Person
    bot: Bot
    bot_task: asyncio.Task[None]
    others: tuple[Repository, ...] = ()

    async def file_task(self, title: str, **more: Any) -> Issue:
        """Alice files a task that is ready at once."""
        return await self.alice.opens_issue(self.shop, title, body(f"Do {title}.", **more), labels=["task"])


@asynccontextmanager
async def open_environment(
    agents: dict[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    other_names: Sequence[str] = (),
    **sections: Any,
) -> AsyncIterator[Environment]:
    """The sandbox and the bot, at work on a repository with these agents; `environment` has further settings.

    The bot works on the `other_names` too, with the same configuration.
    """
    workflow = {"adapter": "actions", "event": "agent-task"}
    config = {"version": 1, "agents": {name: {**workflow, **spec} for name, spec in agents.items()}, **sections}
    text = yaml.safe_dump(config)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="orchestrator-bench-")))
        hub = await stack.enter_async_context(Sandbox(folder / "github", limits=LIMITS))
        organisation, alice = hub.organisation("acme"), hub.user("alice")
        repositories = []
        for name in ("acme/shop", *other_names):
            files = {**FILES, CONFIG_PATH: text}
            repository = await asyncio.to_thread(partial(hub.repository, name, files=files))
            hub.grant(repository, alice, "maintain")
            for label in repository_labels(parse_repository_config(text)):
                add_label(hub, repository, label.name, label.colour, label.description)
            repositories.append(repository)
        shop, *others = repositories
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
        bot_task = asyncio.create_task(bot.run())
        stack.push_async_callback(_stop, bot_task)
        await hub.install(app, organisation, repositories)
        yield Environment(hub, shop, alice, bot, bot_task, tuple(others))


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _wait_for_starts(count: int, started: dict[int, float]) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while len(started) < count:
            await asyncio.sleep(0.02)


def _make_waiting_task(environment: Environment, capability: str) -> Task:
    """One more task that waits, known here and on GitHub, as if all news of it had been taken in."""
    hub, shop, number = environment.hub, environment.shop, environment.shop.next_number()
    title, text, filed_at = (
        f"Waiting {number}",
        body(f"Wait {number}.", needs=capability),
        NOW + timedelta(seconds=number),
    )
    issue = Issue(
        id=hub.new_id(),
        repository=shop,
        number=number,
        title=title,
        body=text,
        user=environment.alice,
        created_at=filed_at,
        updated_at=filed_at,
    )
    task = replace(
        Story().file_ready_task().task,
        repository_id=shop.id,
        number=number,
        issue_id=issue.id,
        title=title,
        required_capabilities=(capability,),
        fingerprint=f"waiting-{number}",
        text_digest=text_digest(title, text),
        created_at=filed_at,
        issue_updated_at=filed_at,
    )
    issue.labels += [label for label in shop.labels.values() if label.name in labels_of(task)]
    shop.issues[number] = issue
    return task


async def _add_waiting_tasks(environment: Environment, count: int, capability: str) -> int:
    """So many tasks that wait, straight into the database: filing them is not what is measured. Gives the first."""
    first_number = environment.shop.next_number()
    async with environment.bot.database.transaction() as connection:
        for _ in range(count):
            await store.save_task(connection, _make_waiting_task(environment, capability), NOW)
    return first_number


_PENDING_WORK = text(
    "SELECT (SELECT count(*) FROM outbox WHERE state = 'pending') + (SELECT count(*) FROM procrastinate_jobs)"
)


async def _wait_until_idle(environment: Environment) -> None:
    """Wait until the bot has nothing to do."""
    async with asyncio.timeout(10 * TIMEOUT_SECONDS), environment.bot.database.autocommit() as connection:
        while (await connection.execute(_PENDING_WORK)).scalar_one():
            await asyncio.sleep(0.5)


async def latency(
    seconds: float = 60, per_minute: int = 100, running_count: int = 20, queued_count: int = 1_000
) -> Figure:
    """From filing a task that is ready to its agent's first breath, while others work and wait."""
    quick_agents = {f"quick-{number}": {"capabilities": ["python"], "max_tasks": 5} for number in range(8)}
    script = StartRecorder()
    async with open_environment({**quick_agents, "rare": {"capabilities": ["docs"]}}) as environment:
        for name in (*quick_agents, "rare"):
            environment.hub.agents[name] = ScriptedAgent(script)
        open_issues = [await environment.file_task("one that keeps the rare agent busy", needs="docs")]
        open_issues += [
            await environment.file_task(f"earlier {number}", needs="python") for number in range(1, running_count)
        ]
        await _wait_for_starts(running_count, script.started_at)
        await _add_waiting_tasks(environment, queued_count, "docs")
        await _wait_until_idle(
            environment
        )  # the waiting tasks are as if they had been there for long: with their labels and cards
        filed_at_by_number: dict[int, float] = {}
        interval_seconds, started_at = 60 / per_minute, perf_counter()
        for number in range(round(seconds / interval_seconds)):
            await asyncio.sleep(max(0.0, started_at + number * interval_seconds - perf_counter()))
            now = perf_counter()
            issue = await environment.file_task(f"request {number}", needs="python")
            filed_at_by_number[issue.number] = now
            open_issues.append(issue)
            if len(open_issues) > running_count:  # as many go as come; the first keeps the rare agent busy
                await environment.alice.closes(open_issues.pop(1), reason="not_planned")
        with suppress(TimeoutError):
            await _wait_for_starts(running_count + len(filed_at_by_number), script.started_at)
        latencies_ms = [
            (script.started_at[number] - filed_at) * 1000 if number in script.started_at else TIMEOUT_SECONDS * 1000
            for number, filed_at in filed_at_by_number.items()
        ]
    details = {
        "median": round(median(latencies_ms), 1),
        "worst": round(max(latencies_ms), 1),
        "requests": len(filed_at_by_number),
        "per_minute": per_minute,
        "seconds": seconds,
        "in_progress": running_count,
        "queued": queued_count,
        "time": "real",
    }
    return Figure("assignment_latency_p95_ms", (quantile(latencies_ms, 0.95) or 0.0), "ms", 1_000, 5_000, details)


async def failover(tasks: int = 8, attempt_seconds: int = 8) -> Figure:
    """Agents that never come back: from the deadline that finds it to the first breath of the other agent."""
    failing_agent, other_agent = StartRecorder(), StartRecorder()
    agents = {
        "dying": {"capabilities": ["python", "docs"], "max_tasks": tasks},
        "other": {"capabilities": ["python"], "max_tasks": tasks},
    }
    timeout = f"{attempt_seconds - 2}s"
    timeouts = {"ack": timeout, "heartbeat": timeout, "stall": timeout, "attempt": f"{attempt_seconds}s"}
    async with open_environment(agents, timeouts=timeouts) as environment:
        environment.hub.agents |= {"dying": ScriptedAgent(failing_agent), "other": ScriptedAgent(other_agent)}
        offset = perf_counter() - environment.bot.work.now().timestamp()
        issues = [await environment.file_task(f"task {index}", needs="python", wishes="docs") for index in range(tasks)]
        await _wait_for_starts(tasks, failing_agent.started_at)
        due_at_by_number = {}
        async with environment.bot.database.transaction() as connection:
            for issue in issues:
                task = await store.load_task(connection, environment.shop.id, issue.number)
                assert task
                assert task.lease
                due_at_by_number[issue.number] = task.lease.since.timestamp() + attempt_seconds + offset
        await _wait_for_starts(tasks, other_agent.started_at)
        durations = [other_agent.started_at[number] - due_at for number, due_at in due_at_by_number.items()]
    details = {
        "median": round(median(durations), 3),
        "tasks": tasks,
        "found_by": f"the hard deadline of {attempt_seconds} s",
        "time": "real",
    }
    return Figure("failover_seconds_max", max(durations), "s", 5, 10, details)


async def one_change(queued_count: int = 10_000, runs: int = 15) -> Figure:
    """Through the database: the change of one waiting task against a pass over all that wait."""
    agents = {"codex": {"capabilities": ["python"], "max_tasks": 1}}
    async with open_environment(agents, limits={"max_queue_depth": 2 * queued_count}) as environment:
        environment.hub.agents["codex"] = ScriptedAgent(script := StartRecorder())
        await environment.file_task("one that keeps the agent busy", needs="python")
        await _wait_for_starts(1, script.started_at)
        await _stop(environment.bot_task)  # what is sent afterwards is not measured
        first_number = await _add_waiting_tasks(environment, queued_count, "python")
        change_seconds, pass_seconds = [], []
        for index in range(runs):
            started_at = perf_counter()
            async with environment.bot.work.begin(environment.shop.id) as unit:
                changed = await unit.session.load_task(first_number + index)
                assert changed
                await unit.apply(changed.number, _priority_command(changed))
            change_seconds.append(perf_counter() - started_at)
            started_at = perf_counter()
            async with environment.bot.database.transaction() as connection:
                queue_filter = task_queue.QueueFilter(frozenset({frozenset({"python"})}))
                waiting_tasks = await task_queue.list_assignable(
                    connection, environment.shop.id, queue_filter, queued_count
                )
                assignment_pass = AssignmentPass([agent("codex", "python", holding=1)], Scoring(), NOW)
                for task in waiting_tasks:
                    assignment_pass.choose(task)
            pass_seconds.append(perf_counter() - started_at)
    details = {
        "one_change_ms": round(median(change_seconds) * 1000, 1),
        "pass_ms": round(median(pass_seconds) * 1000, 1),
        "queued": queued_count,
        "runs": runs,
    }
    return Figure(
        "assignment_one_change_vs_pass", median(change_seconds) / median(pass_seconds), "times", 0.5, details=details
    )


def _priority_command(task: Task) -> CommandReceived:
    return CommandReceived(task.number, "priority", "P1", ALICE, "write", f"bench:{task.number}")
