"""Scripted agents: their work on a dispatched task, and their failures."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from sandbox.actors.agents import (
    AgentWork,
    Crashes,
    FinishesWithoutPull,
    RandomOutput,
    ScriptedAgent,
    Stalls,
    WritesFiles,
)
from sandbox.state.models import Repository, WorkflowRun
from tests.sandbox.sandbox_kit import api, open_sandbox

AGENT = """
on: {repository_dispatch: {types: [agent-task]}}
jobs: {work: {runs-on: x, steps: [{run: echo by hand}]}}
"""


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with open_sandbox(tmp_path) as hub:
        shop = hub.repository("acme/shop", files={"a.txt": "1\n", ".github/workflows/agent.yml": AGENT})
        alice = hub.user("alice")
        hub.grant(shop, alice, "write")
        await alice.opens_issue(shop, "A task")
        hub.set_ci_script(shop, None)
        yield hub


@pytest.fixture
def shop(hub: Sandbox) -> Repository:
    return hub.repository("acme/shop")


async def dispatched(hub: Sandbox, **payload: object) -> WorkflowRun:
    body = {"event_type": "agent-task", "client_payload": {"agent": "codex", "task": 1, **payload}}
    await api(hub, hub.create_token(hub.user("alice")), "POST", "/repos/acme/shop/dispatches", body, status=204)
    await hub.wait_until_idle()
    return max(hub.repository("acme/shop").runs.values(), key=lambda run: run.id)


async def test_without_an_agent_of_that_name_the_steps_run(hub: Sandbox) -> None:
    run = await dispatched(hub)
    assert "by hand" in run.jobs[0].log


async def test_an_agent_changes_files_and_opens_a_pull_request(hub: Sandbox, shop: Repository) -> None:
    agent = ScriptedAgent(WritesFiles({"a.txt": lambda old: old + "2\n"}, fixes={"b.txt": "fixed\n"}), think_seconds=60)
    hub.agents["codex"] = agent
    run = await dispatched(hub)
    assert (run.status, shop.git.branches()) == ("in_progress", ["main"])
    hub.clock.advance(60)  # type: ignore[attr-defined]  # the fixture's clock is a ManualClock
    await hub.wait_until_idle()
    assert run.conclusion == "success", run.jobs[0].log
    assert shop.git.read("task/1-1", "a.txt") == "1\n2\n"
    pull = shop.pull(2)
    assert (pull.user.login, pull.body) == ("codex-agent[bot]", "Closes #1")
    assert shop.git.log("task/1-1")[0].author.email == pull.user.commit_email

    await dispatched(hub, attempt=2, packet='{"feedback": ["a test failed"], "branch": "task/1-1"}')
    hub.clock.advance(60)  # type: ignore[attr-defined]  # the fixture's clock is a ManualClock
    await hub.wait_until_idle()
    assert shop.git.read("task/1-1", "b.txt") == "fixed\n"
    assert len(shop.pulls()) == 1
    assert [(work.task, work.attempt) for work in agent.work_items] == [(1, 1), (1, 2)]


async def test_a_crash_fails_the_run_with_its_reason(hub: Sandbox) -> None:
    hub.agents["codex"] = ScriptedAgent(Crashes())
    run = await dispatched(hub)
    assert run.conclusion == "failure"
    assert "##[error]the agent crashed" in run.jobs[0].log


async def test_a_stalled_agent_runs_until_its_run_is_cancelled(hub: Sandbox) -> None:
    hub.agents["codex"] = ScriptedAgent(Stalls())
    run = await dispatched(hub)
    assert run.status == "in_progress"
    await hub.user("alice").cancels(run)
    await hub.wait_until_idle()
    assert run.conclusion == "cancelled"


async def test_an_agent_can_do_unrelated_work_or_finish_without_a_pull_request(hub: Sandbox, shop: Repository) -> None:
    hub.agents["codex"] = ScriptedAgent(RandomOutput())
    assert (await dispatched(hub)).conclusion == "success"
    assert not shop.pull(2).head_ref.startswith("task/")
    hub.agents["codex"] = ScriptedAgent(FinishesWithoutPull())
    assert (await dispatched(hub)).conclusion == "success"
    assert len(shop.pulls()) == 1


async def test_an_agent_can_act_as_the_run_or_as_the_dispatcher(hub: Sandbox) -> None:
    async def says(work: AgentWork) -> None:
        await work.comment(work.task, f"I am {work.actor.login}")

    hub.agents["codex"] = ScriptedAgent(says, actor="github-actions[bot]")
    await dispatched(hub)
    await dispatched(hub, act_as="dispatcher")
    comments = hub.repository("acme/shop").issue(1).comments
    assert [one.user.login for one in comments] == ["github-actions[bot]", "alice"]


async def test_a_refused_api_call_crashes_the_agent_but_not_the_sandbox(hub: Sandbox) -> None:
    async def pulls_nothing(work: AgentWork) -> None:
        await work.open_pull("Nothing", "")

    hub.agents["codex"] = ScriptedAgent(pulls_nothing)
    run = await dispatched(hub)
    assert run.conclusion == "failure"
    assert "was answered 422" in run.jobs[0].log
