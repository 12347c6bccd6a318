"""From dispatch to close over real HTTP: dispatch → agent → pull request → workflow → check suite → merge → issue
closed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox import Contract, ManualClock, Sandbox
from sandbox.actors.agents import ScriptedAgent, WritesFiles
from sandbox.state.models import App, Installation, Repository

DATA = Path(__file__).parent.parent / "data" / "github"
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AGENT = """
name: agent
run-name: "Task ${{ github.event.client_payload.task }} by ${{ github.event.client_payload.agent }}"
on: {repository_dispatch: {types: [agent-task]}}
jobs:
  work: {runs-on: ubuntu-latest, steps: [{run: echo never}]}
"""
CI = """
name: CI
on: pull_request
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - name: tests
        run: python -c "import cart; assert cart.total([1, 2]) == 3, cart.total([1, 2])"
"""
EVENTS = [
    "check_run",
    "check_suite",
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "push",
    "repository_dispatch",
    "workflow_dispatch",
    "workflow_job",
    "workflow_run",
]
PERMISSIONS = {
    "actions": "write",
    "checks": "write",
    "contents": "write",
    "issues": "write",
    "pull_requests": "write",
}


@dataclass
class Bot:
    """A GitHub App, which sees only its webhooks and the API."""

    hub: Sandbox
    app: App
    installation: Installation
    shop: Repository
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [f"{event}.{payload['action']}" if "action" in payload else event for event, payload in self.heard]

    def about(self, sha: str) -> list[tuple[str, dict[str, Any]]]:
        """The check events of a commit, except those of this App's own suite."""
        kinds = ("workflow_run", "workflow_job", "check_run", "check_suite")
        found = [(event, payload, payload[event]) for event, payload in self.heard if event in kinds]
        return [
            (f"{event}.{payload['action']}", thing)
            for event, payload, thing in found
            if thing["head_sha"] == sha and thing.get("app", {}).get("id") != self.app.id
        ]

    def told(self, event: str, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.heard if (name, payload.get("action")) == (event, action)]

    async def call(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self.hub.create_installation_token(self.installation)}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, f"{self.hub.url}/repos/acme/shop{path}", json=body) as response,
        ):
            assert response.status == status or (status is None and response.status < 300), await response.text()
            if response.content_type == "application/json":
                return await response.json()
            return await response.text()


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    heard: list[tuple[str, dict[str, Any]]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.headers["X-GitHub-Event"], await request.json()))
        return web.Response(status=202)

    listener = web.Application()
    listener.router.add_post("/", hear)
    runner = web.AppRunner(listener)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    contract = Contract.load(DATA) if DATA.is_dir() else None
    try:
        async with Sandbox(root=tmp_path, clock=ManualClock(NINE), contract=contract) as hub:
            shop = hub.repository(
                "acme/shop",
                files={
                    "cart.py": "def total(prices):\n    return 0\n",
                    ".github/workflows/agent.yml": AGENT,
                    ".github/workflows/ci.yml": CI,
                },
            )
            app = hub.register_app(
                "orchestrator",
                webhook_url=f"http://127.0.0.1:{runner.addresses[0][1]}/",
                secret="s3cret",
                permissions=PERMISSIONS,
                events=EVENTS,
            )
            installation = await hub.install(app, hub.organisation("acme"), [shop])
            await hub.wait_until_idle()
            heard.clear()
            yield Bot(hub, app, installation, shop, heard)
            await hub.wait_until_idle()
            assert hub.violations == []
    finally:
        await runner.cleanup()


GOOD = "def total(prices):\n    return sum(prices)\n"
BAD = "def total(prices):\n    return len(prices)\n"


async def dispatch(bot: Bot, task: int, **more: Any) -> None:
    payload = {"agent": "codex", "task": task, "attempt": 1, **more}
    await bot.call("POST", "/dispatches", {"event_type": "agent-task", "client_payload": payload})
    await bot.hub.wait_until_idle()


