"""Copilot and the agents that listen to their name, through the conformance kit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from adapters.agents import AgentAdapter
from adapters.agents.copilot import CopilotAdapter
from adapters.agents.mention import MentionAdapter
from adapters.github import GitHubClient
from config.agent_kinds import AgentBase, CopilotAgent, MentionAgent
from config.identities import load_families
from core.effects.base import StartAgent
from sandbox.actors.agents import COPILOT_ID, COPILOT_LOGIN, CloudAgent
from tests.adapters.github_server import NO_WAIT
from tests.conformance.kit import AnswersUnclearly, AnyAdapter, BeginsLate, MissingSetup, NeedsThings, SeesSessions
from tests.conformance.stages import HubStage, open_sandbox

CODEX = load_families()["codex"]
COPILOT, MENTION = CopilotAgent(adapter="copilot"), MentionAgent(adapter="mention", mention="@codex")
BY_PERSON = MentionAgent(adapter="mention", mention="@codex", comment_as="person")
LATE = 600.0  # seconds


@dataclass
class CloudStage(HubStage):
    """An agent that lives on GitHub, played by the sandbox."""

    since: dict[int, datetime] = field(default_factory=dict)
    client: GitHubClient = field(kw_only=True)

    @property
    def agent(self) -> CloudAgent:
        """The agent."""
        return self.hub.cloud_agents["codex"]

    def start_effect(self, attempt: int = 1) -> StartAgent:
        """An attempt begins a second after what was before it."""
        if attempt not in self.since:
            self.clock.advance(1)
            self.since[attempt] = self.hub.now()
        return replace(super().start_effect(attempt), since=self.since[attempt])

    async def started_count(self) -> int:
        """How often it began."""
        await self.hub.wait_until_idle()
        return len(self.agent.work_items)

    async def delay_starts(self) -> None:
        """It takes its time."""
        self.agent.start_delay_seconds = LATE

    async def begin_delayed_work(self) -> None:
        """That time is over."""
        self.clock.advance(LATE)
        await self.hub.wait_until_idle()

    def fail_next_start(self, answer_kind: str) -> None:
        """GitHub's next answer to what calls it."""
        copilot = isinstance(self.spec, CopilotAgent)
        operation = "issues/add-assignees" if copilot else "issues/create-comment"
        self.hub.faults.fail_response(operation, answer_kind)  # type: ignore[arg-type]  # one of its kinds

    def missing_setups(self) -> Sequence[MissingSetup]:
        """There is no token of a person, or one of an App."""
        [installation] = self.hub.installations.values()
        without_person = replace(
            self.repository_context, services=replace(self.repository_context.services, user_client=None)
        )
        spec = COPILOT if isinstance(self.spec, CopilotAgent) else BY_PERSON
        app = self.client.person(SecretStr(self.hub.create_installation_token(installation)))
        return [
            MissingSetup(without_person, spec, "GITHUB_USER_TOKEN"),
            MissingSetup(
                replace(self.repository_context, services=replace(self.repository_context.services, user_client=app)),
                spec,
                "token of an App",
            ),
        ]


@asynccontextmanager
async def played(
    root: Path, adapter: AgentAdapter, spec: AgentBase, agent_id: int, login: str
) -> AsyncIterator[CloudStage]:
    """A stage with a person who lends the operator a token."""
    async with open_sandbox(root) as (hub, clock, shop, issue, site):
        lender = hub.user("lender")
        hub.grant(shop, lender, "write")
        app = hub.apps["orchestrator"]
        async with GitHubClient(
            api_url=hub.url,
            graphql_url=f"{hub.url}/graphql",
            app_id=app.id,
            private_key_pem=app.private_key,
            now=hub.now,
            retry=NO_WAIT,
        ) as client:
            token = hub.create_token(lender)
            site = replace(site, services=replace(site.services, user_client=client.person(SecretStr(token))))
            stage = CloudStage(hub, clock, shop, issue, site, adapter, spec, client=client, secrets=(token,))
            mention = spec.mention if isinstance(spec, MentionAgent) else None
            account = hub.bot(login, number=agent_id)
            hub.cloud_agents["codex"] = CloudAgent(account, stage.script, "codex/{run}", mention=mention)
            yield replace(
                stage,
                unclear_answers=[("500-done", True), ("502-not-done", False)],
                accepts_messages=mention is not None,
            )


class TestCopilot(AnyAdapter, SeesSessions, BeginsLate, AnswersUnclearly, NeedsThings):
    @pytest.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[CloudStage]:
        async with played(tmp_path, CopilotAdapter(), COPILOT, COPILOT_ID, COPILOT_LOGIN) as stage:
            yield stage


class TestMention(AnyAdapter, SeesSessions, BeginsLate, AnswersUnclearly, NeedsThings):
    @pytest.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[CloudStage]:
        async with played(tmp_path, MentionAdapter(), MENTION, CODEX.id, CODEX.login) as stage:
            yield stage
