"""The pull adapter through the conformance kit: it starts no agent, so no run ever begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from adapters.agents.polling_worker import PullAdapter
from config.agent_kinds import ActionsAgent, PullAgent
from tests.conformance.kit import AnyAdapter
from tests.conformance.stages import HubStage, open_sandbox


@dataclass
class PullStage(HubStage):
    """No agent."""

    async def started_count(self) -> int:
        """What GitHub was asked for on behalf of a start: nothing."""
        await self.hub.wait_until_idle()
        return len([r for r in self.hub.requests if r.method != "GET" and "access_tokens" not in r.path])


class TestPull(AnyAdapter):
    @pytest.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[PullStage]:
        async with open_sandbox(tmp_path) as (hub, clock, shop, issue, site):
            spec, other = PullAgent(adapter="pull"), ActionsAgent(adapter="actions", event="agent-task")
            yield PullStage(hub, clock, shop, issue, site, PullAdapter(), spec, other_spec=other)
