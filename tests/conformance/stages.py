"""What stages share: a sandbox with a repository, a task, our App, and an agent that works until told how to end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from adapters.agents import AgentAdapter, RepositoryContext, Services
from adapters.github import GitHubClient
from adapters.github.http import RetryPolicy
from config.agent_kinds import AgentBase, PullAgent
from core.effects.base import StartAgent
from core.task.model import SessionState
from sandbox import Contract, ManualClock, Sandbox
from sandbox.actors.agents import AgentWork
from sandbox.state.models import Issue, Repository
from tests.builders import Story
from tests.conformance.kit import Gap
from tests.scenarios.shop import AGENT_WORKFLOW

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DATA = Path(__file__).parents[1] / "data" / "github"
NO_WAIT = RetryPolicy(attempts=3, wait_initial=0, wait_max=0, wait_jitter=0)
PERMISSIONS = {"actions": "write", "contents": "write", "issues": "write", "pull_requests": "write"}
PATIENCE = aiohttp.ClientTimeout(total=0.2)  # seconds; of a call to a service that hangs


@cache
def contract() -> Contract:
    """GitHub's own description, read once."""
    return Contract.load(DATA)


@dataclass
class Obeys:
    """An agent that works until it is told how to end."""

    end: SessionState | None = None
    works: list[AgentWork] = field(default_factory=list)

    async def __call__(self, work: AgentWork) -> None:
        """Work."""
        self.works.append(work)
        while self.end is None:
            await work.think(1)
        if self.end is SessionState.FAILED:
            work.crash("it could not")


@dataclass
class HubStage:
    """A stage on a sandbox. `keys` are the operator's, by preset or kind."""

    hub: Sandbox
    clock: ManualClock
    shop: Repository
    issue: Issue
    site: RepositoryContext
    adapter: AgentAdapter
    spec: AgentBase
    script: Obeys = field(default_factory=Obeys)
    other: AgentBase = field(default_factory=lambda: PullAgent(adapter="pull"))
    secrets: Sequence[str] = ()
    steers: bool = False
    unclear: Sequence[tuple[str, bool]] = ()
    limits: Sequence[tuple[str, datetime | None]] = ()

    def order(self, attempt: int = 1) -> StartAgent:
        """The start of an attempt, with a packet as `core.handoff.packet` makes them."""
        number = self.issue.number
        return StartAgent(number, attempt, "codex", packet(self.hub.url, number, attempt), NINE)

    async def ends(self, how: SessionState) -> None:
        """The work ends so."""
        self.script.end = how
        self.clock.advance(1)
        await self.hub.wait_until_idle()

    def gaps(self) -> Sequence[Gap]:
        """Nothing can be missing."""
        return ()


def packet(url: str, number: int, attempt: int) -> dict[str, Any]:
    """A whole packet."""
    branch = f"task/{number}-{attempt}"
    return {
        **Story().ready().assigned().packet(),
        "sealed_at": NINE.isoformat(),
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
async def sandboxed(root: Path) -> AsyncIterator[tuple[Sandbox, ManualClock, Repository, Issue, RepositoryContext]]:
    """A sandbox with the repository `acme/shop`, a task in it, and our App's view; nothing may break GitHub's rules."""
    clock = ManualClock(NINE)
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
            aiohttp.ClientSession(timeout=PATIENCE) as http,
        ):
            services = Services(http, {})
            github = client.installation(installation.id)
            yield hub, clock, shop, issue, RepositoryContext(github, "acme/shop", "main", app.bot.id, services, NINE)
        await hub.wait_until_idle()
        assert hub.violations == [], "\n".join(hub.violations)


def keyed(
    site: RepositoryContext, keys: Mapping[str, str], urls: Mapping[str, str], *, internal: bool = True
) -> RepositoryContext:
    """The same site with these keys and addresses of the operator's."""
    secret = {name: SecretStr(key) for name, key in keys.items()}
    services = Services(site.services.http, secret, urls, internal)
    return RepositoryContext(site.github, site.repository, site.default_branch, site.bot_id, services, site.now)


def later(seconds: float) -> datetime:
    """So many seconds after the stage's time, which stands still."""
    return NINE + timedelta(seconds=seconds)
