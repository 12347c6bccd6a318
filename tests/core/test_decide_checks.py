"""What continuous integration does to a task."""

from __future__ import annotations

import pytest

from core.audit.events import EventType
from core.effects.base import CancelAgent, CheckRun, Comment, Escalate, MergePull
from core.signals.base import ChecksSeen, MergeRefused
from core.task.model import ChecksState, Flag, Status
from tests.builders import MALLORY, SHA, SHA2, Story, body, red


def test_red_sends_the_task_back_with_everything_an_agent_needs() -> None:
    story = Story().ready().in_review()
    failed = red(step="pytest", first_error="E assert 1 == 2", failing_tests=("test_a",), log_tail="boom @everybody")
    story.checks(ChecksState.FAILURE, None, failed)
    assert story.task.status is Status.READY
    assert (story.task.failures, story.task.lease, story.task.pull) == (1, None, None)
    (comment,) = story.wanted(Comment)
    assert (comment.number, comment.topic) == (7, f"ci:{SHA}")
    for words in ("CI failed: tests", "pytest", "E assert 1 == 2", "test_a", "boom", SHA[:8]):
        assert words in comment.body
    assert not story.wanted(CancelAgent), "it has handed in"
    assert story.told(EventType.TASK_SENT_BACK)


def test_the_word_counts_for_the_present_head_only() -> None:
    story = Story().ready().in_review()
    before = story.task
    assert story.checks(ChecksState.FAILURE, SHA2, red()).effects == ()
    assert story.task == before


def test_without_a_pull_request_nothing_is_checked() -> None:
    story = Story().ready()
    assert story.hears(ChecksSeen(SHA, ChecksState.FAILURE)).effects == ()


def test_after_the_last_attempt_a_person_is_called() -> None:
    story = (
        Story(limits={"max_attempts": 2}, escalation={"fallback": ("alice", "acme/maintainers")}).ready().in_review()
    )
    story.checks(ChecksState.FAILURE, None, red())
    story.assigned().begun()
    story.pulled(8, sha=SHA2)
    story.checks(ChecksState.FAILURE, None, red())
    assert story.task.status is Status.FAILED
    assert story.task.flags[Flag.NEEDS_HUMAN].startswith("2 attempts failed")
    assert story.told(EventType.TASK_FAILED)
    assert story.told(EventType.ESCALATED)
    (feedback,), (call,) = story.wanted(Comment), story.wanted(Escalate)
    assert (feedback.number, call.number) == (8, 1)
    assert call.assign == ("alice",), "teams cannot be assigned"
    assert call.body.startswith("@alice @acme/maintainers **this task needs a person.**")


def test_a_check_with_a_hostile_name_notifies_nobody() -> None:
    story = Story(limits={"max_attempts": 1}).ready().in_review()
    story.checks(ChecksState.FAILURE, None, red("@everybody " * 100), red("<img src=x>"))
    assert "@everybody" not in story.said()
    assert "<img" not in story.said()
    assert "@everybody" not in story.task.flags[Flag.NEEDS_HUMAN]
    assert len(story.task.history[-1].reason) < 200


def test_red_without_any_detail_is_red_too() -> None:
    story = Story().ready().in_review()
    story.checks(ChecksState.FAILURE)
    assert story.task.history[-1].reason == "CI failed: a check"


@pytest.mark.parametrize("state", [ChecksState.SUCCESS, ChecksState.NONE])
def test_green_tried_and_ticked_is_merged_where_the_configuration_says_so(state: ChecksState) -> None:
    story = Story(merge={"auto": True}).ready(text=body(ticked=True)).in_review()
    story.merge_tried()
    story.checks(state)
    assert story.wanted(MergePull) == [MergePull(1, 7, SHA, "squash", "Sell apples (#7)", 1)]
    assert [check.name for check in story.wanted(CheckRun)] == ["conflict-first"], (
        "a branch may be protected by it; that nothing is missing the merge itself says"
    )
    story.checks(state)
    assert story.wanted(MergePull) == [], "once is enough"


def test_green_where_people_merge_is_only_said() -> None:
    story = Story().ready(text=body(ticked=True)).in_review()
    story.merge_tried()
    story.checks(ChecksState.SUCCESS)
    (check,) = story.wanted(CheckRun)
    assert (check.name, check.sha, check.conclusion) == ("definition-of-done", SHA, "success")
    assert not story.wanted(MergePull)


