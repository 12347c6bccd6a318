"""The branch of a pull request is brought up to date with its base: by request, or as configured."""

from __future__ import annotations

from typing import Any

import pytest

from core.conflicts.pulls import FileConflict
from core.decide.update_branch import is_behind
from core.effects.base import AddReaction, Comment, MergePull, MessageAgent, UpdateBranch
from core.effects.commands import Asked
from core.signals.base import BranchUpdateDone, MergeRefused, TrialMergeDone
from core.task.model import ChecksState, Flag, Status
from tests.builders import ALICE, BASE, BOB, MALLORY, SHA, SHA2, Story, body

NEW_BASE = "e" * 40
BEHIND = "Head branch is out of date. Review and try the merge again."


def in_review(**merge: Any) -> Story:
    """An agent's pull request, whose checks run."""
    story = Story(merge=merge).ready(text=body(ticked=True)).in_review()
    story.merge_tried()
    return story


def asks(story: Story, **more: Any) -> UpdateBranch:
    """Somebody asks for it."""
    story.says("/resolve rebase", **more)
    (effect,) = story.wanted(UpdateBranch)
    assert isinstance(effect, UpdateBranch)
    return effect


def conflict(files: tuple[str, ...] = ("shop/a.py",)) -> TrialMergeDone:
    return TrialMergeDone(7, SHA, NEW_BASE, False, tuple(map(FileConflict, files)))


# By request


def test_whoever_may_write_can_ask_for_it() -> None:
    story = in_review()
    effect = asks(story, comment_id=5)
    assert effect == UpdateBranch(1, 7, "task/1-1", "main", SHA, BASE, Asked(1, "1:x", "alice", 5))
    assert story.wanted(AddReaction, Comment) == [AddReaction(5, "rocket")]
    assert asks(story).key != effect.key, "asked again it is tried again"


def test_nobody_else_can() -> None:
    story = in_review()
    story.says("/resolve rebase", MALLORY, "triage", pressed=True)
    assert not story.wanted(UpdateBranch)
    assert story.said().startswith("@mallory: `/resolve rebase` needs write access; you have triage access")


@pytest.mark.parametrize(
    ("story", "why"),
    [
        (Story().ready(), "There is no open pull request to update."),
        (Story(dry_run=True).ready().in_review(), "Dry run: the bot changes no branch."),
    ],
)
def test_where_there_is_nothing_to_do(story: Story, why: str) -> None:
    story.says("/resolve rebase")
    assert story.said() == why
    assert not story.wanted(UpdateBranch)


def test_what_is_about_to_be_merged_is_left_alone_unless_github_refused() -> None:
    story = in_review(auto=True)
    story.checks(ChecksState.SUCCESS)
    assert story.wanted(MergePull)
    story.says("/resolve rebase")
    assert story.said() == "#7 is about to be merged, so the bot does not update it."
    for _ in range(2):
        story.hears(MergeRefused(7, SHA, BEHIND))
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
def test_whoever_asked_is_told_what_came_of_it(outcome: Any, text: str) -> None:
    story = in_review()
    effect = asks(story, comment_id=5)
    story.hears(BranchUpdateDone(effect, outcome, "No way, @bob\nghp_0123456789abcdef0123"))
    assert story.said().startswith(text)
    assert "ghp_" not in story.said()
    assert "@bob" not in story.said()
    assert story.wanted(AddReaction) == [AddReaction(5, "confused")]
    pressed = asks(story, pressed=True, by=BOB)
    story.hears(BranchUpdateDone(pressed, outcome, "No way"))
    assert story.said().startswith("@bob: ")


def test_a_success_needs_no_words() -> None:
    story = in_review()
    assert story.hears(BranchUpdateDone(asks(story), "done")).effects == ()


def test_an_agent_at_work_is_told_of_either() -> None:
    story = Story().ready().assigned().begun()
    story.pulled(draft=True)
    effect = asks(story)
    story.hears(BranchUpdateDone(effect, "done"))
    (steer,) = story.wanted(MessageAgent)
    assert "Pull before you push." in steer.text
    story.hears(BranchUpdateDone(asks(story), "conflict", trial=conflict()))
    (steer,) = story.wanted(MessageAgent)
    assert "- `shop/a.py`" in steer.text
    assert story.said() == (
        "`main` cannot be merged into `task/1-1` because they conflict in `shop/a.py`.\n"
        "`codex` is working on the branch: the bot tells it now, or gives it this as feedback when it hands in."
    )
    assert story.task.status is Status.IN_PROGRESS


