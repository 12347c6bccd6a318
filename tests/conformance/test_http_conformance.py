"""The HTTP adapter through the conformance kit: Cursor, Jules, Devin, and a team's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.agents.http import HttpAdapter
from config.agent_kinds import HttpAgent
from sandbox.providers import ServiceAgent, ServiceServer
from tests.conformance.kit import (
    AnswersUnclearly,
    AnyAdapter,
    BeginsLate,
    IsHeard,
    IsLimited,
    MissingSetup,
    NeedsThings,
    SeesEnds,
    SeesSessions,
)
from tests.conformance.stages import HubStage, open_sandbox, time_after, with_keys

KEY = "key-of-a-service-1234567890"
VARIABLES = {
    "cursor": "CURSOR_API_KEY",
    "jules": "JULES_API_KEY",
    "devin": "DEVIN_API_KEY",
    "plain": "AGENT_HTTP_SECRET",
}


@dataclass
class ServiceStage(HubStage):
    """A service beside the sandbox."""

    service: str = ""
    services: ServiceServer = field(kw_only=True)
    agent: ServiceAgent = field(kw_only=True)

    async def started_count(self) -> int:
        """How many sessions there are."""
        await self.hub.wait_until_idle()
        return len(self.agent.sessions)

    async def delay_starts(self) -> None:
        """A minute passes before anything happens."""
        self.agent.start_delay_seconds = 60

    async def begin_delayed_work(self) -> None:
        """It has passed."""
        self.clock.advance(60)
        await self.hub.wait_until_idle()

    def add_message(self, text: str) -> None:
        """Its message, where the service keeps them."""
        self.agent.sessions[0].messages.append(text)

    def fail_next_start(self, answer_kind: str) -> None:
        """The service's next answer to a start."""
        self.agent.faults.append(answer_kind)  # type: ignore[arg-type]  # one of its kinds

    def missing_setups(self) -> Sequence[MissingSetup]:
        """No key, a wrong key, and where it can be known: a repository that the service does not reach."""
        urls, variable = dict(self.repository_context.services.urls), VARIABLES[self.service]
        kind = "http" if self.service == "plain" else self.service
        return [
            MissingSetup(with_keys(self.repository_context, {}, urls), self.spec, variable),
            MissingSetup(with_keys(self.repository_context, {kind: "wrong"}, urls), self.spec, variable),
        ]


@pytest.fixture
async def stage(tmp_path: Path, service: str) -> AsyncIterator[ServiceStage]:
    """The service, with a key of ours."""
    async with open_sandbox(tmp_path) as (hub, clock, shop, issue, site):
        services = await ServiceServer.open(hub)
        how: dict[str, Any] = {"url": f"{services.url('plain')}/work"} if service == "plain" else {"preset": service}
        kind = "http" if service == "plain" else service
        stage = ServiceStage(
            hub,
            clock,
            shop,
            issue,
            with_keys(site, {kind: KEY}, {service: services.url(service)}),
            HttpAdapter(),
            HttpAgent(adapter="http", **how),
            secrets=[KEY],
            accepts_messages=True,
            unclear_answers=[("500-done", True), ("502-not-done", False), ("hang-done", True), ("nonsense", False)],
            limits=[("429", time_after(120)), ("402", None)],
            service=service,
            services=services,
            agent=None,  # type: ignore[arg-type]  # its script is the stage's
        )
        yield replace(stage, agent=services.agent(service, stage.script, key=KEY))


@pytest.mark.parametrize("service", list(VARIABLES))
class TestHttp(AnyAdapter, SeesSessions, SeesEnds, IsHeard, BeginsLate, AnswersUnclearly, IsLimited, NeedsThings):
    """All of them."""
