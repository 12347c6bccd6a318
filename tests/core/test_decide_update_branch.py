"""The branch of a pull request is brought up to date with its base: by request, or as configured."""

from __future__ import annotations

from typing import Any

import pytest

from core.conflicts.pulls import FileConflict
from core.decide.update_branch import is_behind
from core.effects.base import AddReaction, Comment, MergePull, MessageAgent, UpdateBranch
from core.effects.commands import RequestingCommand
from core.signals.base import BranchUpdateDone, MergeRefused, TrialMergeDone
from core.task.model import ChecksState, Flag, Status
from tests.builders import ALICE, BASE_SHA, BOB, MALLORY, OTHER_SHA, SHA, Story, body

NEW_BASE = "e" * 40
BEHIND = "Head branch is out of date. Review and try the merge again."


def in_review(**merge: Any) -> Story:
    """An agent's pull request, whose checks run."""
    story = Story(merge=merge).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_trial_merge()
    return story


def asks(story: Story, **more: Any) -> UpdateBranch:
    """A user asks for it."""
    story.run_command("/resolve rebase", **more)
    (effect,) = story.effects_of_type(UpdateBranch)
    assert isinstance(effect, UpdateBranch)
    return effect


def conflict(files: tuple[str, ...] = ("shop/a.py",)) -> TrialMergeDone:
    return TrialMergeDone(7, SHA, NEW_BASE, False, tuple(map(FileConflict, files)))


# By request


def test_write_access_permits_the_request() -> None:
    story = in_review()
    effect = asks(story, comment_id=5)
    assert effect == UpdateBranch(1, 7, "task/1-1", "main", SHA, BASE_SHA, RequestingCommand(1, "1:x", "alice", 5))
    assert story.effects_of_type(AddReaction, Comment) == [AddReaction(5, "rocket")]
    assert asks(story).key != effect.key, "asked again it is tried again"


def test_others_cannot_request_it() -> None:
    story = in_review()
    story.run_command("/resolve rebase", MALLORY, "triage", from_button=True)
    assert not story.effects_of_type(UpdateBranch)
    assert story.comment_text().startswith("@mallory: `/resolve rebase` needs write access; you have triage access")


@pytest.mark.parametrize(
    ("story", "why"),
    [
        (Story().file_ready_task(), "There is no open pull request to update."),
        (Story(dry_run=True).file_ready_task().reach_review(), "Dry run: the bot changes no branch."),
    ],
)
def test_where_there_is_nothing_to_do(story: Story, why: str) -> None:
    story.run_command("/resolve rebase")
    assert story.comment_text() == why
    assert not story.effects_of_type(UpdateBranch)


def test_what_is_about_to_be_merged_is_left_alone_unless_github_refused() -> None:
    story = in_review(auto=True)
    story.report_checks(ChecksState.SUCCESS)
    assert story.effects_of_type(MergePull)
    story.run_command("/resolve rebase")
    assert story.comment_text() == "#7 is about to be merged, so the bot does not update it."
    for _ in range(2):
        story.apply(MergeRefused(7, SHA, BEHIND))
    assert story.task.flags[Flag.BLOCKED].endswith("To update the branch, comment `/resolve rebase`.")
    assert asks(story).head_sha == SHA


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        ("current", "`task/1-1` already contains all of `main`, so there is nothing to merge."),
        ("moved", "`task/1-1` changed in the meantime, so the bot merged nothing."),
        ("refused", "GitHub did not update `task/1-1`: No way, "),
    ],
)
def test_the_requester_is_notified_of_the_outcome(outcome: Any, text: str) -> None:
    story = in_review()
    effect = asks(story, comment_id=5)
    story.apply(BranchUpdateDone(effect, outcome, "No way, @bob\nghp_0123456789abcdef0123"))
    assert story.comment_text().startswith(text)
    assert "ghp_" not in story.comment_text()
    assert "@bob" not in story.comment_text()
    assert story.effects_of_type(AddReaction) == [AddReaction(5, "confused")]
    pressed = asks(story, from_button=True, author=BOB)
    story.apply(BranchUpdateDone(pressed, outcome, "No way"))
    assert story.comment_text().startswith("@bob: ")


def test_a_success_needs_no_words() -> None:
    story = in_review()
    assert story.apply(BranchUpdateDone(asks(story), "done")).effects == ()


def test_an_agent_at_work_is_notified_of_both_outcomes() -> None:
    story = Story().file_ready_task().assign().start_run()
    story.see_pull(draft=True)
    effect = asks(story)
    story.apply(BranchUpdateDone(effect, "done"))
    (steer,) = story.effects_of_type(MessageAgent)
    assert "Pull before you push." in steer.text
    story.apply(BranchUpdateDone(asks(story), "conflict", trial_merge=conflict()))
    (steer,) = story.effects_of_type(MessageAgent)
    assert "- `shop/a.py`" in steer.text
    assert story.comment_text() == (
        "`main` cannot be merged into `task/1-1` because they conflict in `shop/a.py`.\n"
        "`codex` is working on the branch: the bot tells it now, or gives it this as feedback when it hands in."
    )
    assert story.task.status is Status.IN_PROGRESS


def test_a_conflict_sends_back_what_is_in_review() -> None:
    story = in_review()
    story.apply(BranchUpdateDone(asks(story), "conflict", trial_merge=conflict(("a", "b"))))
    assert story.comment_text().endswith(
        "they conflict in `a`, `b`.\nThe task goes back to the queue with this as feedback."
    )
    assert not story.effects_of_type(MessageAgent)
    story.apply(conflict(("a", "b")))  # the trial itself, which the sender hands in behind it
    assert story.task.status is Status.READY