def test_what_is_missing_is_said_once_and_again_when_it_changes() -> None:
    story = Story(merge={"auto": True}).ready().in_review()
    story.checks(ChecksState.SUCCESS)
    assert not story.wanted(CheckRun), "the merge is still being tried"
    story.merge_tried()
    check = story.wanted(CheckRun)[-1]
    assert (check.conclusion, check.title) == ("action_required", "1 thing missing")
    assert "apples are sold" in check.summary
    story.checks(ChecksState.SUCCESS)
    assert not story.wanted(CheckRun)
    story.issue_seen(text=body(ticked=True))
    check, _ = story.wanted(CheckRun)  # and `conflict-first`, by which a branch may be protected
    assert check.conclusion == "success"
    assert story.wanted(MergePull)


def test_a_strangers_ticks_merge_nothing_until_a_maintainer_has_looked() -> None:
    story = Story(merge={"auto": True}).ready(author=MALLORY).in_review()
    story.merge_tried()
    story.checks(ChecksState.SUCCESS)
    story.issue_seen(MALLORY, text=body(ticked=True))
    assert not story.wanted(MergePull)
    assert "`/ready`" in story.wanted(CheckRun)[0].summary
    story.says("/ready")
    assert story.wanted(MergePull)


def test_a_re_run_is_waited_for() -> None:
    story = Story().ready(text=body(ticked=True)).in_review()
    story.merge_tried()
    story.checks(ChecksState.SUCCESS)
    story.checks(ChecksState.PENDING)
    assert story.pull.checks is ChecksState.PENDING


def test_a_change_ends_the_stall() -> None:
    story = Story().ready().in_review()
    story.known = story.task.flagged(Flag.STALLED, "The checks of #7 have not finished.")
    story.checks(ChecksState.PENDING)
    assert Flag.STALLED in story.task.flags
    story.checks(ChecksState.SUCCESS)
    assert Flag.STALLED not in story.task.flags


def test_another_check_that_passes_may_be_what_githubs_refusal_asked_for() -> None:
    story = Story(merge={"auto": True}).ready(text=body(ticked=True)).in_review()
    story.merge_tried()
    story.checks(ChecksState.SUCCESS)
    story.hears(
        MergeRefused(7, SHA, "Required status check “e2e” is expected.")
    )  # perhaps for want of our check: it is written, and asked again
    story.hears(MergeRefused(7, SHA, "Required status check “e2e” is expected."))
    assert Flag.BLOCKED in story.task.flags
    story.checks(ChecksState.SUCCESS)
    assert [merge.round for merge in story.wanted(MergePull)] == [3]
    assert Flag.BLOCKED not in story.task.flags


def test_red_after_a_merge_keeps_it_from_being_done() -> None:
    story = Story().ready(text=body(ticked=True)).in_review()
    story.merged()
    story.checks(ChecksState.FAILURE, None, red())
    assert story.task.status is Status.REVIEW
    assert story.task.flags[Flag.BLOCKED] == "Merged, but not done: Checks failed on the head commit."


def test_what_has_come_true_may_wait_while_the_bot_merges_unless_the_merge_is_refused() -> None:
    story = Story(merge={"auto": True}).ready().in_review()
    story.merge_tried()
    story.checks(ChecksState.SUCCESS)
    story.issue_seen(text=body(ticked=True))
    waits = {check.name: check.may_wait for check in story.wanted(CheckRun)}
    assert waits == {"definition-of-done": True, "conflict-first": False}
    story.checks(ChecksState.SUCCESS)
    assert not story.wanted(CheckRun), "it waits for the merge, whatever is heard before"
    story.hears(MergeRefused(7, SHA, "Required status check is expected."))
    waits = {check.name: check.may_wait for check in story.wanted(CheckRun)}
    assert waits == {"definition-of-done": False, "conflict-first": False}, "it may be what the branch asks for"
    assert [merge.round for merge in story.wanted(MergePull)] == [2]
    story.hears(MergeRefused(7, SHA, "Still no."))
    assert not story.wanted(MergePull)
    assert "Still no." in story.task.flags[Flag.BLOCKED]
