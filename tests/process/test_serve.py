"""The bot as operators run it: a process of its own, with its embedded PostgreSQL, against a server that speaks
GitHub's API. It is killed the hard way, and nothing is lost or done twice.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import yaml

from sandbox import RealClock, Sandbox
from sandbox.actions.scripted_result import ScriptedResult
from sandbox.actors.agents import ScriptedAgent, WritesFiles
from sandbox.actors.people import Person
from sandbox.state.models import App, Issue, PullRequest, Repository
from tests.contract import contract
from tests.scenarios.shop import FILES, body
from tests.scenarios.world import ROOT, SECRET

PATIENCE = 180.0  # seconds that anything may take before the test gives up; on a busy machine all of it is slow


async def until(what: Callable[[], bool]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(PATIENCE):
        while not what():
            await asyncio.sleep(0.02)


@dataclass
class Process:
    """One running `orchestrator serve`."""

    child: asyncio.subprocess.Process
    address: str

    async def kill(self) -> None:
        """As when the machine loses power."""
        self.child.send_signal(signal.SIGKILL)
        await self.child.wait()

    async def terminate(self) -> int:
        """As an operator stops it; gives the exit status."""
        self.child.terminate()
        await asyncio.wait_for(self.child.wait(), PATIENCE)
        return self.child.returncode or 0


@dataclass
class Site:
    """A sandbox on real time, and what a bot needs to work there."""

    hub: Sandbox
    shop: Repository
    alice: Person
    app: App
    env: dict[str, str]

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[Process]:
        """A bot, which does not outlive the test."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "serve", env=self.env, stderr=asyncio.subprocess.PIPE
        )
        assert child.stderr is not None
        reading: asyncio.Task[None] | None = None
        try:
            address = ""
            async with asyncio.timeout(PATIENCE):
                while not address:
                    line = (await child.stderr.readline()).decode()
                    assert line, "the bot ended before it listened"
                    found = re.search(r"Listening on (\S+);", line)
                    address = found[1] if found else ""
            reading = asyncio.create_task(_drain(child.stderr))
            self.app.webhook_url = f"{address}/webhook"
            yield Process(child, address)
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
            if reading:
                await reading

    def done(self, issue: Issue) -> bool:
        """Whether GitHub shows the task as done, and the issue is closed."""
        return "status:done" in issue.label_names and issue.state == "closed"

    def merged(self) -> list[PullRequest]:
        """The pull requests that are merged."""
        return [i.pull for i in self.shop.issues.values() if i.pull and i.pull.merged]

    def asked(self, operation: str) -> int:
        """How often the bot called an operation, whatever came of it."""
        return sum(request.operation_id == operation for request in self.hub.requests)


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Sandbox(root=tmp_path / "hub", clock=RealClock(), contract=contract()) as hub:
        acme, alice = hub.organisation("acme"), hub.user("alice")
        shop = hub.repository("acme/shop", files=dict(FILES))
        hub.grant(shop, alice, "maintain")
        asked = yaml.safe_load((ROOT / "app.yml").read_text())
        app = hub.register_app(
            "mcp-orchestrator",
            webhook_url="http://127.0.0.1:9/webhook",
            secret=SECRET,
            permissions=asked["default_permissions"],
            events=asked["default_events"],
        )
        hub.set_ci_script(shop, lambda run: ScriptedResult.success() if run.event == "pull_request" else None)
        hub.agents["codex"] = ScriptedAgent(WritesFiles({"shop/tax.py": "RATE = 0.19\n"}))
        await hub.install(app, acme, [shop])
        env = {
            "PATH": os.environ["PATH"],
            "GITHUB_APP_ID": str(app.id),
            "GITHUB_PRIVATE_KEY": app.private_key,
            "GITHUB_WEBHOOK_SECRET": f"an-older-secret,{SECRET}",
            "GITHUB_API_URL": hub.url,
            "GITHUB_SERVER_URL": hub.url,
            "DATA_DIR": str(tmp_path / "data"),
            "PORT": "0",
            "SCHEDULER_INTERVAL_SECONDS": "0.1",
            "GITHUB_WRITE_INTERVAL_SECONDS": "0.05",
            "CARD_DEBOUNCE_SECONDS": "0.2",  # a story would wait for the next edit of the card
            "LOG_LEVEL": "WARNING",
        }
        yield Site(hub, shop, alice, app, env)
        assert hub.violations == []


def cards_of(issue: Issue) -> list[str]:
    """The cards on an issue, of which there is to be one."""
    return [comment.body for comment in issue.comments if "orchestrator:card" in comment.body]


