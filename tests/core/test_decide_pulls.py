"""What a pull request does to its task."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.audit.events import EventType
from core.effects.base import CancelAgent, ClosePull, Comment, ReadChecks, RequestTrialMerge
from core.signals.base import BaseMoved
from core.task.model import ChecksState, Flag, Status
from tests.builders import ALICE, BOB, MALLORY, OTHER_SHA, ROBOT, SHA, Story, body, failed_check


class TestOpened:
    def test_the_agents_pull_request_is_tried_and_its_checks_are_read(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        decision = story.see_pull()
        assert story.task.status is Status.REVIEW
        assert story.pull.attempt == 1
        assert decision.effects[-2:] == (RequestTrialMerge(1, 7, "task/1-1", "main", SHA), ReadChecks(1, SHA))
        assert story.has_event(EventType.TASK_REVIEW)

    def test_it_is_a_heartbeat_if_the_event_of_the_run_was_lost(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull()
        assert story.lease.acknowledged_at == story.now

    def test_an_earlier_attempts_is_recorded_and_never_applied(self) -> None:
        story = Story().file_ready_task().assign().start_run().report_run("completed", "failure").assign("claude")
        story.see_pull(attempt=1)
        assert story.task.status is Status.IN_PROGRESS
        assert story.task.pull is None
        assert story.has_event(EventType.LATE_RESULT)

    def test_of_a_task_that_is_over_it_is_recorded_and_never_applied(self) -> None:
        story = Story().file_ready_task()
        story.add_label("status:done")
        story.see_pull(attempt=None, author=ALICE)
        assert story.task.status is Status.DONE
        assert story.has_event(EventType.LATE_RESULT)

    @pytest.mark.parametrize("merged", [True, False])
    def test_a_fork_is_never_trusted(self, merged: bool) -> None:
        story = Story().file_ready_task().assign()
        before = story.task
        assert story.see_pull(fork=True, merged=merged).effects == ()
        assert story.task == before

    @pytest.mark.parametrize("start", ["pending", "ready"])
    def test_a_writer_may_work_on_an_unassigned_task(self, start: str) -> None:
        story = Story()
        story.see_issue(text=body(criteria=()) if start == "pending" else body())
        story.see_pull(attempt=None, author=BOB, branch="bobs-idea")
        assert (story.task.status, story.task.attempt, story.task.lease) == (Status.REVIEW, 1, None)
        story.see_pull(closed=True, attempt=None, author=BOB, branch="bobs-idea")
        (attempt,) = story.task.history
        assert (attempt.number, attempt.agent, attempt.branch) == (1, "bob", "bobs-idea")
        assert story.task.status == start

    def test_a_strangers_is_not_taken_for_the_work(self) -> None:
        story = Story().file_ready_task()
        story.see_pull(attempt=None, author=MALLORY, can_write=False, branch="gift")
        assert story.task.status is Status.READY
        assert story.has_event(EventType.LATE_RESULT)

    def test_an_agent_with_branches_of_its_own_is_known_by_its_closing_words(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull(attempt=None, branch="cursor/apples")
        assert story.task.status is Status.REVIEW

    def test_it_replaces_those_of_earlier_attempts(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        story.assign().start_run()
        story.see_pull(8, sha=OTHER_SHA)
        assert story.effects_of_type(ClosePull) == [ClosePull(1, 7)]
        story.see_pull(7, attempt=1, closed=True, by_us=True)
        assert story.pull.number == 8


class TestADraft:
    def test_it_shows_that_the_agent_lives_and_is_not_handed_in(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull(draft=True)
        assert story.task.status is Status.IN_PROGRESS
        assert story.lease.acknowledged_at
        assert story.effects_of_type(RequestTrialMerge)  # so that a collision is known long before it is handed in
        story.see_pull(draft=True, sha=OTHER_SHA)
        assert [effect.head_sha for effect in story.effects_of_type(RequestTrialMerge)] == [OTHER_SHA]
        assert not story.effects_of_type(ReadChecks)
        story.see_pull(sha=OTHER_SHA)
        assert story.task.status is Status.REVIEW
        assert story.effects_of_type(RequestTrialMerge, ReadChecks)

    def test_ci_red_on_a_draft_is_the_agents_own_business_until_it_hands_in(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull(draft=True)
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        assert story.task.status is Status.IN_PROGRESS

    def test_a_draft_again_and_handed_in_again_is_looked_at_again(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.see_pull(draft=True)
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        assert story.task.status is Status.REVIEW
        story.see_pull()
        assert story.effects_of_type(ReadChecks) == [ReadChecks(1, SHA)]

    def test_a_persons_sketch_takes_nothing_out_of_an_agents_hands(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull(9, attempt=None, author=BOB, branch="sketch", draft=True)
        assert story.task.pull is None
        story.see_pull(9, attempt=None, author=BOB, branch="sketch", closed=True)
        assert story.task.status is Status.IN_PROGRESS

    def test_a_persons_sketch_counts_when_it_is_ready_for_review(self) -> None:
        story = Story().file_ready_task()
        story.see_pull(9, attempt=None, author=BOB, branch="sketch", draft=True)
        assert (story.task.status, story.task.pull) == (Status.READY, None)
        story.see_pull(9, attempt=None, author=BOB, branch="sketch")
        assert story.task.status is Status.REVIEW

    def test_a_draft_of_the_claimant_belongs_to_the_task(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim", author=BOB)
        story.see_pull(9, attempt=None, author=BOB, branch="bobs", draft=True)
        assert story.pull.draft


class TestPushedTo:
    def test_a_new_head_forgets_what_was_known_of_the_old_one(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.report_trial_merge()
        story.report_checks(ChecksState.SUCCESS)
        story.see_pull(sha=OTHER_SHA)
        assert (story.pull.head_sha, story.pull.checks) == (OTHER_SHA, ChecksState.PENDING)
        assert (story.pull.mergeable_sha, story.pull.dod_fingerprint, story.pull.conflict_fingerprint) == (
            None,
            None,
            None,
        )
        assert story.effects_of_type(RequestTrialMerge, ReadChecks)

    def test_another_base_is_as_good_as_a_new_head(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.see_pull(base="release")
        assert story.effects_of_type(RequestTrialMerge) == [RequestTrialMerge(1, 7, "task/1-1", "release", SHA)]

    def test_an_older_event_never_overwrites_a_newer_one(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.see_pull(sha=OTHER_SHA)
        story.see_pull(sha=SHA, at=story.now - timedelta(minutes=5))
        assert story.pull.head_sha == OTHER_SHA

    def test_it_is_no_longer_stalled(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.current_task = story.task.with_flag(Flag.STALLED, "Nothing moves.")
        story.see_pull(sha=OTHER_SHA)
        assert Flag.STALLED not in story.task.flags

    def test_merely_read_again_it_is_as_stalled_as_before(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.current_task = story.task.with_flag(Flag.STALLED, "Nothing moves.")
        story.see_pull(at=story.pull.updated_at)
        assert Flag.STALLED in story.task.flags
        assert story.last_decision.effects == ()


class TestClosedUnmerged:
    def test_the_task_goes_back_with_the_reason(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.see_pull(closed=True)
        assert story.task.status is Status.READY
        assert story.task.failure_count == 1
        assert "closed without being merged" in story.comment_text()

    def test_closed_by_the_bot_blames_no_agent(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.see_pull(closed=True, by_us=True)
        assert (story.task.status, story.task.failure_count) == (Status.READY, 0)
        assert story.task.history[-1].outcome == "released"

    def test_a_draft_that_is_closed_stops_its_agent(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull(draft=True)
        story.see_pull(draft=True, closed=True)
        assert story.effects_of_type(CancelAgent)

    def test_one_that_is_not_the_tasks_changes_nothing(self) -> None:
        story = Story().file_ready_task().reach_review()
        before = story.task
        story.see_pull(99, closed=True, attempt=None)
        assert story.task == before

    def test_a_person_who_reopens_it_goes_on(self) -> None:
        story = Story().file_ready_task()
        story.see_pull(attempt=None, author=BOB, branch="bobs")
        story.see_pull(attempt=None, author=BOB, branch="bobs", closed=True)
        story.see_pull(attempt=None, author=BOB, branch="bobs")
        assert (story.task.status, story.task.attempt) == (Status.REVIEW, 2)


class TestAfterItWasSentBack:
    def test_the_same_commit_is_not_handed_in_twice(self) -> None:
        story = Story().file_ready_task().assign()
        story.see_pull(attempt=None, branch="cursor/apples")
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        story.assign()
        story.see_pull(attempt=None, branch="cursor/apples")  # its title was edited, say
        assert story.task.status is Status.IN_PROGRESS
        story.see_pull(attempt=None, branch="cursor/apples", sha=OTHER_SHA)
        assert story.task.status is Status.REVIEW


class TestMerged:
    def test_with_passing_checks_and_ticked_criteria_it_is_done(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).reach_review()
        story.report_checks(ChecksState.SUCCESS)
        story.merge_pull()
        assert story.task.status is Status.DONE
        assert story.pull.merged
        assert (story.task.history[-1].outcome, story.task.history[-1].pull) == ("delivered", 7)

    def test_before_its_checks_have_ended_it_waits_for_them(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).reach_review()
        story.merge_pull()
        assert story.task.status is Status.REVIEW
        assert story.task.flags[Flag.BLOCKED].startswith("Merged, but not done")
        assert story.effects_of_type(ReadChecks)
        story.report_checks(ChecksState.SUCCESS)
        assert (story.task.status, dict(story.task.flags)) == (Status.DONE, {})

    def test_with_another_head_than_we_knew_its_checks_are_read(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).reach_review()
        story.report_checks(ChecksState.SUCCESS)
        story.see_pull(sha=OTHER_SHA, merged=True)
        assert story.effects_of_type(ReadChecks) == [ReadChecks(1, OTHER_SHA)]
        assert story.task.status is Status.REVIEW

    def test_a_draft_that_a_person_merges_counts_as_delivered(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).assign()
        story.see_pull(draft=True)
        story.merge_pull()
        assert story.task.status is Status.REVIEW
        assert story.effects_of_type(ReadChecks)

    def test_nothing_comes_after_a_merge(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).reach_review()
        story.report_checks(ChecksState.SUCCESS)
        story.merge_pull()
        before = story.task
        story.see_pull(sha=OTHER_SHA)
        story.merge_pull()
        story.see_pull(99, attempt=None, merged=True)
        assert story.task == before

    def test_a_persons_pull_request_that_we_never_saw_open(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True))
        story.see_pull(attempt=None, author=BOB, can_write=False, branch="quick", merged=True)
        assert (story.task.status, story.task.attempt) == (Status.REVIEW, 1)
        story.report_checks(ChecksState.NONE)
        assert story.task.status is Status.DONE
        assert story.task.history[-1].agent == "bob"

    def test_an_earlier_attempts_work_that_is_taken_after_all_stops_the_next_one(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).reach_review()
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        story.assign("claude").start_run()
        story.see_pull(7, attempt=1, merged=True)
        assert [effect.agent for effect in story.effects_of_type(CancelAgent)] == ["claude"]
        assert story.task.status is Status.REVIEW
        story.report_checks(ChecksState.SUCCESS)
        assert story.task.status is Status.DONE
        assert [a.number for a in story.task.history] == [1, 2, 3]

    def test_a_failed_tasks_old_pull_request_may_be_merged_after_all(self) -> None:
        story = Story(limits={"max_attempts": 1}).file_ready_task(text=body(ticked=True)).reach_review()
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        assert story.task.status is Status.FAILED
        story.see_pull(7, attempt=1, merged=True)
        assert story.task.status is Status.FAILED
        story.report_checks(ChecksState.SUCCESS)
        assert story.task.status is Status.DONE

    def test_another_pull_request_does_not_decide_about_one_in_review(self) -> None:
        story = Story().file_ready_task(text=body(ticked=True)).reach_review()
        story.see_pull(99, attempt=None, author=BOB, branch="other", merged=True)
        assert story.has_event(EventType.LATE_RESULT)
        assert story.pull.number == 7


def test_a_pull_request_that_is_the_tasks_answers_where_it_is() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_checks(ChecksState.FAILURE, None, failed_check())
    assert [comment.number for comment in story.effects_of_type(Comment)] == [7]


def test_the_base_of_another_branch_moves_nothing() -> None:
    story = Story().file_ready_task().reach_review()
    assert story.apply(BaseMoved("release", OTHER_SHA)).effects == ()
    assert story.pull.author == ROBOT
