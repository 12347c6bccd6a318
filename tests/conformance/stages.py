"""What stages share: a sandbox with a repository, a task, our App, and an agent that works until told how to end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from adapters.agents import AgentAdapter, RepositoryContext, Services
from adapters.github import GitHubClient
from config.agent_kinds import AgentBase, PullAgent
from core.effects.base import StartAgent
from core.task.model import SessionState
from sandbox import ManualClock, Sandbox
from sandbox.actors.agents import AgentWork
from sandbox.state.models import Issue, Repository
from tests.adapters.github_server import NO_WAIT
from tests.builders import Story
from tests.conformance.kit import MissingSetup
from tests.contract import contract
from tests.scenarios.shop import AGENT_WORKFLOW

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PERMISSIONS = {"actions": "write", "contents": "write", "issues": "write", "pull_requests": "write"}
CALL_TIMEOUT = aiohttp.ClientTimeout(total=0.2)  # seconds; of a call to a service that hangs


@dataclass
class ControlledAgent:
    """An agent that works until it is told how to end."""

    end_state: SessionState | None = None
    works: list[AgentWork] = field(default_factory=list)

    async def __call__(self, work: AgentWork) -> None:
        """Work."""
        self.works.append(work)
        while self.end_state is None:
            await work.think(1)
        if self.end_state is SessionState.FAILED:
            work.crash("it could not")


@dataclass
class HubStage:
    """A stage on a sandbox. `keys` are the operator's, by preset or kind."""

    hub: Sandbox
    clock: ManualClock
    shop: Repository
    issue: Issue
    repository_context: RepositoryContext
    adapter: AgentAdapter
    spec: AgentBase
    script: ControlledAgent = field(default_factory=ControlledAgent)
    other_spec: AgentBase = field(default_factory=lambda: PullAgent(adapter="pull"))
    secrets: Sequence[str] = ()
    accepts_messages: bool = False
    unclear_answers: Sequence[tuple[str, bool]] = ()
    limits: Sequence[tuple[str, datetime | None]] = ()

    def start_effect(self, attempt: int = 1) -> StartAgent:
        """The start of an attempt, with a packet as `core.handoff.packet` makes them."""
        number = self.issue.number
        return StartAgent(number, attempt, "codex", packet(self.hub.url, number, attempt), START)

    async def end_work(self, end_state: SessionState) -> None:
        """The work ends so."""
        self.script.end_state = end_state
        self.clock.advance(1)
        await self.hub.wait_until_idle()

    def missing_setups(self) -> Sequence[MissingSetup]:
        """Nothing can be missing."""
        return ()


def packet(url: str, number: int, attempt: int) -> dict[str, Any]:
    """A whole packet."""
    branch = f"task/{number}-{attempt}"
    return {
        **Story().file_ready_task().assign().packet(),
        "sealed_at": START.isoformat(),
        "repository": "acme/shop",
        "task": {
            "number": number,
            "title": "Add a total",
            "url": f"{url}/acme/shop/issues/{number}",
            "priority": "P2",
        },
        "attempt": attempt,
        "agent": "codex",
        "role": "implement",
        "branch": branch,
        "base": "main",
        "goal": "Caf\u00e9 --> `x`",
        "criteria": ["one", "two"],
        "definition_of_done": [],
        "plan": {"kind": "functional", "reason": "it says so", "steps": ["Red", "Green"]},
        "required": ["python"],
        "preferred": [],
        "files": ["a.txt"],
        "dependencies": [],
        "notes": "",
        "estimate": "",
        "history": [],
        "feedback": None,
        "report": {
            "how": f"Open a pull request from `{branch}` into `main` whose description contains `Closes #{number}`.",
            "closing_line": f"Closes #{number}",
        },
    }


@asynccontextmanager
async def open_sandbox(root: Path) -> AsyncIterator[tuple[Sandbox, ManualClock, Repository, Issue, RepositoryContext]]:
    """A sandbox with the repository `acme/shop`, a task in it, and our App's view; nothing may break GitHub's rules."""
    clock = ManualClock(START)
    async with Sandbox(root / "hub", clock=clock, contract=contract()) as hub:
        shop = hub.repository("acme/shop", files={"a.txt": "1\n", ".github/workflows/agent.yml": AGENT_WORKFLOW})
        hub.set_ci_script(shop, None)
        alice = hub.user("alice")
        hub.grant(shop, alice, "maintain")
        issue = await alice.opens_issue(shop, "Add a total", "")
        app = hub.register_app("orchestrator", permissions=PERMISSIONS)
        installation = await hub.install(app, hub.organisation("acme"), [shop])
        async with (
            GitHubClient(
                api_url=hub.url,
                graphql_url=f"{hub.url}/graphql",
                app_id=app.id,
                private_key_pem=app.private_key,
                now=hub.now,
                retry=NO_WAIT,
            ) as client,
            aiohttp.ClientSession(timeout=CALL_TIMEOUT) as http,
        ):
            services = Services(http, {})
            github = client.installation(installation.id)
            yield hub, clock, shop, issue, RepositoryContext(github, "acme/shop", "main", app.bot.id, services, START)
        await hub.wait_until_idle()
        assert hub.violations == [], "\n".join(hub.violations)


def with_keys(
    repository_context: RepositoryContext, keys: Mapping[str, str], urls: Mapping[str, str]
) -> RepositoryContext:
    """The same site with these keys and addresses of the operator's."""
    secret_keys = {name: SecretStr(key) for name, key in keys.items()}
    services = Services(repository_context.services.http, secret_keys, urls, allows_internal_urls=True)
    return RepositoryContext(
        repository_context.github,
        repository_context.repository,
        repository_context.default_branch,
        repository_context.bot_id,
        services,
        repository_context.now,
    )


def time_after(seconds: float) -> datetime:
    """So many seconds after the stage's time, which stands still."""
    return START + timedelta(seconds=seconds)
