"""The world of a story: a GitHub sandbox, our bot beside it, one clock for both, and everything cranked by hand.

A story says what people and agents do, turns the clock, and reads what the bot wrote. At the end nothing the bot wrote
may be left unread: `written()` takes what is new, and the fixture fails on what nobody took.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from adapters.database import store
from adapters.database import tables as t
from adapters.github.exchange import RetryPolicy
from bot.app import Bot, assemble, listening
from bot.jobs import work_off
from config.settings import load_settings
from core.task import Task
from sandbox import Contract, Sandbox, TurnedClock
from sandbox.actions.conclusion import CiScript, Conclusion
from sandbox.agents import ScriptedAgent
from sandbox.serve import RequestRecord
from sandbox.world import App, Installation, Issue, Repository, User
from scheduler.startup import discover
from scheduler.sweep import sweep
from scheduler.timer import revive

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DATA = Path(__file__).parents[1] / "data" / "github"
ROOT = Path(__file__).parents[2]
NO_WAIT = RetryPolicy(wait_initial=0, wait_max=0, wait_jitter=0)
SECRET = "a-webhook-secret"

CONFIG = """\
version: 1
agents:
  codex: {adapter: actions, event: agent-task, capabilities: [python, tests], max_tasks: 2}
  claude: {adapter: actions, workflow: agent.yml, capabilities: [python, docs]}
merge: {auto: true}
escalation: {to: [alice]}
"""
AGENT_WORKFLOW = """\
name: agent
run-name: task/${{ github.event.client_payload.task || inputs.task }}-${{ github.event.client_payload.attempt || inputs.attempt }}
on:
  repository_dispatch: {types: [agent-task]}
  workflow_dispatch:
    inputs:
      task: {type: string}
      attempt: {type: string}
      agent: {type: string}
      branch: {type: string}
      base: {type: string}
      packet: {type: string}
jobs:
  work:
    runs-on: ubuntu-latest
    steps: [{run: "true"}]
"""
CI_WORKFLOW = """\
name: CI
on: pull_request
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - {name: tests, run: "true"}
"""
FILES = {
    "README.md": "# shop\n",
    "shop/cart.py": "def total(prices):\n    return sum(prices)\n",
    ".github/orchestrator.yml": CONFIG,
    ".github/workflows/agent.yml": AGENT_WORKFLOW,
    ".github/workflows/ci.yml": CI_WORKFLOW,
}


@cache
def contract() -> Contract:
    """GitHub's own description, read once."""
    return Contract.load(DATA)


def body(goal: str = "Make it so.", criteria: tuple[str, ...] = ("it is so",), *, ticked: bool = True, **more: str) -> str:
    """A task as the issue form would render it; further sections by keyword, `depends_on="#1"`."""
    box = "x" if ticked else " "
    lines = [f"### Goal\n\n{goal}"]
    if criteria:
        lines.append("### Acceptance criteria\n\n" + "\n".join(f"- [{box}] {c}" for c in criteria))
    headings = {"needs": "Required capabilities", "depends_on": "Dependencies", "priority": "Priority", "files": "Files"}
    lines += [f"### {headings[key]}\n\n{value}" for key, value in more.items()]
    return "\n\n".join(lines) + "\n"


