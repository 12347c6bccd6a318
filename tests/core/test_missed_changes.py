"""What people did unheard: what is news of it, and what the rules make of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from core.audit.events import Event, EventType
from core.conflicts.pulls import Precedence
from core.intake.missed_changes import LabelChange, missed_changes, superseded
from core.signals.base import IssueSeen, deleted_issue
from core.task.actor import Actor
from core.task.labels import Baseline
from core.task.model import Flag, Priority, Status
from tests.builders import ALICE, BOB, NOW, OTHER_SHA, ROBOT, Story, conflicting_pull, issue


def deed(label: str, added: bool = True, at: datetime = NOW, by: Actor = ALICE, **more: Any) -> LabelChange:
    """Alice puts a label on."""
    return LabelChange(by, at, label, added, **more)


def line(type_: EventType = EventType.INSTRUCTION, at: datetime = NOW, actor: str = "alice", **more: Any) -> Event:
    """A line of the trail."""
    return Event(type_, 1, at, actor=actor, **more)


def label_event(label: str, added: bool = True, **more: Any) -> Event:
    """The line of an instruction."""
    return line(payload={"label": label, "added": added}, **more)


LATER = NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("label", "trail", "news"),
    [
        ("P0", [], True),
        ("P0", [label_event("p0")], False),
        ("P0", [label_event("P0", actor="bob")], True),
        ("P0", [label_event("P0", added=False)], True),
        ("P0", [line(EventType.TASK_READY, LATER, changes={"status": ["pending", "ready"]})], True),
        ("conflict", [line(EventType.TASK_CHANGED, LATER, changes={"flags": [None, ["conflict"]]})], False),
        ("conflict", [line(EventType.TASK_CHANGED, LATER, changes={"flags": [["conflict"], None]})], True),
    ],
)
def test_a_missed_change_counts_unless_recorded_or_superseded(label: str, trail: list[Event], news: bool) -> None:
    assert bool(missed_changes([deed(label)], trail)) is news


def test_each_event_records_one_change() -> None:
    twice = [deed("P0"), deed("P0", at=LATER)]
    assert missed_changes(twice, [label_event("P0")]) == (twice[1],)
    assert missed_changes(twice, [label_event("P0"), label_event("P0", at=LATER)]) == ()


def test_late_events_are_superseded_by_later_findings() -> None:
    again = line(EventType.TASK_CHANGED, LATER, changes={"flags": [None, ["stalled"]]})
    assert superseded(deed("stalled", False), [again])
    assert superseded(deed("P0"), [label_event("P0", at=LATER)])
    assert not superseded(deed("P0"), [label_event("P0")])  # it may be another one of the same second
    assert not superseded(deed("stalled", False, at=LATER), [again])


def seen(story: Story, *deeds: LabelChange, labels: tuple[str, ...], **changes: Any) -> None:
    """The issue is read again, with what was done to it."""
    facts = issue(labels=labels, at=story.now, **changes)
    story.apply(IssueSeen(facts, missed_changes=deeds))


def test_missed_changes_are_applied_in_order_and_each_is_recorded() -> None:
    story = Story().file_ready_task()
    later = story.now + timedelta(minutes=1)
    seen(
        story,
        deed("P0", at=story.now),
        deed("blocked", at=later, by=BOB),
        labels=("task", "status:ready", "P0", "blocked"),
    )
    assert (story.task.priority, story.task.hold and story.task.hold.held_by) == (Priority.P0, "bob")
    assert [event.actor for event in story.events(EventType.INSTRUCTION)] == ["alice", "bob"]


def test_a_label_that_is_gone_again_asks_for_nothing() -> None:
    story = Story().file_ready_task()
    seen(story, deed("P0", at=story.now), labels=("task", "status:ready", "P2"))
    assert story.task.priority is Priority.P2


def test_instructions_for_a_previous_status_are_outdated() -> None:
    story = Story().file_ready_task()
    said = story.now
    story.assign().start_run()
    seen(story, deed("status:ready", at=said), labels=("task", "status:ready"))
    assert (story.task.status, story.task.attempt) == (Status.IN_PROGRESS, 1)
    seen(story, deed("status:ready", at=story.now), labels=("task", "status:ready"))
    assert (story.task.status, story.task.lease) == (Status.READY, None)


def test_a_missed_removal_of_the_conflict_label_unblocks() -> None:
    story = Story().file_ready_task().reach_review()
    story.report_trial_merge(
        clean=True, conflicting_pulls=(conflicting_pull(8, first=True, waits=Precedence.THIS, sha=OTHER_SHA),)
    )
    assert Flag.CONFLICT in story.task.flags
    seen(story, deed("conflict", added=False, at=story.now), labels=("task", "status:review"))
    assert Flag.CONFLICT not in story.task.flags
    assert story.task.ignored_conflicts[8] > story.now + timedelta(hours=23)


@pytest.mark.parametrize(("by", "withdrawn"), [(ALICE, True), (ROBOT, False)])
def test_the_label_task_taken_off_counts_from_people_alone(by: Actor, withdrawn: bool) -> None:
    story = Story().file_ready_task()
    seen(story, deed("task", added=False, at=story.now, by=by), labels=("status:ready",))
    assert story.task.untracked is withdrawn


def test_labels_of_another_bot_are_no_instructions() -> None:
    story = Story().file_ready_task()
    story.add_label("P0", sender=ROBOT)
    assert story.task.priority is Priority.P2
    assert story.last_decision.effects == ()


def test_who_closed_it_is_named() -> None:
    story = Story().file_ready_task()
    seen(story, LabelChange(BOB, story.now), labels=("task", "status:ready"), closed=True)
    assert (story.task.status, story.task.closed_by) == (Status.DONE, "bob")


def test_an_approval_counts_for_the_words_that_were_there() -> None:
    for can_write in (True, False):
        story = Story()
        story.see_issue(sender=None)
        assert story.task.status is Status.PENDING
        labels = ("task", "status:ready")
        seen(story, deed("status:ready", at=story.now, can_write=can_write), labels=labels)
        assert (story.task.status is Status.READY) is can_write


def test_an_issue_that_is_gone_is_not_planned_any_more() -> None:
    story = Story().file_ready_task().assign()
    story.apply(deleted_issue(story.task))
    assert (story.task.status, story.task.lease, story.task.issue_open) == (Status.FAILED, None, False)


def test_a_baseline_reveals_changes_by_others() -> None:
    then = Baseline.from_labels({"task", "P2", "status:pending", "ours is not this"}, NOW)
    assert Baseline.parse(str(then)) == then
    assert Baseline.parse(None) is Baseline.parse("") is None
    wanted = {"task", "P2", "status:ready"}
    assert then.external_changes({"task", "p2", "status:pending", "another"}, wanted) == frozenset()
    assert then.external_changes({"task", "P2", "status:ready"}, wanted) == frozenset()
    assert then.external_changes({"task", "P0", "P2", "status:pending"}, wanted) == {"p0"}
    assert then.external_changes({"P2", "status:pending"}, wanted) == {"task"}
    assert replace(then, labels=frozenset()).external_changes({"task"}, wanted) == frozenset()
