"""The mention adapter against agents that listen to their name, or only to people's, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.agents import CannotStart
from adapters.agents.mention import MentionAdapter
from config.agent_kinds import CopilotAgent, MentionAgent
from config.identities import load_families
from core.texts import comment_marker, mention_comment
from sandbox.actors.agents import CloudAgent, FinishesWithoutPull, Stalls, WritesFiles
from sandbox.services.comments import react
from tests.adapters.cloud_stage import PACKET, Stage, open_stage

CODEX = load_families()["codex"].id
SPEC = MentionAgent(adapter="mention", mention="@codex")
BY_PERSON = MentionAgent(adapter="mention", mention="@codex", comment_as="person")
ADAPTER = MentionAdapter()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, SPEC, "codex", CODEX, branch="codex/add-total-{run}", mention="@codex") as it:
        it.hub.cloud_agents["copilot"] = CloudAgent(
            it.hub.bot("other[bot]"), Stalls(), "other/{task}", mention="@copilot"
        )
        yield it


async def start(stage: Stage, attempt: int = 1, *, spec: MentionAgent = SPEC, again: bool = False) -> str:
    begun = await ADAPTER.start(stage.repository_context, spec, stage.start_effect(attempt), is_retry=again)
    await stage.hub.wait_until_idle()
    assert begun.session
    return begun.session


async def test_only_the_agent_is_mentioned_with_the_hand_off(stage: Stage) -> None:
    session = await start(stage)
    [comment] = stage.issue.comments
    assert (str(comment.id), comment.user.id) == (session, stage.repository_context.bot_id)
    assert comment.body.startswith("@codex please take this task: #1, attempt 1.")
    assert "total([1, 2]) is 3" in comment.body
    [work] = stage.agent.work_items
    assert work.instructions == comment.body
    assert stage.hub.cloud_agents["copilot"].work_items == [], "names in the issue's text mention no agent"
    assert comment.body.count("@codex") == 1


async def test_it_is_called_once_for_an_attempt(stage: Stage) -> None:
    assert await start(stage) == await start(stage, again=True)
    assert await start(stage, 2)
    assert len(stage.agent.work_items) == 2


async def test_another_author_s_comment_with_the_marker_is_ignored(stage: Stage) -> None:
    await stage.alice.comments(stage.issue, f"nothing\n{comment_marker('mention:1:1')}")
    await start(stage)
    assert len(stage.issue.comments) == 2
    assert len(stage.agent.work_items) == 1


async def test_a_long_hand_off_is_read_elsewhere(stage: Stage) -> None:
    await ADAPTER.start(stage.repository_context, SPEC, stage.start_effect(goal="Much to do.\n" * 9000), is_retry=False)
    await stage.hub.wait_until_idle()
    *pages, call = stage.issue.comments
    assert len(pages) == 3
    assert sum(page.body.count("Much to do.") for page in pages) == 9000
    assert all(f"issuecomment-{page.id}" in call.body for page in pages)
    assert len(stage.agent.work_items) == 1


async def test_a_person_calls_one_that_hears_no_bots(stage: Stage) -> None:
    stage.agent.accepts_bots = False
    session = await start(stage)
    assert stage.agent.work_items == []
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session)) is None
    session = await start(stage, 2, spec=BY_PERSON)
    assert stage.issue.comments[-1].user is stage.alice
    assert len(stage.agent.work_items) == 1
    news = await ADAPTER.poll(stage.repository_context, BY_PERSON, stage.poll_effect(session, 2))
    assert news is not None
    assert news.state == "working"


async def test_a_missing_user_token_is_reported(stage: Stage) -> None:
    [installation] = stage.hub.installations.values()
    for token, complaint in [
        (None, "set `GITHUB_USER_TOKEN`"),
        (stage.hub.create_installation_token(installation), "is the token of an App"),
        ("ghp_wrong", "is expired or revoked"),
    ]:
        [problem] = await ADAPTER.probe(stage.with_token(token), BY_PERSON)
        assert complaint in problem
        with pytest.raises(CannotStart, match="GITHUB_USER_TOKEN"):
            await ADAPTER.start(stage.with_token(token), BY_PERSON, stage.start_effect(), is_retry=False)
        assert await ADAPTER.probe(stage.with_token(token), SPEC) == ()
    assert stage.issue.comments == []
    with pytest.raises(CannotStart, match="of kind CopilotAgent"):
        await ADAPTER.start(
            stage.repository_context, CopilotAgent(adapter="copilot"), stage.start_effect(), is_retry=False
        )


async def test_its_eyes_and_its_words_are_signs_of_life_for_an_hour(stage: Stage) -> None:
    session = await start(stage)
    assert [one.user for one in stage.issue.comments[0].reactions] == [stage.agent.account]
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.session) == ("working", session)
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(None)) == news, (
        "it is found without the session as well"
    )
    await stage.advance(minutes=61)
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session)) is None
    await stage.agent.work_items[0].comment(1, "Still at it.")
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert news.state == "working"


async def test_eyes_of_others_are_none_of_its(stage: Stage) -> None:
    stage.agent.reacts = False
    session = await start(stage)
    react(stage.hub, stage.issue.comments[0].reactions, stage.alice, "eyes")
    react(stage.hub, stage.issue.comments[0].reactions, stage.hub.bot("stranger[bot]"), "eyes")
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session)) is None
    unknown = MentionAgent(adapter="mention", mention="@helper")
    news = await ADAPTER.poll(stage.repository_context, unknown, replace(stage.poll_effect(session), agent="helper"))
    assert news is not None, "without a configured account, any bot may be the agent"
    told = MentionAgent(adapter="mention", mention="@helper", account=CODEX)
    assert (
        await ADAPTER.poll(stage.repository_context, told, replace(stage.poll_effect(session), agent="helper")) is None
    )


async def test_its_pull_request_is_its_delivery(stage: Stage) -> None:
    stage.agent.script = WritesFiles({"cart.py": "x = 1\n"})
    session = await start(stage)
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session))
    assert news is not None
    assert (news.state, news.pull_number) == ("delivered", 2)
    await stage.advance(seconds=5)
    later = await start(stage, 2)  # the same branch would be the same pull request
    assert stage.pull.number == 3
    news = await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(later, 2))
    assert news is not None
    assert news.pull_number == 3, "what was opened before is of the attempt before"


async def test_a_run_that_ends_without_a_pull_request_is_not_reported(stage: Stage) -> None:
    stage.agent.script, stage.agent.reacts = FinishesWithoutPull(), False
    session = await start(stage)
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect(session)) is None
    assert await ADAPTER.poll(stage.repository_context, SPEC, stage.poll_effect("999")) is None, (
        "the comment was deleted"
    )


async def test_a_word_is_said_where_it_works_and_once(stage: Stage) -> None:
    stage.agent.script = WritesFiles({"cart.py": "x = 1\n"})
    word = stage.message_effect("The tests fail for @alice.")
    await start(stage)
    for _ in range(2):
        assert await ADAPTER.send_message(stage.repository_context, SPEC, word) is True
    assert await ADAPTER.send_message(stage.repository_context, SPEC, replace(word, session="999")) is False, (
        "the call is gone"
    )
    [comment] = stage.pull.issue.comments
    assert comment.body.startswith("@codex The tests fail for @\u200balice.")


async def test_it_is_asked_to_stop_once_and_only_if_it_was_called(stage: Stage) -> None:
    await ADAPTER.cancel(stage.repository_context, SPEC, stage.cancel_effect(None))
    assert stage.issue.comments == []
    session = await start(stage)
    for _ in range(2):
        await ADAPTER.cancel(stage.repository_context, SPEC, stage.cancel_effect(session))
    _, asked = stage.issue.comments
    assert asked.body.startswith("@codex please stop: attempt 1 at #1 is over")
    assert len(stage.agent.work_items) == 1
    await ADAPTER.cancel(stage.repository_context, SPEC, stage.cancel_effect("999"))  # the comment is gone: no error


def test_a_reviewer_is_not_asked_for_a_pull_request() -> None:
    text = mention_comment({**PACKET, "attempt": 1, "agent": "codex", "branch": "task/1-1", "role": "review"}, "@codex")
    assert "(role: `review`)" in text
    assert "Work on your own branch" not in text
