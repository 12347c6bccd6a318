"""Of what people say of one thing, the later written word holds, in whatever order it arrives."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import pytest

from core.signals.base import CommandReceived, IssueSeen
from core.task.model import Priority, Status
from tests.builders import ALICE, BOB, NOW, OTHER_SHA, SHA, Story, issue


def at(seconds: int) -> datetime:
    """A time of that day."""
    return NOW + timedelta(seconds=seconds)


def command(text: str, when: datetime) -> CommandReceived:
    """Alice wrote it then."""
    name, _, argument = text.removeprefix("/").partition(" ")
    return CommandReceived(1, name, argument, ALICE, "write", key=f"{text} {when}", comment_id=1, occurred_at=when)


def label(name: str, when: datetime) -> IssueSeen:
    """Alice put it on then; by now the bot may have put another one in its place."""
    facts = issue(labels=("task", name), at=at(100))
    return IssueSeen(facts, ALICE, True, label=name, label_added=True, occurred_at=when)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_priority_is_what_was_said_last(order: tuple[int, ...]) -> None:
    story = Story().file_ready_task()
    words = (command("/priority P1", at(1)), label("P0", at(2)), command("/priority P2", at(3)))
    for index in order:
        story.apply(words[index])
    assert story.task.priority is Priority.P2


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_task_is_held_or_not_as_was_said_last(order: tuple[int, ...]) -> None:
    story = Story().file_ready_task()
    words = ("/pause", "/resume", "/block the lawyers", "/unblock")
    for index in order:
        story.apply(command(words[index], at(index)))
    assert story.task.hold is None


def test_a_superseded_command_is_answered_and_ignored() -> None:
    story = Story().file_ready_task()
    story.apply(command("/priority P0", at(5)))
    decision = story.apply(command("/priority P1", at(4)))
    assert story.task.priority is Priority.P0
    assert "a newer command already changed this" in str(decision.effects)


def test_a_late_verdict_of_a_reviewer_does_not_undo_the_last_one() -> None:
    story = Story().file_ready_task().reach_review()
    story.review_pull("approved", submitted_at=at(5))
    story.review_pull("changes_requested", submitted_at=at(4))
    assert (story.task.status, set(story.pull.approvals)) == (Status.REVIEW, {BOB.id})


def test_a_late_delivery_does_not_restore_a_dismissed_approval() -> None:
    story = Story().file_ready_task().reach_review()
    story.review_pull("dismissed", submitted_at=at(4))
    story.review_pull("approved", submitted_at=at(4))
    assert not story.pull.approvals
    story.review_pull("approved", submitted_at=at(5))
    assert set(story.pull.approvals) == {BOB.id}
    story.review_pull("dismissed", submitted_at=at(4))
    assert set(story.pull.approvals) == {BOB.id}, "it was of the earlier one"


def test_a_verdict_of_before_the_last_push_says_nothing_of_what_was_pushed() -> None:
    story = Story().file_ready_task().reach_review()
    story.see_pull(sha=OTHER_SHA)
    before = story.pull.updated_at - timedelta(seconds=1)
    for verdict in ("approved", "changes_requested"):
        story.review_pull(verdict, sha=SHA, submitted_at=at(4), pull_updated_at=before)
        assert (story.task.status, story.pull.approvals) == (Status.REVIEW, {})
    story.review_pull("changes_requested", sha=SHA, submitted_at=at(5), pull_updated_at=story.pull.updated_at)
    assert story.task.status is Status.READY, "of the earlier commit, but said since"
