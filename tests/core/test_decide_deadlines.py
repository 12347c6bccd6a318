"""What happens when a wait is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.audit.events import EventType
from core.effects.base import (
    CancelAgent,
    Escalate,
    MergePull,
    PollAgent,
    ReadChecks,
    RequestTrialMerge,
    SetLabels,
    UpsertCard,
)
from core.signals.base import AgentPollEmpty, DeadlineDue
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.model import ChecksState, Flag, Status
from tests.builders import SHA, Story, body


class TestAnAgent:
    @pytest.mark.parametrize(
        ("begun", "kind", "title"),
        [
            (False, DeadlineKind.ACK, "codex did not start"),
            (True, DeadlineKind.HEARTBEAT, "codex gave no sign of life"),
        ],
    )
    def test_that_is_silent_is_asked_once_and_then_replaced(self, begun: bool, kind: DeadlineKind, title: str) -> None:
        story = Story().file_ready_task().assign().accept_start()
        if begun:
            story.start_run()
        story.reach_deadline(kind)
        assert len(story.effects_of_type(PollAgent)) == 1
        assert story.task.status is Status.IN_PROGRESS
        story.apply(AgentPollEmpty(1))
        assert story.task.status is Status.IN_PROGRESS, "late news has a moment"
        story.reach_deadline(kind)
        assert story.task.status is Status.READY
        assert (story.task.history[-1].outcome, story.task.history[-1].reason) == ("silent", title)
        assert story.effects_of_type(CancelAgent)
        assert story.has_event(EventType.AGENT_FAILED)
        assert "`task/1-1`" in story.comment_text()

    def test_that_could_not_be_started_or_asked_is_not_silent(self) -> None:
        """GitHub makes us wait, or is out of order: that is none of the agent's fault, and burns no attempt."""
        story = Story().file_ready_task().assign()
        for _ in range(10):
            story.reach_deadline(DeadlineKind.ACK)
            assert not story.effects_of_type(PollAgent), "what was not started need not be asked after"
        story.accept_start()
        for _ in range(10):
            story.reach_deadline(DeadlineKind.ACK)
            assert story.effects_of_type(PollAgent), "the question is still on its way"
        assert (story.task.status, story.task.failure_count) == (Status.IN_PROGRESS, 0)
        story.apply(AgentPollEmpty(1))
        story.reach_deadline(DeadlineKind.ACK)
        assert story.task.history[-1].outcome == "silent"

    def test_an_old_answer_says_nothing_of_a_later_silence(self) -> None:
        story = Story().file_ready_task().assign().accept_start().start_run()
        story.apply(AgentPollEmpty(1))
        story.reach_deadline(DeadlineKind.HEARTBEAT)
        story.reach_deadline(DeadlineKind.HEARTBEAT)
        assert story.task.status is Status.IN_PROGRESS

    def test_that_answers_goes_on(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.reach_deadline(DeadlineKind.HEARTBEAT)
        story.start_run()
        story.reach_deadline(DeadlineKind.HEARTBEAT)
        assert len(story.effects_of_type(PollAgent)) == 1
        assert story.task.status is Status.IN_PROGRESS

    def test_whose_service_tells_nothing_is_asked_every_minute(self) -> None:
        """Those polls go on beside the last one, and a missing response is held against no agent."""
        service = {"adapter": "http", "preset": "cursor"}
        story = Story(agents={"cursor": service}).file_ready_task().assign("cursor")
        begun_at = story.lease.since
        for minute in (1, 2, 3):
            story.reach_deadline(DeadlineKind.POLL)
            assert [e.attempt for e in story.effects_of_type(PollAgent)] == [1]
            assert story.lease.last_poll_at == story.now >= begun_at + minute * timedelta(minutes=1)
            assert story.lease.silence_check_at is None
        assert story.task.status is Status.IN_PROGRESS

    def test_whose_news_come_by_themselves_is_not(self) -> None:
        kinds = {d.kind for d in deadlines_of(Story().file_ready_task().assign().task, Story().policy.timeouts)}
        assert kinds == {DeadlineKind.ACK, DeadlineKind.STALL, DeadlineKind.ATTEMPT}

    def test_that_lives_and_lives_and_never_ends_is_stopped(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.reach_deadline(DeadlineKind.ATTEMPT)
        assert story.task.history[-1].reason == "codex did not finish"
        assert "within 8 h" in story.comment_text()
        assert story.effects_of_type(CancelAgent)

    def test_with_a_draft_is_stopped_too(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull(draft=True)
        story.reach_deadline(DeadlineKind.ATTEMPT)
        assert story.effects_of_type(CancelAgent)
        assert story.task.history[-1].pull == 7


class TestOldNews:
    def test_a_deadline_of_an_earlier_attempt(self) -> None:
        story = Story().file_ready_task().assign().start_run().report_run("completed", "failure").assign()
        story.advance(hours=1)
        before = story.task
        story.apply(DeadlineDue("ack", attempt=1))
        assert story.task == before

    def test_a_deadline_that_moved(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        before = story.task
        story.apply(DeadlineDue("heartbeat", attempt=1))
        assert story.task == before

    @pytest.mark.parametrize("kind", ["ci", "person", "of-another-version"])
    def test_a_deadline_that_the_task_does_not_have(self, kind: str) -> None:
        story = Story().file_ready_task()
        before = story.task
        assert story.apply(DeadlineDue(kind, attempt=0)).effects == ()
        assert story.task == before


class TestChecks:
    def test_news_that_may_be_lost_is_read_and_its_absence_is_an_answer(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.reach_deadline(DeadlineKind.CI)
        assert story.effects_of_type(ReadChecks) == [ReadChecks(1, SHA, is_final=True)]
        assert story.pull.checks_requested_at == story.now

    def test_after_a_merge_too(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).reach_review()
        story.merge_pull()
        story.reach_deadline(DeadlineKind.CI)
        assert story.effects_of_type(ReadChecks) == [ReadChecks(1, SHA, is_final=True)]
        story.report_checks(ChecksState.NONE)
        assert story.task.status is Status.DONE


class TestStalls:
    def test_it_is_written_for_each_rung_and_not_every_two_hours(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim")
        story.reach_deadline(DeadlineKind.STALL)
        assert story.effects_of_type(SetLabels)
        assert story.effects_of_type(UpsertCard)
        story.reach_deadline(DeadlineKind.STALL)
        assert story.effects_of_type(Escalate)
        story.reach_deadline(DeadlineKind.STALL)
        assert story.last_decision.effects == ()

    def test_an_answer_of_the_world_that_was_lost_is_asked_for_again(self) -> None:
        story = Story(merge={"auto": True}).file_ready_task(text=body(ticked=True)).reach_review()
        story.report_trial_merge()
        story.report_checks(ChecksState.SUCCESS)
        assert story.effects_of_type(MergePull)
        story.reach_deadline(DeadlineKind.STALL)
        assert story.effects_of_type(RequestTrialMerge, ReadChecks)
        story.report_trial_merge()
        assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [2]

    def test_a_ready_task_that_no_agent_takes(self) -> None:
        story = Story().file_ready_task().assign(None, "no agent is free: codex lacks docs")
        story.reach_deadline(DeadlineKind.QUEUE)
        assert story.task.flags[Flag.STALLED] == "The task is ready, but no agent has taken it."
        assert story.task.choice
        assert story.task.choice.reason == "no agent is configured", "as it is now"
        written = story.task.choice
        story.reach_deadline(DeadlineKind.QUEUE)
        assert story.task.choice == written, "nothing new, so no write"
        assert not story.effects_of_type(UpsertCard)

    def test_one_that_waits_for_another_is_not_stalled(self) -> None:
        story = Story()
        story.dependencies = {"#2": False}
        story.file_ready_task()
        story.reach_deadline(DeadlineKind.QUEUE)
        assert Flag.STALLED not in story.task.flags
        assert story.task.wait_restarted_at == story.now


@pytest.mark.parametrize("kind", [DeadlineKind.AUTHOR, DeadlineKind.PERSON])
def test_the_wait_for_people_restarts(kind: DeadlineKind) -> None:
    story = Story()
    story.see_issue(text=body(criteria=()))
    if kind is DeadlineKind.PERSON:
        story.add_label("status:failed")
    story.reach_deadline(kind)
    assert story.last_decision.effects == ()
    (deadline,) = deadlines_of(story.task, story.policy.timeouts)
    assert deadline.due_at > story.now


def test_a_withdrawn_task_waits_for_nothing() -> None:
    story = Story().file_ready_task().assign()
    story.remove_label("task")
    story.advance(hours=9)
    assert story.apply(DeadlineDue("hard", 1)).effects == ()


def test_flags_are_only_ever_shown_with_a_reason() -> None:
    story = Story().file_ready_task()
    assert replace(story.task, flags={}).with_flag(Flag.BLOCKED, "because").flags == {"blocked": "because"}
