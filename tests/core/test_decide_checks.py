"""What continuous integration does to a task."""

from __future__ import annotations

import pytest

from core.audit.events import EventType
from core.effects.base import CancelAgent, CheckRun, Comment, Escalate, MergePull
from core.signals.base import ChecksSeen, MergeRefused
from core.task.model import ChecksState, Flag, Status
from tests.builders import MALLORY, OTHER_SHA, SHA, Story, body, failed_check


def test_red_sends_the_task_back_with_everything_an_agent_needs() -> None:
    story = Story().file_ready_task().reach_review()
    failed = failed_check(
        step="pytest", first_error="E assert 1 == 2", failing_tests=("test_a",), log_tail="boom @everybody"
    )
    story.report_checks(ChecksState.FAILURE, None, failed)
    assert story.task.status is Status.READY
    assert (story.task.failure_count, story.task.lease, story.task.pull) == (1, None, None)
    (comment,) = story.effects_of_type(Comment)
    assert (comment.number, comment.topic) == (7, f"ci:{SHA}")
    for words in ("CI failed: tests", "pytest", "E assert 1 == 2", "test_a", "boom", SHA[:8]):
        assert words in comment.body
    assert not story.effects_of_type(CancelAgent), "it has handed in"
    assert story.has_event(EventType.TASK_SENT_BACK)


def test_the_word_counts_for_the_present_head_only() -> None:
    story = Story().file_ready_task().reach_review()
    before = story.task
    assert story.report_checks(ChecksState.FAILURE, OTHER_SHA, failed_check()).effects == ()
    assert story.task == before


def test_without_a_pull_request_nothing_is_checked() -> None:
    story = Story().file_ready_task()
    assert story.apply(ChecksSeen(SHA, ChecksState.FAILURE)).effects == ()


def test_after_the_last_attempt_a_person_is_called() -> None:
    story = (
        Story(limits={"max_attempts": 2}, escalation={"fallback": ("alice", "acme/maintainers")})
        .file_ready_task()
        .reach_review()
    )
    story.report_checks(ChecksState.FAILURE, None, failed_check())
    story.assign().start_run()
    story.see_pull(8, sha=OTHER_SHA)
    story.report_checks(ChecksState.FAILURE, None, failed_check())
    assert story.task.status is Status.FAILED
    assert story.task.flags[Flag.NEEDS_HUMAN].startswith("2 attempts failed")
    assert story.has_event(EventType.TASK_FAILED)
    assert story.has_event(EventType.ESCALATED)
    (feedback,), (call,) = story.effects_of_type(Comment), story.effects_of_type(Escalate)
    assert (feedback.number, call.number) == (8, 1)
    assert call.assignees == ("alice",), "teams cannot be assigned"
    assert call.body.startswith("@alice @acme/maintainers **this task needs a person.**")


def test_a_check_with_a_hostile_name_sends_no_notification() -> None:
    story = Story(limits={"max_attempts": 1}).file_ready_task().reach_review()
    story.report_checks(ChecksState.FAILURE, None, failed_check("@everybody " * 100), failed_check("<img src=x>"))
    assert "@everybody" not in story.comment_text()
    assert "<img" not in story.comment_text()
    assert "@everybody" not in story.task.flags[Flag.NEEDS_HUMAN]
    assert len(story.task.history[-1].reason) < 200


def test_red_without_any_detail_is_red_too() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_checks(ChecksState.FAILURE)
    assert story.task.history[-1].reason == "CI failed: a check"


@pytest.mark.parametrize("state", [ChecksState.SUCCESS, ChecksState.NONE])
def test_green_tried_and_ticked_is_merged_where_the_configuration_says_so(state: ChecksState) -> None:
    story = Story(merge={"auto": True}).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_trial_merge()
    story.report_checks(state)
    assert story.effects_of_type(MergePull) == [MergePull(1, 7, SHA, "squash", "Sell apples (#7)", 1)]
    assert [check.name for check in story.effects_of_type(CheckRun)] == ["conflict-first"], (
        "a branch may be protected by it; that nothing is missing the merge itself says"
    )
    story.report_checks(state)
    assert story.effects_of_type(MergePull) == [], "once is enough"


