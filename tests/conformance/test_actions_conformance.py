"""The Actions adapter, by both of GitHub's dispatches, through the conformance kit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from adapters.agents.actions import ActionsAdapter
from config.agent_kinds import ActionsAgent
from sandbox.actors.agents import ScriptedAgent
from tests.conformance.kit import AnswersUnclearly, AnyAdapter, MissingSetup, NeedsThings, SeesEnds, SeesSessions
from tests.conformance.stages import HubStage, open_sandbox

OPERATIONS = ("repos/create-dispatch-event", "actions/create-workflow-dispatch")


@dataclass
class ActionsStage(HubStage):
    """GitHub Actions, played by the sandbox."""

    async def started_count(self) -> int:
        """How many runs there are."""
        await self.hub.wait_until_idle()
        return len(self.shop.runs)

    def fail_next_start(self, answer_kind: str) -> None:
        """GitHub's next answer to a dispatch."""
        workflow = isinstance(self.spec, ActionsAgent) and self.spec.workflow
        self.hub.faults.fail_response(OPERATIONS[1 if workflow else 0], answer_kind)  # type: ignore[arg-type]  # one of its kinds

    def missing_setups(self) -> Sequence[MissingSetup]:
        """A workflow file that is not there."""
        return [MissingSetup(self.repository_context, ActionsAgent(adapter="actions", workflow="gone.yml"), "gone.yml")]


@pytest.mark.parametrize("dispatch", [{"event": "agent-task"}, {"workflow": "agent.yml"}], ids=["event", "workflow"])
class TestActions(AnyAdapter, SeesSessions, SeesEnds, AnswersUnclearly, NeedsThings):
    @pytest.fixture
    async def stage(self, tmp_path: Path, dispatch: dict[str, str]) -> AsyncIterator[ActionsStage]:
        async with open_sandbox(tmp_path) as (hub, clock, shop, issue, site):
            spec = ActionsAgent.model_validate({"adapter": "actions", **dispatch})
            stage = ActionsStage(hub, clock, shop, issue, site, ActionsAdapter(), spec)
            stage = replace(stage, unclear_answers=[("500-done", True), ("502-not-done", False)])
            hub.agents["codex"] = ScriptedAgent(stage.script)
            yield stage