async def test_a_dispatched_task_ends_with_a_merge_and_a_closed_issue(bot: Bot) -> None:
    hub, shop = bot.hub, bot.shop
    alice = hub.user("alice")
    hub.grant(shop, alice, "write")
    issue = await alice.opens_issue(shop, "The total is wrong", "It is always 0.")
    hub.agents["codex"] = ScriptedAgent(WritesFiles({"cart.py": GOOD}))
    await hub.wait_until_idle()
    bot.heard.clear()

    await dispatch(bot, issue.number)

    pull = shop.pull(2)
    assert (pull.head_ref, pull.body, pull.user.login) == ("task/1-1", "Closes #1", "codex-agent[bot]")
    assert shop.git.read("task/1-1", "cart.py") == GOOD
    (agent_run,) = [run for run in shop.runs.values() if run.event == "repository_dispatch"]
    assert (agent_run.display_title, agent_run.conclusion) == ("Task 1 by codex", "success")
    (ci,) = [run for run in shop.runs.values() if run.event == "pull_request"]
    assert (ci.conclusion, ci.head_sha, ci.pulls) == ("success", pull.head_sha, [pull])
    suites = [p["check_suite"] for p in bot.told("check_suite", "completed")]
    (mine,) = [suite for suite in suites if suite["head_sha"] == pull.head_sha]
    assert (mine["conclusion"], mine["app"]["id"]) == ("success", 15368)
    assert [one["number"] for one in mine["pull_requests"]] == [2]
    assert [name for name, _ in bot.about(pull.head_sha)] == [
        "workflow_run.requested",
        "check_run.created",
        "workflow_job.queued",
        "workflow_run.in_progress",
        "workflow_job.in_progress",
        "check_run.completed",
        "workflow_job.completed",
        "check_suite.completed",
        "workflow_run.completed",
    ]
    shown = await bot.call("GET", "/pulls/2")
    assert (shown["mergeable"], shown["mergeable_state"], shown["changed_files"]) == (True, "clean", 1)

    bot.heard.clear()
    await bot.call("PUT", "/pulls/2/merge", {"sha": "0" * 40}, status=409)
    merged = await bot.call("PUT", "/pulls/2/merge", {"sha": pull.head_sha, "merge_method": "squash"})
    await hub.wait_until_idle()

    assert merged["sha"] == shop.git.head()
    assert shop.git.read("main", "cart.py") == GOOD
    assert (pull.merged, issue.state) == (True, "closed")
    assert issue.closed_by is bot.app.bot
    (closed,) = bot.told("issues", "closed")
    assert closed["sender"]["login"] == "orchestrator[bot]"
    assert bot.told("pull_request", "closed")[0]["pull_request"]["merged"] is True
    assert "push" in bot.names


async def test_a_failed_run_has_its_step_and_its_log(bot: Bot) -> None:
    alice = bot.hub.user("alice")
    bot.hub.grant(bot.shop, alice, "write")
    issue = await alice.opens_issue(bot.shop, "The total is wrong")
    bot.hub.agents["codex"] = ScriptedAgent(WritesFiles({"cart.py": BAD}, fixes={"cart.py": GOOD}))
    await dispatch(bot, issue.number)

    (red,) = (await bot.call("GET", "/actions/runs?event=pull_request"))["workflow_runs"]
    assert (red["status"], red["conclusion"]) == ("completed", "failure")
    (job,) = (await bot.call("GET", f"/actions/runs/{red['id']}/jobs"))["jobs"]
    assert [(step["name"], step["conclusion"]) for step in job["steps"]] == [
        ("Set up job", "success"),
        ("Run actions/checkout@v4", "success"),
        ("tests", "failure"),
        ("Complete job", "success"),
    ]
    log = await bot.call("GET", f"/actions/jobs/{job['id']}/logs")
    assert "AssertionError: 2" in log
    assert log.splitlines()[0].startswith("2026-03-02T09:00:00.0000000Z ")
    assert "##[error]Process completed with exit code 1." in log

    pull = bot.shop.pull(2)
    before = pull.head_sha
    bot.heard.clear()
    await dispatch(bot, issue.number, attempt=2, branch="task/1-1", packet={"feedback": "total([1, 2]) is 2"})
    (moved,) = bot.told("pull_request", "synchronize")
    assert (moved["before"], moved["after"]) == (before, pull.head_sha)
    green = max(bot.shop.runs.values(), key=lambda run: run.id)
    assert (green.event, green.conclusion, green.head_sha) == ("pull_request", "success", pull.head_sha)
