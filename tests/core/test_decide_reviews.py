"""What a review does to a task."""

from __future__ import annotations

import pytest

from core.decide.agent_reviews import DETAILS_LIMIT, LINE_COMMENT_LIMIT, MAX_LINE_COMMENTS
from core.effects.base import Comment, MergePull, MessageAgent
from core.handoff.feedback import LineComment
from core.signals.base import MergeRefused
from core.task.model import Actor, ChecksState, Flag, Status
from tests.builders import ALICE, BOB, CRITIC, MALLORY, OTHER_SHA, ROBOT, SHA, Story, body


def green(review: str = "person") -> Story:
    """Nothing is missing but the review."""
    story = Story(merge={"auto": True, "review": review}).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    assert not story.effects_of_type(MergePull)
    return story


@pytest.mark.parametrize(
    ("review", "by", "merged"),
    [("person", BOB, True), ("person", CRITIC, False), ("agent", CRITIC, False), ("agent", BOB, True)],
)
def test_an_approval_lets_it_be_merged(review: str, by: Actor, merged: bool) -> None:
    story = green(review)
    story.review_pull("approved", by)
    assert bool(story.effects_of_type(MergePull)) is merged


def test_an_approval_of_an_earlier_commit_does_not_count() -> None:
    story = green()
    story.review_pull("approved", sha=OTHER_SHA)
    assert not story.effects_of_type(MergePull)


def test_an_approval_does_not_outlive_a_push() -> None:
    story = green()
    story.review_pull("approved", sha=SHA)
    story.see_pull(sha=OTHER_SHA)
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    assert not story.effects_of_type(MergePull)


@pytest.mark.parametrize("state", ["dismissed", "changes_requested"])
def test_an_approval_can_be_taken_back(state: str) -> None:
    story = Story(merge={"auto": True, "review": "person"}).file_ready_task(text=body(ticked=True)).assign()
    story.see_pull(draft=True)
    story.review_pull("approved")
    assert set(story.pull.approvals) == {BOB.id}
    story.review_pull(state)
    assert not story.pull.approvals
    assert story.task.status is Status.IN_PROGRESS


def test_what_is_said_on_lines_travels_with_it_and_is_bounded() -> None:
    story = Story().file_ready_task().reach_review()
    long = tuple(LineComment(f"a/{n}.py\n@all", n, "x" * 3_000) for n in range(1, 100))
    empty = LineComment("b.py", 1, "<!-- hidden -->")
    story.review_pull("changes_requested", comments=(empty, *long))
    kept = story.task.last_feedback
    assert kept
    assert [c.line for c in kept.comments] == list(range(1, MAX_LINE_COMMENTS))
    assert all(len(c.text) <= LINE_COMMENT_LIMIT and "\n" not in c.path for c in kept.comments)
    assert "The pull request has more comments on lines" in kept.details
    assert len(kept.details) <= DETAILS_LIMIT
    story.assign()
    assert story.packet()["feedback"]["comments"][0]["path"].startswith("a/1.py")


def test_changes_requested_sends_it_back_with_the_words_of_the_review() -> None:
    story = Story().file_ready_task().reach_review()
    story.review_pull("changes_requested", text="Please ask @everybody.<!-- hidden -->")
    assert story.task.status is Status.READY
    (comment,) = story.effects_of_type(Comment)
    assert comment.topic == "review:900"
    assert "bob requested changes" in comment.body
    assert "hidden" not in comment.body
    assert "@everybody" not in comment.body


def test_a_review_without_words_points_to_its_comments() -> None:
    story = Story().file_ready_task().reach_review()
    story.review_pull("changes_requested")
    feedback = story.task.last_feedback
    assert feedback
    assert feedback.details == "The review has no text; read its comments on the lines."


@pytest.mark.parametrize(
    ("by", "can_write", "state", "number"),
    [
        (MALLORY, False, "changes_requested", 7),
        (MALLORY, False, "approved", 7),
        (ROBOT, True, "approved", 7),
        (ALICE, True, "commented", 7),
        (ALICE, True, "changes_requested", 8),
    ],
)
def test_what_moves_nothing(by: Actor, can_write: bool, state: str, number: int) -> None:
    story = green()
    before = story.task
    assert story.review_pull(state, by, can_write=can_write, pull_number=number).effects == ()
    assert story.task == before


def test_an_approval_may_be_what_githubs_refusal_asked_for() -> None:
    story = Story(merge={"auto": True}).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    story.review_pull("approved")
    assert not story.effects_of_type(MergePull), "it is asked for already"
    story.apply(
        MergeRefused(7, SHA, "At least 1 approving review is required.")
    )  # perhaps for want of our check: it is written, and asked again
    story.apply(MergeRefused(7, SHA, "At least 1 approving review is required."))
    story.review_pull("approved", ALICE)
    assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [3]
    assert Flag.BLOCKED not in story.task.flags


class TestOfADraft:
    """Changes are asked for while the agent is still at work: the same attempt goes on, and is told."""

    def drafted(self) -> Story:
        story = Story().file_ready_task().assign().start_run()
        story.see_pull(draft=True)
        assert story.task.status is Status.IN_PROGRESS
        return story

    def test_the_agent_is_notified_and_keeps_its_attempt(self) -> None:
        story = self.drafted()
        story.review_pull("changes_requested", text="Use `Decimal`, @all.", comments=(LineComment("a.py", 3, "Here."),))
        [told] = story.effects_of_type(MessageAgent)
        assert (told.attempt, told.agent, told.session, told.since) == (1, "codex", "100", story.lease.since)
        assert told.text.startswith("bob requested changes to your draft at `aaaaaaaa`")
        assert "Use `Decimal`, " in told.text
        assert "- `a.py`, line 3:" in told.text
        assert "@all" not in told.text
        assert (story.task.status, story.task.history) == (Status.IN_PROGRESS, ())

    def test_what_it_pushed_since_is_handed_in(self) -> None:
        story = self.drafted()
        story.review_pull("changes_requested", text="No.")
        story.see_pull(draft=True, sha=OTHER_SHA)
        story.see_pull(sha=OTHER_SHA)
        assert story.task.status is Status.REVIEW

    def test_the_very_commit_that_was_found_wanting_is_not(self) -> None:
        story = self.drafted()
        story.review_pull("changes_requested", text="Use `Decimal`.")
        story.see_pull()
        assert story.task.status is Status.READY
        story.assign()
        assert story.packet()["feedback"]["details"] == "Use `Decimal`."

    @pytest.mark.parametrize("state", ["approved", "dismissed"])
    def test_the_reviewer_may_withdraw_the_change_request(self, state: str) -> None:
        story = self.drafted()
        story.review_pull("changes_requested", text="No.")
        story.review_pull(state)
        story.see_pull()
        assert story.task.status is Status.REVIEW

    def test_a_command_says_it_as_well(self) -> None:
        story = self.drafted()
        story.run_command("/review changes Use `Decimal`.", BOB)
        assert story.effects_of_type(MessageAgent)
        story.run_command("/review changes I have no role", MALLORY, "read")
        assert not story.effects_of_type(MessageAgent)

    def test_github_notifies_a_person_at_work(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/claim", author=ALICE)
        story.see_pull(draft=True, author=ALICE)
        story.review_pull("changes_requested", text="No.")
        assert not story.effects_of_type(MessageAgent)
        assert story.pull.requested_changes is None
