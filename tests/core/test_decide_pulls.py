"""What a pull request does to its task."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.audit.events import EventType
from core.effects.base import CancelAgent, ClosePull, Comment, ReadChecks, RequestTrialMerge
from core.signals.base import BaseMoved
from core.task.model import ChecksState, Flag, Status
from tests.builders import ALICE, BOB, MALLORY, ROBOT, SHA, SHA2, Story, body, red


class TestOpened:
    def test_the_agents_pull_request_is_tried_and_its_checks_are_read(self) -> None:
        story = Story().ready().assigned().begun()
        decision = story.pulled()
        assert story.task.status is Status.REVIEW
        assert story.pull.attempt == 1
        assert decision.effects[-2:] == (RequestTrialMerge(1, 7, "task/1-1", "main", SHA), ReadChecks(1, SHA))
        assert story.told(EventType.TASK_REVIEW)

    def test_it_is_a_sign_of_life_when_the_news_of_the_run_was_lost(self) -> None:
        story = Story().ready().assigned()
        story.pulled()
        assert story.lease.acknowledged_at == story.now

    def test_an_earlier_attempts_is_recorded_and_never_applied(self) -> None:
        story = Story().ready().assigned().begun().run("completed", "failure").assigned("claude")
        story.pulled(attempt=1)
        assert story.task.status is Status.IN_PROGRESS
        assert story.task.pull is None
        assert story.told(EventType.LATE_RESULT)

    def test_of_a_task_that_is_over_it_is_recorded_and_never_applied(self) -> None:
        story = Story().ready()
        story.labelled("status:done")
        story.pulled(attempt=None, author=ALICE)
        assert story.task.status is Status.DONE
        assert story.told(EventType.LATE_RESULT)

    @pytest.mark.parametrize("merged", [True, False])
    def test_a_fork_is_never_trusted(self, merged: bool) -> None:
        story = Story().ready().assigned()
        before = story.task
        assert story.pulled(fork=True, merged=merged).effects == ()
        assert story.task == before

    @pytest.mark.parametrize("start", ["pending", "ready"])
    def test_a_writer_may_work_on_a_task_that_nobody_holds(self, start: str) -> None:
        story = Story()
        story.issue_seen(text=body(criteria=()) if start == "pending" else body())
        story.pulled(attempt=None, author=BOB, branch="bobs-idea")
        assert (story.task.status, story.task.attempt, story.task.lease) == (Status.REVIEW, 1, None)
        story.pulled(closed=True, attempt=None, author=BOB, branch="bobs-idea")
        (attempt,) = story.task.history
        assert (attempt.number, attempt.agent, attempt.branch) == (1, "bob", "bobs-idea")
        assert story.task.status == start

    def test_a_strangers_is_not_taken_for_the_work(self) -> None:
        story = Story().ready()
        story.pulled(attempt=None, author=MALLORY, can_write=False, branch="gift")
        assert story.task.status is Status.READY
        assert story.told(EventType.LATE_RESULT)

    def test_an_agent_with_branches_of_its_own_is_known_by_its_closing_words(self) -> None:
        story = Story().ready().assigned()
        story.pulled(attempt=None, branch="cursor/apples")
        assert story.task.status is Status.REVIEW

    def test_it_replaces_those_of_earlier_attempts(self) -> None:
        story = Story().ready().in_review()
        story.checks(ChecksState.FAILURE, None, red())
        story.assigned().begun()
        story.pulled(8, sha=SHA2)
        assert story.wanted(ClosePull) == [ClosePull(1, 7)]
        story.pulled(7, attempt=1, closed=True, by_us=True)
        assert story.pull.number == 8


class TestADraft:
    def test_it_shows_that_the_agent_lives_and_is_not_handed_in(self) -> None:
        story = Story().ready().assigned()
        story.pulled(draft=True)
        assert story.task.status is Status.IN_PROGRESS
        assert story.lease.acknowledged_at
        assert story.wanted(RequestTrialMerge)  # so that a collision is known long before it is handed in
        story.pulled(draft=True, sha=SHA2)
        assert [effect.head_sha for effect in story.wanted(RequestTrialMerge)] == [SHA2]
        assert not story.wanted(ReadChecks)
        story.pulled(sha=SHA2)
        assert story.task.status is Status.REVIEW
        assert story.wanted(RequestTrialMerge, ReadChecks)

    def test_ci_red_on_a_draft_is_the_agents_own_business_until_it_hands_in(self) -> None:
        story = Story().ready().assigned()
        story.pulled(draft=True)
        story.checks(ChecksState.FAILURE, None, red())
        assert story.task.status is Status.IN_PROGRESS

    def test_a_draft_again_and_handed_in_again_is_looked_at_again(self) -> None:
        story = Story().ready().in_review()
        story.pulled(draft=True)
        story.checks(ChecksState.FAILURE, None, red())
        assert story.task.status is Status.REVIEW
        story.pulled()
        assert story.wanted(ReadChecks) == [ReadChecks(1, SHA)]

    def test_a_persons_sketch_takes_nothing_out_of_an_agents_hands(self) -> None:
        story = Story().ready().assigned()
        story.pulled(9, attempt=None, author=BOB, branch="sketch", draft=True)
        assert story.task.pull is None
        story.pulled(9, attempt=None, author=BOB, branch="sketch", closed=True)
        assert story.task.status is Status.IN_PROGRESS

    def test_a_persons_sketch_counts_when_it_is_ready_for_review(self) -> None:
        story = Story().ready()
        story.pulled(9, attempt=None, author=BOB, branch="sketch", draft=True)
        assert (story.task.status, story.task.pull) == (Status.READY, None)
        story.pulled(9, attempt=None, author=BOB, branch="sketch")
        assert story.task.status is Status.REVIEW

    def test_a_draft_of_whoever_claimed_the_task_is_theirs(self) -> None:
        story = Story().ready()
        story.says("/claim", by=BOB)
        story.pulled(9, attempt=None, author=BOB, branch="bobs", draft=True)
        assert story.pull.draft


class TestPushedTo:
    def test_a_new_head_forgets_what_was_known_of_the_old_one(self) -> None:
        story = Story().ready().in_review()
        story.merge_tried()
        story.checks(ChecksState.SUCCESS)
        story.pulled(sha=SHA2)
        assert (story.pull.head_sha, story.pull.checks) == (SHA2, ChecksState.PENDING)
        assert (story.pull.mergeable_sha, story.pull.dod_shown, story.pull.conflict_shown) == (None, None, None)
        assert story.wanted(RequestTrialMerge, ReadChecks)

    def test_another_base_is_as_good_as_a_new_head(self) -> None:
        story = Story().ready().in_review()
        story.pulled(base="release")
        assert story.wanted(RequestTrialMerge) == [RequestTrialMerge(1, 7, "task/1-1", "release", SHA)]

    def test_older_news_never_overwrites_newer(self) -> None:
        story = Story().ready().in_review()
        story.pulled(sha=SHA2)
        story.pulled(sha=SHA, at=story.now - timedelta(minutes=5))
        assert story.pull.head_sha == SHA2

    def test_it_is_no_longer_stalled(self) -> None:
        story = Story().ready().in_review()
        story.known = story.task.flagged(Flag.STALLED, "Nothing moves.")
        story.pulled(sha=SHA2)
        assert Flag.STALLED not in story.task.flags

    def test_merely_read_again_it_is_as_stalled_as_before(self) -> None:
        story = Story().ready().in_review()
        story.known = story.task.flagged(Flag.STALLED, "Nothing moves.")
        story.pulled(at=story.pull.updated_at)
        assert Flag.STALLED in story.task.flags
        assert story.last.effects == ()


class TestClosedUnmerged:
    def test_the_task_goes_back_with_the_reason(self) -> None:
        story = Story().ready().in_review()
        story.pulled(closed=True)
        assert story.task.status is Status.READY
        assert story.task.failures == 1
        assert "closed without being merged" in story.said()

    def test_by_us_nobody_is_to_blame(self) -> None:
        story = Story().ready().in_review()
        story.pulled(closed=True, by_us=True)
        assert (story.task.status, story.task.failures) == (Status.READY, 0)
        assert story.task.history[-1].outcome == "released"

    def test_a_draft_that_is_closed_stops_its_agent(self) -> None:
        story = Story().ready().assigned()
        story.pulled(draft=True)
        story.pulled(draft=True, closed=True)
        assert story.wanted(CancelAgent)

    def test_one_that_is_not_the_tasks_changes_nothing(self) -> None:
        story = Story().ready().in_review()
        before = story.task
        story.pulled(99, closed=True, attempt=None)
        assert story.task == before

    def test_a_person_who_reopens_it_goes_on(self) -> None:
        story = Story().ready()
        story.pulled(attempt=None, author=BOB, branch="bobs")
        story.pulled(attempt=None, author=BOB, branch="bobs", closed=True)
        story.pulled(attempt=None, author=BOB, branch="bobs")
        assert (story.task.status, story.task.attempt) == (Status.REVIEW, 2)


class TestAfterItWasSentBack:
    def test_the_same_commit_is_not_handed_in_twice(self) -> None:
        story = Story().ready().assigned()
        story.pulled(attempt=None, branch="cursor/apples")
        story.checks(ChecksState.FAILURE, None, red())
        story.assigned()
        story.pulled(attempt=None, branch="cursor/apples")  # its title was edited, say
        assert story.task.status is Status.IN_PROGRESS
        story.pulled(attempt=None, branch="cursor/apples", sha=SHA2)
        assert story.task.status is Status.REVIEW


class TestMerged:
    def test_with_passing_checks_and_ticked_criteria_it_is_done(self) -> None:
        story = Story().ready(text=body(ticked=True)).in_review()
        story.checks(ChecksState.SUCCESS)
        story.merged()
        assert story.task.status is Status.DONE
        assert story.pull.merged
        assert (story.task.history[-1].outcome, story.task.history[-1].pull) == ("delivered", 7)

    def test_before_its_checks_have_ended_it_waits_for_them(self) -> None:
        story = Story().ready(text=body(ticked=True)).in_review()
        story.merged()
        assert story.task.status is Status.REVIEW
        assert story.task.flags[Flag.BLOCKED].startswith("Merged, but not done")
        assert story.wanted(ReadChecks)
        story.checks(ChecksState.SUCCESS)
        assert (story.task.status, dict(story.task.flags)) == (Status.DONE, {})

    def test_with_another_head_than_we_knew_its_checks_are_read(self) -> None:
        story = Story().ready(text=body(ticked=True)).in_review()
        story.checks(ChecksState.SUCCESS)
        story.pulled(sha=SHA2, merged=True)
        assert story.wanted(ReadChecks) == [ReadChecks(1, SHA2)]
        assert story.task.status is Status.REVIEW

    def test_a_draft_that_a_person_merges_is_handed_in_and_nobody_falls_silent(self) -> None:
        story = Story().ready(text=body(ticked=True)).assigned()
        story.pulled(draft=True)
        story.merged()
        assert story.task.status is Status.REVIEW
        assert story.wanted(ReadChecks)

    def test_nothing_comes_after_a_merge(self) -> None:
        story = Story().ready(text=body(ticked=True)).in_review()
        story.checks(ChecksState.SUCCESS)
        story.merged()
        before = story.task
        story.pulled(sha=SHA2)
        story.merged()
        story.pulled(99, attempt=None, merged=True)
        assert story.task == before

    def test_a_persons_pull_request_that_we_never_saw_open(self) -> None:
        story = Story().ready(text=body(ticked=True))
        story.pulled(attempt=None, author=BOB, can_write=False, branch="quick", merged=True)
        assert (story.task.status, story.task.attempt) == (Status.REVIEW, 1)
        story.checks(ChecksState.NONE)
        assert story.task.status is Status.DONE
        assert story.task.history[-1].agent == "bob"

    def test_an_earlier_attempts_work_that_is_taken_after_all_stops_the_next_one(self) -> None:
        story = Story().ready(text=body(ticked=True)).in_review()
        story.checks(ChecksState.FAILURE, None, red())
        story.assigned("claude").begun()
        story.pulled(7, attempt=1, merged=True)
        assert [effect.agent for effect in story.wanted(CancelAgent)] == ["claude"]
        assert story.task.status is Status.REVIEW
        story.checks(ChecksState.SUCCESS)
        assert story.task.status is Status.DONE
        assert [a.number for a in story.task.history] == [1, 2, 3]

    def test_a_failed_tasks_old_pull_request_may_be_merged_after_all(self) -> None:
        story = Story(limits={"max_attempts": 1}).ready(text=body(ticked=True)).in_review()
        story.checks(ChecksState.FAILURE, None, red())
        assert story.task.status is Status.FAILED
        story.pulled(7, attempt=1, merged=True)
        assert story.task.status is Status.FAILED
        story.checks(ChecksState.SUCCESS)
        assert story.task.status is Status.DONE

    def test_another_pull_request_does_not_decide_about_one_in_review(self) -> None:
        story = Story().ready(text=body(ticked=True)).in_review()
        story.pulled(99, attempt=None, author=BOB, branch="other", merged=True)
        assert story.told(EventType.LATE_RESULT)
        assert story.pull.number == 7


def test_a_pull_request_that_is_the_tasks_answers_where_it_is() -> None:
    story = Story().ready().in_review()
    story.checks(ChecksState.FAILURE, None, red())
    assert [comment.number for comment in story.wanted(Comment)] == [7]


def test_the_base_of_another_branch_moves_nothing() -> None:
    story = Story().ready().in_review()
    assert story.hears(BaseMoved("release", SHA2)).effects == ()
    assert story.pull.author == ROBOT
