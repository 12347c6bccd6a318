"""What agents do to a task: they get it, begin, give signs of life, and end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.effects import CancelAgent, Comment, SetLabels, StartAgent, UpsertCard
from core.events import EventType
from core.signals import AgentStarted, AgentStartFailed
from core.task import Flag, Status
from tests.builders import NOW, Story, body


class TestAssigned:
    def test_the_agent_gets_a_lease_a_branch_and_the_packet(self) -> None:
        story = Story().ready().assigned()
        assert story.task.status is Status.IN_PROGRESS
        assert (story.lease.agent, story.lease.attempt, story.lease.branch) == ("codex", 1, "task/1-1")
        (start,) = story.wanted(StartAgent)
        assert (start.key, start.since) == ("start:1:1", story.now)
        assert "agent:codex" in story.wanted(SetLabels)[0].labels
        assert story.told(EventType.TASK_ASSIGNED)

    def test_latency_counts_from_when_the_news_reached_us(self) -> None:
        from core.decide import decide
        from core.signals import Assigned
        from core.task import Choice

        story = Story().ready()
        context = replace(story.context, since=NOW)
        decision = decide(story.task, Assigned(Choice("codex", "free", (), NOW)), context)
        assert [e.since for e in decision.effects if isinstance(e, StartAgent)] == [NOW]

    def test_the_next_attempt_has_the_next_number_and_branch(self) -> None:
        story = Story().ready().assigned().begun().run("completed", "failure").assigned("claude")
        assert (story.lease.attempt, story.lease.branch) == (2, "task/1-2")
        assert story.told(EventType.TASK_REASSIGNED)

    @pytest.mark.parametrize("start", ["pending", "waiting", "parked", "in-progress", "done"])
    def test_only_a_task_that_is_ready_and_free_is_handed_out(self, start: str) -> None:
        story = Story()
        story.dependencies = {"#2": False} if start == "waiting" else {}
        story.issue_seen(text=body(criteria=()) if start == "pending" else body())
        if start == "parked":
            story.known = story.task.flagged(Flag.PARKED, "The queue is full.")
        elif start == "in-progress":
            story.assigned("claude")
        elif start == "done":
            story.labelled("status:done")
        before = story.task
        story.assigned("codex")
        assert story.task == before
        assert not story.wanted(StartAgent)

    def test_that_nobody_is_free_is_news_once(self) -> None:
        story = Story().ready().assigned(None, "no agent is free")
        assert story.wanted(UpsertCard)
        found = story.task.choice
        story.assigned(None, "no agent is free")
        assert story.last.effects == ()
        assert story.task.choice == found
        story.assigned(None, "no agent is configured")
        assert story.wanted(UpsertCard)

    def test_it_is_no_longer_stalled_when_somebody_has_it(self) -> None:
        story = Story().ready()
        story.known = story.task.flagged(Flag.STALLED, "Nobody took it.")
        story.assigned()
        assert not story.task.flags


class TestStarting:
    def test_an_accepted_start_proves_nothing(self) -> None:
        story = Story().ready().assigned()
        story.hears(AgentStarted(1))
        assert story.lease.acknowledged_at is None
        assert story.told(EventType.TASK_ACKNOWLEDGED)
        story.hears(AgentStarted(2))
        assert story.last.events == ()

    def test_an_agent_that_cannot_be_started_leaves_the_task_to_another(self) -> None:
        story = Story().ready().assigned()
        story.hears(AgentStartFailed(1, "There is no `agent.yml`: ask @everybody. Bearer abcdefghijkl"))
        assert story.task.status is Status.READY
        assert story.task.history[-1].outcome == "silent"
        assert "codex could not be started" in story.said()
        assert "@everybody" not in story.said()
        assert "abcdefghijkl" not in story.said()
        assert not story.wanted(CancelAgent)
        assert story.told(EventType.AGENT_FAILED)

    def test_of_an_earlier_attempt_or_one_handed_in_it_is_old_news(self) -> None:
        story = Story().ready().assigned()
        assert story.hears(AgentStartFailed(5, "no")).effects == ()
        story.pulled()
        assert story.hears(AgentStartFailed(1, "no")).effects == ()

    def test_the_same_trouble_again_and_again_ends_with_a_person(self) -> None:
        story = Story(limits={"max_attempts": 2}).ready().assigned()
        story.hears(AgentStartFailed(1, "no workflow"))
        story.assigned()
        story.hears(AgentStartFailed(2, "no workflow"))
        assert story.task.status is Status.FAILED
        assert story.told(EventType.ESCALATED)


class TestRuns:
    def test_the_first_sign_of_life_is_the_acknowledgement(self) -> None:
        story = Story().ready().assigned()
        story.run("in_progress", run_id=55)
        assert story.lease.acknowledged_at == story.now
        assert (story.lease.session, story.lease.session_url) == ("55", "https://github.com/runs/55")
        assert story.told(EventType.TASK_ACKNOWLEDGED)
        first = story.lease.acknowledged_at
        story.run("in_progress", run_id=55)
        assert (story.lease.acknowledged_at, story.lease.last_sign_at) == (first, story.now)
        assert not story.told(EventType.TASK_ACKNOWLEDGED)

    def test_queued_it_has_not_begun_but_it_is_there(self) -> None:
        story = Story().ready().assigned().run("queued")
        assert story.lease.acknowledged_at is None
        assert story.lease.last_heard_at == story.now

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
        story = Story().ready().assigned().begun().run("completed", conclusion)
        assert story.task.status is Status.READY
        assert story.task.history[-1].reason == title
        assert not story.wanted(CancelAgent)

    def test_a_run_that_ends_after_the_work_is_handed_in_changes_nothing(self) -> None:
        story = Story().ready().in_review().run("completed", "failure")
        assert story.task.status is Status.REVIEW

    def test_of_an_earlier_attempt_it_is_recorded_and_never_applied(self) -> None:
        story = Story().ready().assigned().begun().run("completed", "failure").assigned("claude")
        story.run("completed", "failure", attempt=1)
        assert story.task.status is Status.IN_PROGRESS
        assert story.told(EventType.LATE_RESULT)

    def test_of_two_runs_of_one_attempt_the_later_one_counts(self) -> None:
        story = Story().ready().assigned().begun(100).begun(101)
        assert story.lease.session == "101"
        story.run("completed", "cancelled", run_id=100)
        assert story.task.status is Status.IN_PROGRESS
        story.run("completed", "failure", run_id=101)
        assert story.task.status is Status.READY

    def test_a_task_that_waits_for_nobody_records_it(self) -> None:
        story = Story().ready().run("completed", "success", attempt=3)
        assert story.told(EventType.LATE_RESULT)


def test_a_comment_about_an_attempt_goes_where_the_work_is() -> None:
    story = Story().ready().assigned().begun().run("completed", "failure")
    assert [(comment.number, comment.topic) for comment in story.wanted(Comment)] == [(1, "run:100")]