@dataclass
class World:
    """What a story has at hand."""

    hub: Sandbox
    clock: TurnedClock
    shop: Repository
    alice: User  # a maintainer
    app: App
    installation: Installation
    stack: AsyncExitStack
    env: Mapping[str, str]
    bot: Bot
    _read: int = 0
    _bots: list[AsyncExitStack] = field(default_factory=list)

    async def settle(self) -> None:
        """Let everything happen that happens without the clock going on."""
        for _ in range(200):
            await self.hub.settled()
            await sweep(self.bot.work)
            await revive(self.bot.jobs)
            await work_off(self.bot.jobs, 4)
            await self.hub.settled()
            if await self._quiet():
                return
        raise AssertionError("the world does not come to rest")

    async def _quiet(self) -> bool:
        async with self.bot.database.transaction() as connection:
            jobs = await connection.execute(
                text("SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
            )
            due = await connection.execute(
                select(func.count()).select_from(t.deadlines).where(t.deadlines.c.due_at <= self.clock.now())
            )
            return jobs.scalar_one() == 0 and due.scalar_one() == 0 and self.hub.idle

    async def later(self, **duration: float) -> None:
        """Turn the clock (`minutes=3`), and let what is due happen."""
        self.clock.advance(timedelta(**duration).total_seconds())
        await self.settle()

    async def task(self, issue: Issue | int) -> Task:
        """The bot's own picture of a task."""
        number = issue if isinstance(issue, int) else issue.number
        async with self.bot.database.transaction() as connection:
            found = await store.task(connection, self.shop.id, number)
        assert found is not None, f"#{number} is no task"
        return found

    async def events(self, issue: Issue) -> list[str]:
        """The types of the audit trail of a task."""
        query = (
            select(t.events.c.type)
            .where(t.events.c.repository_id == self.shop.id, t.events.c.task == issue.number)
            .order_by(t.events.c.id)
        )
        async with self.bot.database.transaction() as connection:
            return list((await connection.execute(query)).scalars())

    def status(self, issue: Issue) -> str:
        """The status that GitHub shows; exactly one."""
        [status] = [name for name in issue.label_names if name.startswith("status:")]
        return status.removeprefix("status:")

    def card(self, issue: Issue) -> str:
        """The one task card."""
        [card] = [c.body for c in issue.comments if "orchestrator:card" in c.body]
        return card

    def comments(self, issue: Issue) -> list[str]:
        """What the bot wrote besides the card."""
        return [c.body for c in issue.comments if c.user is self.app.bot and "orchestrator:card" not in c.body]

    def agent(self, name: str, script: Any, **more: Any) -> ScriptedAgent:
        """Let an agent of the configuration do its work by a script."""
        agent = ScriptedAgent(script, **more)
        self.hub.agents[name] = agent
        return agent

    def ci(self, script: CiScript | None = None) -> None:
        """How CI of pull requests ends: by this script; without one, green."""

        def decide(run: Any) -> Any:
            if run.event in ("repository_dispatch", "workflow_dispatch"):
                return None
            return script(run) if script else Conclusion.success()

        self.hub.ci(self.shop, decide)

    def written(self) -> list[str]:
        """What the bot wrote to GitHub since the last call, a line each."""
        records = self._writes()
        lines = [_line(record) for record in records[self._read :]]
        self._read = len(records)
        return lines

    def unread(self) -> list[str]:
        """What the bot wrote and nobody looked at."""
        return [_line(record) for record in self._writes()[self._read :]]

    def _writes(self) -> list[RequestRecord]:
        return [
            r
            for r in self.hub.requests
            if r.installation_id is not None
            and r.actor == self.app.bot.login
            and r.method != "GET"
            and r.operation_id != "apps/create-installation-access-token"
        ]

    async def restart(self) -> None:
        """The bot goes down and another one comes up on the same database, at the same address."""
        await self._bots.pop().aclose()
        await self.start()

    async def start(self) -> None:
        """Start a bot on the story's database."""
        stack = AsyncExitStack()
        settings = load_settings(self.env, env_file=None)
        self.bot = await stack.enter_async_context(assemble(settings, self.clock, NO_WAIT))
        address = await stack.enter_async_context(listening(self.bot))
        self.app.webhook_url = f"{address}/webhook"
        self._bots.append(stack)
        await discover(self.bot.work, self.bot.client)

    async def stop(self) -> None:
        """Stop the bot."""
        while self._bots:
            await self._bots.pop().aclose()


_PATH = re.compile(r"/repos/[^/]+/[^/]+/(?:issues|pulls|git)?/?(.*)")


def _line(record: RequestRecord) -> str:
    """One write as a story reads it."""
    sent: dict[str, Any] = record.body if isinstance(record.body, dict) else {}
    what = _PATH.match(record.path)
    where = what[1] if what else record.path
    number = where.split("/")[0]
    match record.operation_id:
        case "issues/set-labels":
            status = [n for n in sent["labels"] if n.startswith("status:")]
            return f"#{number} labels {' '.join(status)}"
        case "issues/create-comment":
            kind = "card" if "orchestrator:card" in sent["body"] else f"comment: {_headline(sent['body'])}"
            return f"#{number} {kind}"
        case "issues/update-comment":
            return "card edited"
        case "reactions/create-for-issue-comment":
            return f"reaction {sent['content']}"
        case "repos/create-dispatch-event":
            payload = sent["client_payload"]
            return f"dispatch {payload['branch']} to {payload['agent']}"
        case "actions/create-workflow-dispatch":
            return f"dispatch {sent['inputs']['branch']} to {sent['inputs']['agent']}"
        case "checks/create":
            return f"check {sent['name']}: {sent.get('conclusion')}"
        case "checks/update":
            return f"check updated: {sent.get('conclusion')}"
        case "pulls/merge":
            return f"merge #{number}"
        case "issues/update":
            return f"#{number} {json.dumps({k: sent[k] for k in sorted(sent)})}"
        case "issues/create-label":
            return f"label {sent['name']}"
        case _:
            return f"{record.operation_id} {where}"


def _headline(text: str) -> str:
    return next(line for line in text.splitlines() if line.strip()).lstrip("# ")


@asynccontextmanager
async def opened(root: Path, database_url: str, files: Mapping[str, str] = FILES) -> AsyncIterator[World]:
    """A sandbox with the repository `acme/shop`, its maintainer alice, our App installed, and our bot running."""
    clock = TurnedClock(NINE)
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(Sandbox(root=root / "hub", clock=clock, contract=contract()))
        acme, alice = hub.organisation("acme"), hub.user("alice")
        shop = hub.repository("acme/shop", files=dict(files))
        hub.grant(shop, alice, "maintain")
        manifest = _manifest()
        app = hub.app(
            "mcp-orchestrator",
            webhook_url="http://127.0.0.1:9/webhook",
            secret=SECRET,
            permissions=manifest["default_permissions"],
            events=manifest["default_events"],
        )
        env = {
            "GITHUB_APP_ID": str(app.id),
            "GITHUB_PRIVATE_KEY": app.private_key,
            "GITHUB_WEBHOOK_SECRET": SECRET,
            "GITHUB_API_URL": hub.url,
            "GITHUB_SERVER_URL": hub.url,
            "DATABASE_URL": database_url,
            "DATA_DIR": str(root / "data"),
            "PORT": "0",
        }
        world = World(hub, clock, shop, alice, app, None, stack, env, None)  # type: ignore[arg-type]  # filled below
        world.ci()
        await world.start()
        stack.push_async_callback(world.stop)
        world.installation = await hub.install(app, acme, [shop])
        await world.settle()
        world.written()  # the labels it made
        yield world
        await world.settle()
        left = world.unread()
        assert not left, "the bot wrote what the story did not expect:\n" + "\n".join(left)
        assert hub.violations == [], "\n".join(hub.violations)


def _manifest() -> dict[str, Any]:
    import yaml

    manifest: dict[str, Any] = yaml.safe_load((ROOT / "app.yml").read_text())
    return manifest