async def files_a_task(site: Site) -> Issue:
    """Alice files a task, once the bot has made the labels that the form needs."""
    await until(lambda: "task" in {label.name for label in site.shop.labels.values()})
    return await site.alice.opens_issue(site.shop, "Add the tax rate", body(needs="tests"), labels=["task"])


async def test_a_bot_that_was_killed_at_work_finishes_it_after_a_restart_and_stops_cleanly(
    site: Site, tmp_path: Path
) -> None:
    """The short form of what this folder tests: killed after GitHub carried out a request and before the bot knows."""
    site.hub.faults.fail_response("repos/create-dispatch-event", "hang-done", seconds=600)
    async with site.bot() as bot:
        issue = await files_a_task(site)
        await until(lambda: len(site.hub.agents["codex"].work_items) == 1)
        await bot.kill()
    async with site.bot() as bot:
        await until(lambda: site.done(issue) and bool(cards_of(issue)))
        async with aiohttp.ClientSession() as http:
            health = await (await http.get(f"{bot.address}/healthz")).json()
            metrics = await (await http.get(f"{bot.address}/metrics")).text()
        assert health["status"] == "ok"
        names = [line.split()[2] for line in metrics.splitlines() if line.startswith("# TYPE")]
        assert {"orchestrator_deliveries_waiting", "queue_depth", "orchestrator_github_requests_total"} <= set(names), (
            "a process is missing"
        )
        assert len(names) == len(set(names))
        assert await bot.terminate() == 0
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists(), "its PostgreSQL still runs"
    assert len(site.hub.agents["codex"].work_items) == 1, "the agent was started twice"
    assert (site.asked("repos/create-dispatch-event"), site.asked("pulls/merge")) == (1, 1)
    assert (len(site.merged()), len(cards_of(issue))) == (1, 1)
    assert site.shop.git.read("main", "shop/tax.py") == "RATE = 0.19\n"


@pytest.mark.full
async def test_an_issue_is_taken_to_done_and_the_bot_stops_cleanly(site: Site, tmp_path: Path) -> None:
    async with site.bot() as bot:
        issue = await files_a_task(site)
        await until(lambda: site.done(issue))
        async with aiohttp.ClientSession() as session:
            health = await (await session.get(f"{bot.address}/healthz")).json()
            metrics = await (await session.get(f"{bot.address}/metrics")).text()
        assert health["status"] == "ok"
        assert health["uptime_seconds"] > 0
        assert re.search(r"^assignment_latency_ms_count 1\.0$", metrics, re.MULTILINE)
        assert await bot.terminate() == 0
    assert not (tmp_path / "data" / "postgres" / "postmaster.pid").exists(), "its PostgreSQL still runs"
    assert site.shop.git.read("main", "shop/tax.py") == "RATE = 0.19\n"


@pytest.mark.full
async def test_killed_at_the_hardest_moments_nothing_is_lost_and_nothing_done_twice(site: Site) -> None:
    """Three times in the life of one task: when it is filed, and twice when GitHub has done what we asked."""
    async with site.bot() as bot:
        issue = await files_a_task(site)
        await until(lambda: any(d.event == "issues" and d.status_code == 202 for d in site.hub.deliveries))
        await bot.kill()
    site.hub.faults.fail_response("repos/create-dispatch-event", "hang-done", seconds=60)
    async with site.bot() as bot:
        await until(lambda: len(site.hub.agents["codex"].work_items) == 1)
        await bot.kill()
    site.hub.faults.fail_response("pulls/merge", "hang-done", seconds=60)
    async with site.bot() as bot:
        await until(lambda: bool(site.merged()))
        await bot.kill()
    async with site.bot() as bot:
        await until(
            lambda: site.done(issue) and bool(cards_of(issue))
        )  # a card may wait for what else is to be written
        assert await bot.terminate() == 0
    assert len(site.hub.agents["codex"].work_items) == 1, "the agent was started twice"
    assert (site.asked("repos/create-dispatch-event"), site.asked("pulls/merge")) == (1, 1)
    assert len(site.merged()) == 1
    assert len(cards_of(issue)) == 1


@pytest.mark.full
async def test_a_senseless_setting_stops_the_start_with_one_line(site: Site) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "serve",
        env={**site.env, "PORT": "a port"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert child.stdout is not None
    output = (await child.stdout.read()).decode()
    assert await child.wait() == 2
    [line] = output.strip().splitlines()
    assert "PORT" in line
