"""Conflict-first, and the merge itself."""

from __future__ import annotations

from core.audit.events import EventType
from core.effects.base import CheckRun, MergePull, RequestTrialMerge
from core.signals.base import BaseMoved, MergeRefused, TrialMergeDone
from core.task.model import ChecksState, Flag, Status
from tests.builders import BASE_SHA, OTHER_SHA, SHA, Story, body

NEW_BASE = "e" * 40


def asked() -> Story:
    """We asked GitHub to merge."""
    story = Story(merge={"auto": True, "method": "rebase"}).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_checks(ChecksState.SUCCESS)
    story.report_trial_merge()
    (merge,) = story.effects_of_type(MergePull)
    assert (merge.sha, merge.method, merge.merge_attempt) == (SHA, "rebase", 1)
    return story


def test_a_clean_merge_is_said_once() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge()
    (check,) = story.effects_of_type(CheckRun)
    assert (check.name, check.sha, check.conclusion) == ("conflict-first", SHA, "success")
    story.report_trial_merge()
    assert not story.effects_of_type(CheckRun)


def test_a_conflict_returns_the_task_without_blame() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge(False, files=("shop/a.py", "shop/`b`.py"))
    assert (story.task.status, story.task.failure_count) == (Status.READY, 0)
    (check,) = story.effects_of_type(CheckRun)
    assert (check.conclusion, check.title) == ("failure", "Conflicts with main in 2 files")
    assert story.has_event(EventType.CONFLICT_DETECTED)
    assert "shop/a.py" in story.comment_text()


def test_a_conflict_of_a_draft_is_shown_and_resolved() -> None:
    story = Story().file_ready_task().assign()
    story.see_pull(draft=True)
    story.report_trial_merge(False, files=("shop/a.py",))
    assert story.task.flags[Flag.CONFLICT] == "#7 conflicts with `main` in `shop/a.py`."
    assert story.has_event(EventType.CONFLICT_DETECTED)
    story.report_trial_merge(False, files=("shop/a.py",), base_sha=NEW_BASE)
    assert not story.has_event(EventType.CONFLICT_DETECTED), "the same again is no news"
    story.report_trial_merge(True)
    assert Flag.CONFLICT not in story.task.flags
    assert story.has_event(EventType.CONFLICT_RESOLVED)


def test_what_could_not_be_tried_is_left_to_github() -> None:
    story = Story(merge={"auto": True}).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_checks(ChecksState.SUCCESS)
    story.report_trial_merge(None, problem="the mirror is away")
    (check,) = story.effects_of_type(CheckRun)
    assert check.conclusion == "neutral"
    assert story.effects_of_type(MergePull)


def test_a_verdict_is_for_the_commit_it_names() -> None:
    story = Story().file_ready_task().reach_review()
    assert story.report_trial_merge(False, sha=OTHER_SHA).effects == ()
    assert story.apply(TrialMergeDone(8, SHA, BASE_SHA, False)).effects == ()
    assert story.task.status is Status.REVIEW


def test_when_the_base_moves_the_merge_is_tried_again() -> None:
    story = asked()
    story.apply(BaseMoved("main", NEW_BASE))
    assert not story.effects_of_type(RequestTrialMerge)  # all that go there are compared together
    assert story.pull.mergeable_sha is None
    story.report_trial_merge(base_sha=NEW_BASE)
    assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [2]


def test_a_base_that_was_tried_already_is_ignored() -> None:
    story = asked()
    story.apply(BaseMoved("main", BASE_SHA))
    assert story.pull.mergeable_sha == SHA
    assert story.pull.merge_requested_sha == SHA


def test_a_verdict_with_the_base_as_it_was_comes_too_late() -> None:
    """Something was merged while branches were being compared: what was clean with the old base may not be now."""
    story = asked()
    story.apply(BaseMoved("main", NEW_BASE))
    story.report_trial_merge(base_sha=BASE_SHA)
    assert story.pull.mergeable_sha is None
    assert not story.effects_of_type(MergePull)
    story.report_trial_merge(base_sha=NEW_BASE)
    assert story.effects_of_type(MergePull)


def test_the_base_of_the_last_trial_is_remembered_until_the_next_one() -> None:
    """A base that moved counts as tried only when it was: the reconciler asks again if the trial was lost."""
    story = Story().file_ready_task().reach_review()
    assert story.pull.trial_base_sha is None
    story.report_trial_merge()
    assert story.pull.trial_base_sha == BASE_SHA
    story.apply(BaseMoved("main", NEW_BASE))
    assert story.pull.trial_base_sha == BASE_SHA
    story.report_trial_merge(base_sha=NEW_BASE)
    assert story.pull.trial_base_sha == NEW_BASE


def test_what_could_not_be_tried_has_no_base() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge()
    story.report_trial_merge(None, base_sha="", problem="the mirror is away")
    assert story.pull.trial_base_sha is None


def test_a_verdict_on_another_commit_leaves_the_base_as_it_was() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge()
    story.report_trial_merge(sha=OTHER_SHA, base_sha=NEW_BASE)
    assert story.pull.trial_base_sha == BASE_SHA


def refused_once() -> Story:
    """GitHub refused, perhaps for want of our own check, which is written now; and we asked again."""
    story = asked()
    story.apply(MergeRefused(7, SHA, "Required status check is expected."))
    return story


def test_a_refusal_may_be_for_want_of_a_check_that_was_never_written() -> None:
    story = refused_once()
    check, _ = story.effects_of_type(CheckRun)
    assert (check.name, check.conclusion) == ("definition-of-done", "success")
    assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [2]
    assert Flag.BLOCKED not in story.task.flags
    story.apply(MergeRefused(7, SHA, "Still no."))
    assert "Still no." in story.task.flags[Flag.BLOCKED]
    assert not story.effects_of_type(MergePull)


def test_a_refusal_is_shown_in_words_that_do_nothing() -> None:
    story = refused_once()
    story.apply(MergeRefused(7, SHA, "Thank @everybody.\nToken: ghp_0123456789abcdef0123"))
    reason = story.task.flags[Flag.BLOCKED]
    assert reason.startswith("GitHub did not merge #7: Thank ")
    assert "@everybody" not in reason
    assert "\n" not in reason
    assert "ghp_" not in reason
    assert not story.effects_of_type(MergePull)


def test_a_refusal_of_an_earlier_head_or_after_the_merge_is_ignored() -> None:
    story = asked()
    assert story.apply(MergeRefused(7, OTHER_SHA, "no")).effects == ()
    story.merge_pull()
    assert story.apply(MergeRefused(7, SHA, "It is merged.")).effects == ()


def test_a_refusal_is_forgotten_with_a_new_head() -> None:
    story = refused_once()
    story.apply(MergeRefused(7, SHA, "no"))
    story.see_pull(sha=OTHER_SHA)
    assert Flag.BLOCKED not in story.task.flags


def test_a_refusal_because_the_base_moved_is_asked_again() -> None:
    story = refused_once()
    story.apply(MergeRefused(7, SHA, "Base branch was modified."))
    story.apply(BaseMoved("main", NEW_BASE))
    assert Flag.BLOCKED not in story.task.flags
    story.report_trial_merge(base_sha=NEW_BASE)
    assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [3]


def test_without_a_pull_request_there_is_nothing_to_merge() -> None:
    story = Story().file_ready_task()
    for signal in (BaseMoved("main", NEW_BASE), MergeRefused(7, SHA, "no"), TrialMergeDone(7, SHA, BASE_SHA, True)):
        assert story.apply(signal).effects == ()