def test_a_conflict_sends_back_what_is_in_review() -> None:
    story = in_review()
    story.hears(BranchUpdateDone(asks(story), "conflict", trial=conflict(("a", "b"))))
    assert story.said().endswith("they conflict in `a`, `b`.\nThe task goes back to the queue with this as feedback.")
    assert not story.wanted(MessageAgent)
    story.hears(conflict(("a", "b")))  # the trial itself, which the sender hands in behind it
    assert story.task.status is Status.READY


def test_a_conflict_that_only_github_sees_is_for_people() -> None:
    story = in_review()
    story.hears(BranchUpdateDone(asks(story), "conflict"))
    assert story.said().endswith("they conflict.\nMerge it by hand.")


def test_a_person_can_ask_for_it_on_their_own_pull_request() -> None:
    story = Story().ready()
    story.says("/claim", BOB)
    story.pulled(author=BOB, branch="bobs", attempt=None)
    assert asks(story, by=BOB).branch == "bobs"


# As configured


@pytest.mark.parametrize("update", ["never", "needed"])
def test_unless_configured_a_branch_that_is_behind_is_left_alone(update: str) -> None:
    story = in_review(update=update)
    story.merge_tried(base_sha=NEW_BASE, behind=True)
    assert not story.wanted(UpdateBranch)


def test_always_follows_the_base_once_for_each_of_its_commits() -> None:
    story = in_review(update="always")
    story.merge_tried(base_sha=BASE, behind=False)
    assert not story.wanted(UpdateBranch)
    story.merge_tried(base_sha=NEW_BASE, behind=True)
    (effect,) = story.wanted(UpdateBranch)
    assert effect == UpdateBranch(1, 7, "task/1-1", "main", SHA, NEW_BASE)
    story.merge_tried(base_sha=NEW_BASE, behind=True)
    assert [again.key for again in story.wanted(UpdateBranch)] == [effect.key], "the same effect, so it is sent once"
    assert story.hears(BranchUpdateDone(effect, "refused", "no")).effects == (), (
        "nobody asked, and nothing waits for it"
    )


def test_always_leaves_alone_what_is_merged_held_or_a_persons() -> None:
    story = in_review(update="always", auto=True)
    story.checks(ChecksState.SUCCESS)
    story.merge_tried(base_sha=NEW_BASE, behind=True)
    assert not story.wanted(UpdateBranch)
    story = in_review(update="always")
    story.says("/pause")
    story.merge_tried(base_sha=NEW_BASE, behind=True)
    assert not story.wanted(UpdateBranch)
    story = Story(merge={"update": "always"}).ready()
    story.says("/claim", ALICE)
    story.pulled(author=ALICE, branch="alices", attempt=None)
    story.merge_tried(base_sha=NEW_BASE, behind=True)
    assert not story.wanted(UpdateBranch)
    story = in_review(update="always")
    story.merge_tried(None, base_sha=NEW_BASE, behind=True, problem="the mirror is away")
    story.merge_tried(sha=SHA2, base_sha=NEW_BASE, behind=True)
    assert not story.wanted(UpdateBranch)


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
    story.checks(ChecksState.SUCCESS)
    story.hears(MergeRefused(7, SHA, BEHIND))
    (effect,) = story.wanted(UpdateBranch)
    assert (effect.head_sha, effect.base_sha, effect.asked) == (SHA, BASE, None)
    assert Flag.BLOCKED not in story.task.flags
    # It was up to date after all: GitHub is asked once more, and if it still refuses a person sees it.
    story.hears(BranchUpdateDone(effect, "current"))
    assert [merge.round for merge in story.wanted(MergePull)] == [2]
    for _ in range(2):
        story.hears(MergeRefused(7, SHA, BEHIND))
        assert not story.wanted(UpdateBranch)
    assert story.task.flags[Flag.BLOCKED].startswith("GitHub did not merge #7: Head branch is out of date.")


def test_needed_says_why_it_could_not() -> None:
    story = in_review(update="needed", auto=True)
    story.checks(ChecksState.SUCCESS)
    story.hears(MergeRefused(7, SHA, BEHIND))
    (effect,) = story.wanted(UpdateBranch)
    story.hears(BranchUpdateDone(effect, "refused", "refusing to allow an App to update a workflow"))
    assert story.task.flags[Flag.BLOCKED] == (
        "#7 is behind `main`, and GitHub did not update it: refusing to allow an App to update a workflow"
    )
    story.pulled(sha=SHA2)
    assert Flag.BLOCKED not in story.task.flags
    assert story.hears(BranchUpdateDone(effect, "refused", "old news")).effects == ()


def test_needed_is_for_agents_and_for_that_reason_alone() -> None:
    story = in_review(update="needed", auto=True)
    story.checks(ChecksState.SUCCESS)
    story.hears(MergeRefused(7, SHA2, BEHIND))
    story.hears(MergeRefused(7, SHA, "Changes must be made through a queue."))
    assert not story.wanted(UpdateBranch)
