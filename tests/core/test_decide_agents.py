"""What agents do to a task: they get it, begin, give signs of life, and end."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from core.assignment.agent_state import StateChangeKind
from core.audit.events import EventType
from core.decide import decide
from core.decide.agents import INITIAL_BACKOFF, MAX_BACKOFF
from core.effects.base import CancelAgent, Comment, SetLabels, StartAgent, UpsertCard
from core.signals.base import AgentPollEmpty, AgentSeen, AgentStarted, AgentStartFailed, AgentUnavailable
from core.task.deadlines import DeadlineKind
from core.task.model import Flag, SessionState, Status
from tests.builders import NOW, Story, body


class TestAssigned:
    def test_the_agent_gets_a_lease_a_branch_and_the_packet(self) -> None:
        story = Story().file_ready_task().assign()
        assert story.task.status is Status.IN_PROGRESS
        assert (story.lease.agent, story.lease.attempt, story.lease.branch) == ("codex", 1, "task/1-1")
        (start,) = story.effects_of_type(StartAgent)
        assert (start.key, start.since) == ("start:1:1", story.now)
        assert "agent:codex" in story.effects_of_type(SetLabels)[0].labels
        assert story.has_event(EventType.TASK_ASSIGNED)

    def test_latency_counts_from_the_receipt_of_the_delivery(self) -> None:
        from core.signals.base import Assigned
        from core.task.model import AssignmentDecision

        story = Story().file_ready_task()
        context = replace(story.context, signal_received_at=NOW)
        decision = decide(story.task, Assigned(AssignmentDecision("codex", "free", (), NOW)), context)
        assert [e.since for e in decision.effects if isinstance(e, StartAgent)] == [NOW]

    def test_the_next_attempt_has_the_next_number_and_branch(self) -> None:
        story = Story().file_ready_task().assign().start_run().report_run("completed", "failure").assign("claude")
        assert (story.lease.attempt, story.lease.branch) == (2, "task/1-2")
        assert story.has_event(EventType.TASK_REASSIGNED)

    @pytest.mark.parametrize("start", ["pending", "waiting", "parked", "in-progress", "done"])
    def test_only_a_task_that_is_ready_and_free_is_handed_out(self, start: str) -> None:
        story = Story()
        story.dependencies = {"#2": False} if start == "waiting" else {}
        story.see_issue(text=body(criteria=()) if start == "pending" else body())
        if start == "parked":
            story.current_task = story.task.with_flag(Flag.PARKED, "The queue is full.")
        elif start == "in-progress":
            story.assign("claude")
        elif start == "done":
            story.add_label("status:done")
        before = story.task
        story.assign("codex")
        assert story.task == before
        assert not story.effects_of_type(StartAgent)

    def test_no_free_agent_is_recorded_once(self) -> None:
        story = Story().file_ready_task().assign(None, "no agent is free")
        assert story.effects_of_type(UpsertCard)
        found = story.task.choice
        story.assign(None, "no agent is free")
        assert story.last_decision.effects == ()
        assert story.task.choice == found
        story.assign(None, "no agent is configured")
        assert story.effects_of_type(UpsertCard)

    def test_it_is_no_longer_stalled_once_assigned(self) -> None:
        story = Story().file_ready_task()
        story.current_task = story.task.with_flag(Flag.STALLED, "No agent took it.")
        story.assign()
        assert not story.task.flags


class TestStarting:
    def test_an_accepted_start_proves_nothing(self) -> None:
        story = Story().file_ready_task().assign()
        story.apply(AgentStarted(1))
        assert story.lease.acknowledged_at is None
        assert story.has_event(EventType.TASK_ACKNOWLEDGED)
        story.apply(AgentStarted(2))
        assert story.last_decision.events == ()

    def test_an_agent_that_cannot_be_started_leaves_the_task_to_another(self) -> None:
        story = Story().file_ready_task().assign()
        story.apply(AgentStartFailed(1, "There is no `agent.yml`: ask @everybody. Bearer abcdefghijkl"))
        assert story.task.status is Status.READY
        assert story.task.history[-1].outcome == "silent"
        assert "codex could not be started" in story.comment_text()
        assert "@everybody" not in story.comment_text()
        assert "abcdefghijkl" not in story.comment_text()
        assert not story.effects_of_type(CancelAgent)
        assert story.has_event(EventType.AGENT_FAILED)

    def test_reports_of_an_earlier_or_delivered_attempt_are_ignored(self) -> None:
        story = Story().file_ready_task().assign()
        assert story.apply(AgentStartFailed(5, "no")).effects == ()
        story.see_pull()
        assert story.apply(AgentStartFailed(1, "no")).effects == ()

    def test_the_same_trouble_again_and_again_ends_with_a_person(self) -> None:
        story = Story(limits={"max_attempts": 2}).file_ready_task().assign()
        story.apply(AgentStartFailed(1, "no workflow"))
        story.assign()
        story.apply(AgentStartFailed(2, "no workflow"))
        assert story.task.status is Status.FAILED
        assert story.has_event(EventType.ESCALATED)


class TestRuns:
    def test_the_first_sign_of_life_is_the_acknowledgement(self) -> None:
        story = Story().file_ready_task().assign()
        story.report_run("in_progress", run_id=55)
        assert story.lease.acknowledged_at == story.now
        assert (story.lease.session, story.lease.session_url) == ("55", "https://github.com/runs/55")
        assert story.has_event(EventType.TASK_ACKNOWLEDGED)
        first = story.lease.acknowledged_at
        story.report_run("in_progress", run_id=55)
        assert (story.lease.acknowledged_at, story.lease.last_activity_at) == (first, story.now)
        assert not story.has_event(EventType.TASK_ACKNOWLEDGED)

    def test_queued_it_has_not_begun_but_it_is_there(self) -> None:
        story = Story().file_ready_task().assign().report_run("queued")
        assert story.lease.acknowledged_at is None
        assert story.lease.silent_since == story.now

    @pytest.mark.parametrize(
        ("conclusion", "title"),
        [
            ("success", "The run ended without a pull request"),
            ("failure", "The run ended with failure"),
            ("timed_out", "The run ended with timed_out"),
            ("cancelled", "The run was cancelled"),
            ("skipped", "The run was skipped"),
            ("action_required", "The run waits for approval"),
            (None, "The run ended with unknown"),
        ],
    )
    def test_a_run_that_ends_without_work_sends_the_task_back(self, conclusion: str | None, title: str) -> None:
        story = Story().file_ready_task().assign().start_run().report_run("completed", conclusion)
        assert story.task.status is Status.READY
        assert story.task.history[-1].reason == title
        assert not story.effects_of_type(CancelAgent)

    def test_a_run_that_ends_after_the_work_is_handed_in_changes_nothing(self) -> None:
        story = Story().file_ready_task().reach_review().report_run("completed", "failure")
        assert story.task.status is Status.REVIEW

    def test_of_an_earlier_attempt_it_is_recorded_and_never_applied(self) -> None:
        story = Story().file_ready_task().assign().start_run().report_run("completed", "failure").assign("claude")
        story.report_run("completed", "failure", attempt=1)
        assert story.task.status is Status.IN_PROGRESS
        assert story.has_event(EventType.LATE_RESULT)

    def test_of_two_runs_of_one_attempt_the_later_one_counts(self) -> None:
        story = Story().file_ready_task().assign().start_run(100).start_run(101)
        assert story.lease.session == "101"
        story.report_run("completed", "cancelled", run_id=100)
        assert story.task.status is Status.IN_PROGRESS
        story.report_run("completed", "failure", run_id=101)
        assert story.task.status is Status.READY

    def test_a_result_for_an_unassigned_task_is_recorded(self) -> None:
        story = Story().file_ready_task().report_run("completed", "success", attempt=3)
        assert story.has_event(EventType.LATE_RESULT)


def test_a_comment_about_an_attempt_goes_where_the_work_is() -> None:
    story = Story().file_ready_task().assign().start_run().report_run("completed", "failure")
    assert [(comment.number, comment.topic) for comment in story.effects_of_type(Comment)] == [(1, "run:100")]


def news(story: Story) -> list[tuple[str, StateChangeKind]]:
    """What the last decision tells of agents themselves."""
    return [(told.agent, told.kind) for told in story.last_decision.agent_changes]


class TestTheAgentItself:
    def test_work_in_progress_is_a_sign_of_life_and_a_queued_run_is_none(self) -> None:
        story = Story().file_ready_task().assign().report_run("queued")
        assert news(story) == []
        assert news(story.start_run()) == [("codex", StateChangeKind.SEEN)]

    def test_work_that_is_handed_in_wipes_the_slate(self) -> None:
        assert ("codex", StateChangeKind.DELIVERED) in news(Story().file_ready_task().reach_review())

    def test_a_person_s_work_says_nothing_of_an_agent(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim")
        story.see_pull()
        assert news(story) == []

    def test_silence_and_a_failed_start_are_failures_of_the_agent(self) -> None:
        story = Story().file_ready_task().assign().accept_start()
        story.reach_deadline(DeadlineKind.ACK)
        assert news(story) == []
        story.apply(AgentPollEmpty(1))
        story.reach_deadline(DeadlineKind.ACK)
        assert news(story) == [("codex", StateChangeKind.FAILED)]
        story.assign("claude").apply(AgentStartFailed(2, "no workflow"))
        assert news(story) == [("claude", StateChangeKind.FAILED)]
        assert (
            news(story.assign().start_run().report_run("completed", "failure")) == []
        )  # of the attempt, not of the agent

    def test_one_in_error_that_shows_life_has_recovered(self) -> None:
        story = Story().file_ready_task().assign()
        context = replace(story.context, failed_agents=frozenset({"codex"}))
        alive = AgentSeen(1, SessionState.WORKING, story.now)
        told = [(event.type, event.agent) for event in decide(story.task, alive, context).events]
        assert (EventType.AGENT_RECOVERED, "codex") in told
        assert not story.start_run().has_event(EventType.AGENT_RECOVERED)

    def test_one_that_comes_back_too_late_lives_and_gets_nothing_back(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.time_out(DeadlineKind.HEARTBEAT)
        story.assign("claude")
        before = story.task
        story.apply(AgentSeen(1, SessionState.WORKING, story.now))
        assert story.task == before
        [event] = story.last_decision.events
        assert (event.type, event.agent, event.payload["attempt"]) == (EventType.LATE_RESULT, "codex", 1)
        assert news(story) == [("codex", StateChangeKind.SEEN)]
        story.report_run("completed", "cancelled", attempt=1)  # we stopped it: that is no sign of life
        assert news(story) == []

    def test_the_word_of_one_who_does_not_hold_the_task_is_recorded_only(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        before = story.task
        story.apply(AgentSeen(1, SessionState.FAILED, story.now, agent="claude"))
        assert story.task == before
        assert story.has_event(EventType.LATE_RESULT)
        story.apply(AgentSeen(1, SessionState.WORKING, story.now, agent="codex"))
        assert story.lease.last_activity_at == story.now

    def test_a_person_with_an_agent_s_name_is_no_agent(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim")
        story.current_task = replace(story.task, lease=replace(story.lease, agent="codex"))
        story.apply(AgentSeen(1, SessionState.FAILED, story.now, agent="codex"))
        assert story.task.status is Status.IN_PROGRESS


class TestUnavailable:
    def test_no_agent_is_blamed_and_the_agent_cools_down_until_then(self) -> None:
        story = Story(limits={"max_attempts": 1}).file_ready_task().assign()
        until = story.now + timedelta(hours=1)
        story.apply(AgentUnavailable(1, "out of credit, ask @everybody", until))
        assert (story.task.status, story.task.failure_count) == (Status.READY, 0)
        assert story.task.history[-1].outcome == "unavailable"
        [told] = story.last_decision.agent_changes
        assert (told.agent, told.kind, told.until) == ("codex", StateChangeKind.BACKING_OFF, until)
        assert "@everybody" not in told.reason
        assert not story.effects_of_type(CancelAgent, Comment)

    def test_without_a_time_the_pauses_grow(self) -> None:
        story = Story().file_ready_task()
        pauses = []
        for attempt in range(1, 9):
            story.assign().apply(AgentUnavailable(attempt, "at its limit"))
            [told] = story.last_decision.agent_changes
            assert told.until
            pauses.append(told.until - story.now)
        assert pauses[:3] == [INITIAL_BACKOFF, 2 * INITIAL_BACKOFF, 4 * INITIAL_BACKOFF]
        assert pauses[-1] == MAX_BACKOFF

    def test_a_time_that_makes_no_sense_is_not_believed(self) -> None:
        story = Story().file_ready_task().assign()
        story.apply(AgentUnavailable(1, "out of credit", story.now + timedelta(days=40_000)))
        assert [told.until for told in story.last_decision.agent_changes] == [story.now + MAX_BACKOFF]

    @pytest.mark.parametrize(("begun", "unclear"), [(True, False), (False, True)])
    def test_a_run_that_may_have_begun_is_cancelled(self, begun: bool, unclear: bool) -> None:
        story = Story().file_ready_task().assign()
        if begun:
            story.start_run()
        story.apply(AgentUnavailable(1, "out of credit", may_have_started=unclear))
        assert story.effects_of_type(CancelAgent)

    def test_one_that_asks_for_work_itself_and_does_not_is_away(self) -> None:
        pull = {"adapter": "pull", "capabilities": ("python",)}
        story = Story(agents={"chatgpt": pull}).file_ready_task().assign("chatgpt")
        story.reach_deadline(DeadlineKind.ACK)
        assert news(story) == [("chatgpt", StateChangeKind.BACKING_OFF)]
        assert (story.task.status, story.task.failure_count) == (Status.READY, 0)
        assert story.effects_of_type(CancelAgent)  # the offer no longer stands


class TestFailover:
    def test_its_time_counts_from_when_the_agent_before_was_found_to_have_failed(self) -> None:
        story = Story().file_ready_task().assign()
        assert [start.lost_at for start in story.effects_of_type(StartAgent)] == [None]
        story.apply(AgentStartFailed(1, "no workflow"))
        lost = story.now
        story.assign("claude").apply(AgentUnavailable(2, "out of credit"))
        story.assign("cursor")
        assert [start.lost_at for start in story.effects_of_type(StartAgent)] == [lost]
        story.start_run().report_run("completed", "failure").assign()
        assert [start.lost_at for start in story.effects_of_type(StartAgent)] == [None]


class TestAQuestion:
    def asks(self, story: Story, state: SessionState = SessionState.NEEDS_INPUT) -> None:
        story.apply(AgentSeen(1, state, story.now, "s-1", "https://agents.example/s-1"))

    def test_escalates_once_however_often_it_is_reported(self) -> None:
        story = Story().file_ready_task().assign()
        self.asks(story)
        assert story.has_event(EventType.ESCALATED)
        assert story.task.flags[Flag.NEEDS_HUMAN] == "codex asked a question and waits for the answer"
        assert "[in its session](https://agents.example/s-1)" in story.comment_text()
        self.asks(story)
        assert not story.effects_of_type(Comment)
        assert story.task.status is Status.IN_PROGRESS

    def test_an_answered_question_needs_no_person_any_more(self) -> None:
        story = Story().file_ready_task().assign()
        self.asks(story)
        self.asks(story, SessionState.WORKING)
        assert Flag.NEEDS_HUMAN not in story.task.flags
