"""What is said of a task that stands still, compared with its snapshots."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core import texts
from core.effects.base import MessageAgent
from core.signals.base import AgentMessageResult, AgentSeen
from core.stall.model import CheckWaitReason, StallCause
from core.stall.rules import steps
from core.task.deadlines import DeadlineKind
from core.task.model import LearnedTimeout, Role, SessionState
from tests.builders import Story, agent
from tests.core.test_stalls import at_work, handed_in, mergeable, waiting
from tests.core.test_texts import same, without_marker


def slow() -> Story:
    story = at_work()
    patience = LearnedTimeout(story.policy.timeouts.ack, story.policy.timeouts.heartbeat, timedelta(hours=3))
    story.known = replace(story.task, lease=replace(story.lease, patience=patience))
    story.due(DeadlineKind.STALL)
    return story


def queued() -> Story:
    story = Story().ready().assigned()
    story.wait(hours=1).hears(AgentSeen(1, SessionState.QUEUED, story.now))
    story.due(DeadlineKind.STALL)
    return story


def planning() -> Story:
    story = Story(plan="agent").ready().assigned("oracle", role=Role.PLAN).begun()
    story.due(DeadlineKind.STALL)
    return story


def reviewing() -> Story:
    story = mergeable(merge={"review": "agent"}).assigned("claude", role=Role.REVIEW)
    story.due(DeadlineKind.STALL)
    return story


def test_the_nudge_of_an_agent() -> None:
    told = [story().wanted(MessageAgent)[0].text for story in (slow, queued, planning, reviewing)]
    same("nudge_agent", "\n\n---\n\n".join(told))


def test_card_status_and_explanation_of_a_slow_agent_and_the_call() -> None:
    story = slow()
    [nudge] = story.wanted(MessageAgent)
    story.hears(AgentMessageResult(1, nudge.topic, taken=True))
    same("card_slow", without_marker(texts.card_text(story.task, story.policy)))
    same("status_slow", texts.status_text(story.task, story.policy))
    story.says("/explain")
    same("explain_slow", story.said())
    story.agents = (agent("codex", holding=1),)
    story.due(DeadlineKind.STALL)
    same("call_slow", story.said())


def test_the_words_to_people() -> None:
    story = mergeable(merge={"review": "person"})
    story.due(DeadlineKind.STALL)
    same("nudge_people", story.said())
    story = waiting(handed_in(), CheckWaitReason.APPROVAL)
    story.due(DeadlineKind.STALL)
    same("call_approval", story.said())


def test_three_remedies_for_every_cause() -> None:
    story = slow()
    assert story.task.stall
    told = []
    for cause in StallCause:
        task = replace(mergeable().task, stall=replace(story.task.stall, cause=cause))
        told.append(f"{cause}\n\n" + "\n".join(f"- {step}" for step in steps(task)))
    same("stall_remedies", "\n\n".join(told))
