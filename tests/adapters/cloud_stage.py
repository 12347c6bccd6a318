"""A stage for agents that live on GitHub: a repository, a task, our App's view of it, and a person's token."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from adapters.agents import RepositoryContext
from adapters.github import GitHubClient
from config.agent_kinds import AgentBase
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from sandbox import ManualClock, Sandbox
from sandbox.actors.agents import CloudAgent, Stalls
from sandbox.actors.people import Person
from sandbox.state.models import App, Issue, PullRequest, Repository
from tests.adapters.github_server import NO_WAIT
from tests.builders import NO_SERVICES, NOW, Story
from tests.contract import contract

PERMISSIONS = {"actions": "write", "contents": "write", "issues": "write", "pull_requests": "write"}
PACKET: dict[str, Any] = {
    **Story().file_ready_task().assign().packet(),
    "version": 1,
    "sealed_at": NOW.isoformat(),
    "repository": "acme/shop",
    "task": {"number": 1, "title": "Add a total @everybody", "url": "https://x/1", "priority": "P1"},
    "role": "implement",
    "base": "main",
    "goal": "The cart shows @copilot and @codex what it costs.",
    "criteria": ["total([1, 2]) is 3"],
    "definition_of_done": [],
    "plan": {"kind": "functional", "reason": "it says `shows`", "steps": ["Red", "Green", "Refactor"]},
    "required": ["python"],
    "preferred": [],
    "files": ["cart.py"],
    "dependencies": [],
    "notes": "",
    "estimate": "",
    "history": [],
    "feedback": None,
}


@dataclass
class Stage:
    """What a test has at hand."""

    hub: Sandbox
    clock: ManualClock
    client: GitHubClient
    app: App
    shop: Repository
    issue: Issue
    alice: Person
    repository_context: RepositoryContext
    spec: AgentBase
    agent: CloudAgent

    def start_effect(self, attempt: int = 1, **packet_changes: Any) -> StartAgent:
        """A start of an attempt that begins now."""
        number = self.issue.number
        packet = (
            PACKET | {"attempt": attempt, "agent": self.name, "branch": f"task/{number}-{attempt}"} | packet_changes
        )
        return StartAgent(number, attempt, self.name, packet, self.hub.now())

    @property
    def name(self) -> str:
        """What the configuration calls the agent."""
        return next(name for name, agent in self.hub.cloud_agents.items() if agent is self.agent)

    def poll_effect(self, session: str | None, attempt: int = 1) -> PollAgent:
        """A question after an attempt."""
        return PollAgent(self.issue.number, attempt, self.name, session)

    def cancel_effect(self, session: str | None, attempt: int = 1) -> CancelAgent:
        """The end of an attempt."""
        return CancelAgent(self.issue.number, attempt, self.name, session)

    def message_effect(self, text: str) -> MessageAgent:
        """Something that is said to it while it works."""
        return MessageAgent(self.issue.number, 1, self.name, None, self.hub.now(), "review:1", text)

    async def advance(self, **duration: float) -> None:
        """Turn the clock, also for the site."""
        self.clock.advance(timedelta(**duration).total_seconds())
        await self.hub.wait_until_idle()
        self.repository_context = replace(self.repository_context, now=self.hub.now())

    def with_token(self, token: str | None) -> RepositoryContext:
        """The site of an operator who gave this token."""
        person = self.client.person(SecretStr(token)) if token else None
        return replace(self.repository_context, services=replace(NO_SERVICES, user_client=person))

    @property
    def pull(self) -> PullRequest:
        """The newest pull request."""
        return self.shop.pulls()[-1]


@asynccontextmanager
async def open_stage(
    root: Path, spec: AgentBase, name: str, account: int, **agent_options: Any
) -> AsyncIterator[Stage]:
    """A stage with one agent; it stalls unless a script is given. Requests are checked by GitHub's description."""
    clock = ManualClock(NOW)
    async with Sandbox(root / "hub", clock=clock, contract=contract()) as hub:
        shop = hub.repository("acme/shop", files={"a.txt": "1\n"})
        alice = hub.user("alice")
        hub.grant(shop, alice, "maintain")
        issue = await alice.opens_issue(shop, "Add a total", "")
        app = hub.register_app("orchestrator", permissions=PERMISSIONS)
        installation = await hub.install(app, hub.organisation("acme"), [shop])
        agent = CloudAgent(hub.bot(f"{name}-account[bot]", number=account), **{"script": Stalls(), **agent_options})
        hub.cloud_agents[name] = agent
        async with GitHubClient(
            api_url=hub.url,
            graphql_url=f"{hub.url}/graphql",
            app_id=app.id,
            private_key_pem=app.private_key,
            now=hub.now,
            retry=NO_WAIT,
        ) as client:
            repository_context = RepositoryContext(
                github=client.installation(installation.id),
                repository="acme/shop",
                default_branch="main",
                bot_id=app.bot.id,
                services=replace(NO_SERVICES, user_client=client.person(SecretStr(hub.create_token(alice)))),
                now=NOW,
                bot_login="orchestrator[bot]",
                server_url=hub.url,
            )
            yield Stage(hub, clock, client, app, shop, issue, alice, repository_context, spec, agent)
        await hub.wait_until_idle()
        assert hub.violations == [], "\n".join(hub.violations)