def test_a_conflict_that_only_github_sees_is_for_people() -> None:
    story = in_review()
    story.apply(BranchUpdateDone(asks(story), "conflict"))
    assert story.comment_text().endswith("they conflict.\nMerge it by hand.")


def test_a_person_can_ask_for_it_on_their_own_pull_request() -> None:
    story = Story().file_ready_task()
    story.run_command("/claim", BOB)
    story.see_pull(author=BOB, branch="bobs", attempt=None)
    assert asks(story, author=BOB).branch == "bobs"


# As configured


@pytest.mark.parametrize("update", ["never", "needed"])
def test_unless_configured_a_branch_that_is_behind_is_left_alone(update: str) -> None:
    story = in_review(update=update)
    story.report_trial_merge(base_sha=NEW_BASE, is_behind=True)
    assert not story.effects_of_type(UpdateBranch)


def test_always_follows_the_base_once_for_each_of_its_commits() -> None:
    story = in_review(update="always")
    story.report_trial_merge(base_sha=BASE_SHA, is_behind=False)
    assert not story.effects_of_type(UpdateBranch)
    story.report_trial_merge(base_sha=NEW_BASE, is_behind=True)
    (effect,) = story.effects_of_type(UpdateBranch)
    assert effect == UpdateBranch(1, 7, "task/1-1", "main", SHA, NEW_BASE)
    story.report_trial_merge(base_sha=NEW_BASE, is_behind=True)
    assert [again.key for again in story.effects_of_type(UpdateBranch)] == [effect.key], (
        "the same effect, so it is sent once"
    )
    assert story.apply(BranchUpdateDone(effect, "refused", "no")).effects == (), (
        "no user asked, and nothing waits for it"
    )


def test_always_leaves_alone_what_is_merged_held_or_a_persons() -> None:
    story = in_review(update="always", auto=True)
    story.report_checks(ChecksState.SUCCESS)
    story.report_trial_merge(base_sha=NEW_BASE, is_behind=True)
    assert not story.effects_of_type(UpdateBranch)
    story = in_review(update="always")
    story.run_command("/pause")
    story.report_trial_merge(base_sha=NEW_BASE, is_behind=True)
    assert not story.effects_of_type(UpdateBranch)
    story = Story(merge={"update": "always"}).file_ready_task()
    story.run_command("/claim", ALICE)
    story.see_pull(author=ALICE, branch="alices", attempt=None)
    story.report_trial_merge(base_sha=NEW_BASE, is_behind=True)
    assert not story.effects_of_type(UpdateBranch)
    story = in_review(update="always")
    story.report_trial_merge(None, base_sha=NEW_BASE, is_behind=True, problem="the mirror is away")
    story.report_trial_merge(sha=OTHER_SHA, base_sha=NEW_BASE, is_behind=True)
    assert not story.effects_of_type(UpdateBranch)


@pytest.mark.parametrize(
    ("reason", "behind"),
    [
        (BEHIND, True),
        ("Repository rule violations found\n\nHead branch is out of date", True),
        ("The head branch is not up to date with the base branch.", True),
        ("Base branch was modified. Review and try the merge again.", False),
        ("Head branch was modified. Review and try the merge again.", False),
        ('Required status check "tests" is expected.', False),
    ],
)
def test_how_github_says_that_a_branch_is_behind(reason: str, behind: bool) -> None:
    assert is_behind(reason) is behind


def test_needed_brings_it_up_to_date_when_github_wants_that_and_only_once() -> None:
    story = in_review(update="needed", auto=True)
    story.report_checks(ChecksState.SUCCESS)
    story.apply(MergeRefused(7, SHA, BEHIND))
    (effect,) = story.effects_of_type(UpdateBranch)
    assert (effect.head_sha, effect.base_sha, effect.command) == (SHA, BASE_SHA, None)
    assert Flag.BLOCKED not in story.task.flags
    # It was up to date after all: GitHub is asked once more, and if it still refuses a person sees it.
    story.apply(BranchUpdateDone(effect, "current"))
    assert [merge.merge_attempt for merge in story.effects_of_type(MergePull)] == [2]
    for _ in range(2):
        story.apply(MergeRefused(7, SHA, BEHIND))
        assert not story.effects_of_type(UpdateBranch)
    assert story.task.flags[Flag.BLOCKED].startswith("GitHub did not merge #7: Head branch is out of date.")


def test_needed_says_why_it_could_not() -> None:
    story = in_review(update="needed", auto=True)
    story.report_checks(ChecksState.SUCCESS)
    story.apply(MergeRefused(7, SHA, BEHIND))
    (effect,) = story.effects_of_type(UpdateBranch)
    story.apply(BranchUpdateDone(effect, "refused", "refusing to allow an App to update a workflow"))
    assert story.task.flags[Flag.BLOCKED] == (
        "#7 is behind `main`, and GitHub did not update it: refusing to allow an App to update a workflow"
    )
    story.see_pull(sha=OTHER_SHA)
    assert Flag.BLOCKED not in story.task.flags
    assert story.apply(BranchUpdateDone(effect, "refused", "old news")).effects == ()


def test_needed_is_for_agents_and_for_that_reason_alone() -> None:
    story = in_review(update="needed", auto=True)
    story.report_checks(ChecksState.SUCCESS)
    story.apply(MergeRefused(7, OTHER_SHA, BEHIND))
    story.apply(MergeRefused(7, SHA, "Changes must be made through a queue."))
    assert not story.effects_of_type(UpdateBranch)