def test_green_where_people_merge_is_only_said() -> None:
    story = Story().file_ready_task(text=body(ticked=True)).reach_review()
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    (check,) = story.effects_of_type(CheckRun)
    assert (check.name, check.sha, check.conclusion) == ("definition-of-done", SHA, "success")
    assert not story.effects_of_type(MergePull)


def test_what_is_missing_is_said_once_and_again_when_it_changes() -> None:
    story = Story(merge={"auto": True}).file_ready_task().reach_review()
    story.report_checks(ChecksState.SUCCESS)
    assert not story.effects_of_type(CheckRun), "the merge is still being tried"
    story.report_trial_merge()
    check = story.effects_of_type(CheckRun)[-1]
    assert (check.conclusion, check.title) == ("action_required", "1 thing missing")
    assert "apples are sold" in check.summary
    story.report_checks(ChecksState.SUCCESS)
    assert not story.effects_of_type(CheckRun)
    story.see_issue(text=body(ticked=True))
    check, _ = story.effects_of_type(CheckRun)  # and `conflict-first`, by which a branch may be protected
    assert check.conclusion == "success"
    assert story.effects_of_type(MergePull)


def test_a_strangers_ticks_merge_nothing_until_a_maintainer_has_looked() -> None:
    story = Story(merge={"auto": True}).file_ready_task(author=MALLORY).reach_review()
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    story.see_issue(MALLORY, text=body(ticked=True))
    assert not story.effects_of_type(MergePull)
    assert "`/ready`" in story.effects_of_type(CheckRun)[0].summary
    story.run_command("/ready")
    assert story.effects_of_type(MergePull)


def test_a_re_run_is_waited_for() -> None:
    story = Story().file_ready_task(text=body(ticked=True)).reach_review()
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    story.report_checks(ChecksState.PENDING)
    assert story.pull.checks is ChecksState.PENDING


def test_a_change_ends_the_stall() -> None:
    story = Story().file_ready_task().reach_review()
    story.current_task = story.task.with_flag(Flag.STALLED, "The checks of #7 have not finished.")
    story.report_checks(ChecksState.PENDING)
    assert Flag.STALLED in story.task.flags
    story.report_checks(ChecksState.SUCCESS)
    assert Flag.STALLED not in story.task.flags


def test_another_check_that_passes_may_be_what_githubs_refusal_asked_for() -> None:
    story = Story(merge={"auto": True}).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    story.apply(
        MergeRefused(7, SHA, "Required status check “e2e” is expected.")
    )  # perhaps for want of our check: it is written, and asked again
    story.apply(MergeRefused(7, SHA, "Required status check “e2e” is expected."))
    assert Flag.BLOCKED in story.task.flags
    story.report_checks(ChecksState.SUCCESS)
    assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [3]
    assert Flag.BLOCKED not in story.task.flags


def test_red_after_a_merge_keeps_it_from_being_done() -> None:
    story = Story().file_ready_task(text=body(ticked=True)).reach_review()
    story.merge_pull()
    story.report_checks(ChecksState.FAILURE, None, failed_check())
    assert story.task.status is Status.REVIEW
    assert story.task.flags[Flag.BLOCKED] == "Merged, but not done: Checks failed on the head commit."


def test_what_has_come_true_may_wait_while_the_bot_merges_unless_the_merge_is_refused() -> None:
    story = Story(merge={"auto": True}).file_ready_task().reach_review()
    story.report_trial_merge()
    story.report_checks(ChecksState.SUCCESS)
    story.see_issue(text=body(ticked=True))
    waits = {check.name: check.can_wait for check in story.effects_of_type(CheckRun)}
    assert waits == {"definition-of-done": True, "conflict-first": False}
    story.report_checks(ChecksState.SUCCESS)
    assert not story.effects_of_type(CheckRun), "it waits for the merge, whatever is heard before"
    story.apply(MergeRefused(7, SHA, "Required status check is expected."))
    waits = {check.name: check.can_wait for check in story.effects_of_type(CheckRun)}
    assert waits == {"definition-of-done": False, "conflict-first": False}, "it may be what the branch asks for"
    assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [2]
    story.apply(MergeRefused(7, SHA, "Still no."))
    assert not story.effects_of_type(MergePull)
    assert "Still no." in story.task.flags[Flag.BLOCKED]
