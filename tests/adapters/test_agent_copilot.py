"""The Copilot adapter against a sandbox that refuses Apps, acknowledges late and ends without a word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.agents import CannotStart
from adapters.agents.copilot import CopilotAdapter
from config.agent_kinds import CopilotAgent, PullAgent
from sandbox.actors.agents import COPILOT_ID, Crashes, WorksInDraft
from sandbox.services.comments import react
from sandbox.services.issue_events import record_event
from tests.adapters.cloud_stage import Stage, open_stage
from tests.builders import NO_SERVICES

SPEC = CopilotAgent(adapter="copilot")
ADAPTER = CopilotAdapter()
WORKS = WorksInDraft({"cart.py": "def total(): ...\n"})


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, SPEC, "copilot", COPILOT_ID, branch="copilot/fix-{task}-{run}") as it:
        # As GitHub calls it.
        it.hub.users["copilot-swe-agent[bot]"] = it.agent.account
        it.agent.account.login = "copilot-swe-agent[bot]"
        yield it


async def start(stage: Stage, attempt: int = 1, *, again: bool = False) -> str:
    begun = await ADAPTER.start(stage.repository_context, SPEC, stage.start_effect(attempt), is_retry=again)
    await stage.hub.wait_until_idle()
    assert begun.session
    return begun.session


async def test_it_is_assigned_with_the_hand_off(stage: Stage) -> None:
    await start(stage)
    assert stage.agent.account in stage.issue.assignees
    [work] = stage.agent.work_items
    assert work.requester is stage.alice
    assert "total([1, 2]) is 3" in work.instructions
    assert "`Closes #1`" in work.instructions
    [sent] = [r.body for r in stage.hub.requests if r.operation_id == "issues/add-assignees"]
    assert {k: v for k, v in sent["agent_assignment"].items() if k != "custom_instructions"} == {
        "target_repo": "acme/shop",
        "base_branch": "main",
    }


async def test_those_who_are_assigned_stay(stage: Stage) -> None:
    await stage.alice.assigns(stage.issue, stage.alice)
    await start(stage)
    assert stage.alice in stage.issue.assignees


async def test_a_long_hand_off_stands_below_the_issue_before_it_is_assigned(stage: Stage) -> None:
    order = stage.start_effect(goal="Much to do.\n" * 9000)
    await ADAPTER.start(stage.repository_context, SPEC, order, is_retry=False)
    await stage.hub.wait_until_idle()
    assert len(stage.issue.comments) == 3
    assert sum(comment.body.count("Much to do.") for comment in stage.issue.comments) == 9000
    [work] = stage.agent.work_items
    assert f"issuecomment-{stage.issue.comments[0].id}" in work.instructions
    assert len(work.instructions) < 1000


async def test_after_an_unclear_answer_it_is_not_assigned_twice(stage: Stage) -> None:
    first = await start(stage)
    assert await start(stage, again=True) == first
    assert len(stage.agent.work_items) == 1


async def test_a_later_attempt_is_an_assignment_of_its_own(stage: Stage) -> None:
    first = await start(stage)
    await stage.advance(minutes=5)
    second = await start(stage, 2)
    assert int(second) > int(first)
    assert len(stage.agent.work_items) == 2
    await ADAPTER.cancel(stage.repository_context, SPEC, stage.cancel_effect(first))
    assert stage.agent.account in stage.issue.assignees, "a late cancelling is of the earlier attempt only"
    await ADAPTER.cancel(stage.repository_context, SPEC, stage.cancel_effect(second, 2))
    assert stage.agent.account not in stage.issue.assignees
    await ADAPTER.cancel(stage.repository_context, SPEC, stage.cancel_effect(second, 2))  # it has ended: no error


# What keeps it from being started


async def test_it_can_be_started_where_everything_is_in_place(stage: Stage) -> None:
    assert await ADAPTER.probe(stage.repository_context, SPEC) == ()


@pytest.mark.parametrize(
    ("who", "complaint"),
    [
        ("no token", "set `GITHUB_USER_TOKEN` to a personal access token"),
        ("app", "is the token of an App, and GitHub does not let Apps assign Copilot"),
        ("wrong", "is expired or revoked"),
        ("reader", "has no write access to this repository"),
        ("stranger", "cannot see this repository"),
    ],
)
async def test_missing_access_is_reported(stage: Stage, who: str, complaint: str) -> None:
    [installation] = stage.hub.installations.values()
    reader = stage.hub.user("reader")
    stage.hub.grant(stage.shop, reader, "read")
    stage.shop.private = who == "stranger"
    token = {
        "no token": None,
        "app": stage.hub.create_installation_token(installation),
        "wrong": "ghp_wrong",
        "reader": stage.hub.create_token(reader),
        "stranger": stage.hub.create_token(stage.hub.user("stranger")),
    }[who]
    site = stage.with_token(token)
    assert complaint in " ".join(await ADAPTER.probe(site, SPEC))
    with pytest.raises(CannotStart, match=complaint.split(",")[0].replace("(", r"\(")):
        await ADAPTER.start(site, SPEC, stage.start_effect(), is_retry=False)
    assert stage.agent.work_items == []


async def test_a_disabled_agent_is_reported(stage: Stage) -> None:
    stage.hub.cloud_agents["other"] = stage.hub.cloud_agents.pop("copilot")
    stage.hub.cloud_agents["other"].mention = "@other"
    with pytest.raises(CannotStart, match="enable its coding agent"):
        await ADAPTER.start(
            stage.repository_context, SPEC, replace(stage.start_effect(), agent="copilot"), is_retry=False
        )


async def test_a_probe_by_an_app_sees_no_copilot(stage: Stage) -> None:
    """GitHub shows an App not even the name of the agent."""
    query = """{ repository(owner: "acme", name: "shop") {
        suggestedActors(capabilities: [CAN_BE_ASSIGNED], first: 9) { nodes { __typename login } } } }"""
    data = await stage.repository_context.github.graphql(query)
    assert data == {"repository": {"suggestedActors": {"nodes": [{"__typename": "User", "login": "alice"}]}}}


async def test_another_kind_is_none_of_its_business(stage: Stage) -> None:
    with pytest.raises(CannotStart, match="of kind PullAgent"):
        await ADAPTER.start(stage.repository_context, PullAgent(adapter="pull"), stage.start_effect(), is_retry=False)


# How it goes


async def test_assigned_and_not_begun_is_queued_for_a_while(stage: Stage) -> None:
    stage.agent.start_delay_seconds = 10_000
    session = await start(stage)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.session) == ("queued", session)
    await stage.advance(minutes=16)
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session)) is None, (
        "it does not come any more"
    )


async def test_its_eyes_are_a_sign_of_life_of_this_assignment_only(stage: Stage) -> None:
    session = await start(stage)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert news.state == "working"
    await stage.advance(minutes=20)
    stage.agent.start_delay_seconds = 10_000
    session = await start(stage, 2)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session, 2))
    assert news is not None
    assert news.state == "queued", "those eyes are of the attempt before"


async def test_eyes_of_others_are_none_of_its(stage: Stage) -> None:
    stage.agent.start_delay_seconds = 10_000
    session = await start(stage)
    react(stage.hub, stage.issue.reactions, stage.alice, "eyes")
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert news.state == "queued"


async def test_a_draft_is_work_and_a_request_for_review_its_end(stage: Stage) -> None:
    stage.agent.script, stage.agent.think_seconds = WORKS, 600
    session = await start(stage)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.pull_number) == ("working", 2)
    await stage.advance(minutes=10)
    assert stage.pull.draft
    assert stage.pull.requested_reviewers == [stage.alice]
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.pull_number) == ("delivered", 2)


async def test_its_time_and_its_errors_end_it(stage: Stage) -> None:
    stage.agent.script, stage.agent.think_seconds = WORKS, 100_000
    session = await start(stage)
    await stage.advance(minutes=66)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.detail) == ("timed-out", "ran into its limit of an hour")
    record_event(stage.hub, stage.pull.issue, "copilot_work_finished_failure", stage.agent.account)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.detail) == ("failed", "stopped with an error")


async def test_removing_the_assignee_cancels_the_run(stage: Stage) -> None:
    session = await start(stage)
    await stage.alice.unassigns(stage.issue, stage.agent.account)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.detail) == ("cancelled", "was unassigned")
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(None)) is None, (
        "nothing is known of a start"
    )


async def test_a_word_is_said_below_its_pull_request_by_the_person_and_once(stage: Stage) -> None:
    word = stage.message_effect("CI is red, says @alice.")
    await start(stage)
    assert await ADAPTER.send_message(stage.repository_context, SPEC, word) is False, "it hears nothing below the issue"
    stage.agent.script = WORKS
    await stage.advance(minutes=1)
    await start(stage, 2)
    for _ in range(2):
        assert await ADAPTER.send_message(stage.repository_context, SPEC, word) is True
    [comment] = stage.pull.issue.comments
    assert comment.user is stage.alice
    assert comment.body.startswith("@copilot CI is red, says @\u200balice.")
    assert await ADAPTER.send_message(stage.with_token(None), SPEC, word) is False


async def test_an_agent_that_dies_leaves_nothing(stage: Stage) -> None:
    stage.agent.script = Crashes()
    session = await start(stage)
    await stage.advance(minutes=66)
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session)) is None


async def test_cancelling_needs_no_person(stage: Stage) -> None:
    session = await start(stage)
    await ADAPTER.cancel(replace(stage.repository_context, services=NO_SERVICES), SPEC, stage.cancel_effect(session))
    assert stage.agent.account not in stage.issue.assignees
