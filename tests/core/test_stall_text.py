"""What is said of a task that stands still, compared with its snapshots."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core import texts
from core.effects.base import MessageAgent
from core.signals.base import AgentMessageResult, AgentSeen
from core.stall.model import CheckWaitReason, StallCause
from core.stall.rules import stall_suggestions
from core.task.deadlines import DeadlineKind
from core.task.model import LearnedTimeout, Role, SessionState
from tests.builders import Story, agent
from tests.core.test_stalls import at_work, handed_in, mergeable, waiting
from tests.core.test_texts import same, without_marker


def slow() -> Story:
    story = at_work()
    patience = LearnedTimeout(story.policy.timeouts.ack, story.policy.timeouts.heartbeat, timedelta(hours=3))
    story.current_task = replace(story.task, lease=replace(story.lease, learned_timeout=patience))
    story.reach_deadline(DeadlineKind.STALL)
    return story


def queued() -> Story:
    story = Story().file_ready_task().assign()
    story.advance(hours=1).apply(AgentSeen(1, SessionState.QUEUED, story.now))
    story.reach_deadline(DeadlineKind.STALL)
    return story


def planning() -> Story:
    story = Story(plan="agent").file_ready_task().assign("oracle", role=Role.PLAN).start_run()
    story.reach_deadline(DeadlineKind.STALL)
    return story


def reviewing() -> Story:
    story = mergeable(merge={"review": "agent"}).assign("claude", role=Role.REVIEW)
    story.reach_deadline(DeadlineKind.STALL)
    return story


def test_the_nudge_of_an_agent() -> None:
    told = [story().effects_of_type(MessageAgent)[0].text for story in (slow, queued, planning, reviewing)]
    same("nudge_agent", "\n\n---\n\n".join(told))


def test_card_status_and_explanation_of_a_slow_agent_and_the_call() -> None:
    story = slow()
    [nudge] = story.effects_of_type(MessageAgent)
    story.apply(AgentMessageResult(1, nudge.topic, accepted=True))
    same("card_slow", without_marker(texts.card_text(story.task, story.policy)))
    same("status_slow", texts.status_text(story.task, story.policy))
    story.run_command("/explain")
    same("explain_slow", story.comment_text())
    story.agents = (agent("codex", active_tasks=1),)
    story.reach_deadline(DeadlineKind.STALL)
    same("call_slow", story.comment_text())


def test_the_words_to_people() -> None:
    story = mergeable(merge={"review": "person"})
    story.reach_deadline(DeadlineKind.STALL)
    same("nudge_people", story.comment_text())
    story = waiting(handed_in(), CheckWaitReason.APPROVAL)
    story.reach_deadline(DeadlineKind.STALL)
    same("call_approval", story.comment_text())


def test_three_remedies_for_every_cause() -> None:
    story = slow()
    assert story.task.stall
    told = []
    for cause in StallCause:
        task = replace(mergeable().task, stall=replace(story.task.stall, cause=cause))
        told.append(f"{cause}\n\n" + "\n".join(f"- {step}" for step in stall_suggestions(task)))
    same("stall_remedies", "\n\n".join(told))
