"""The life of a task as one table: every pair of status and trigger is said here, allowed or not."""

import pytest

from core.task.lifecycle import TRANSITIONS, IllegalTransition, Trigger, apply_trigger, can_apply, state_diagram
from core.task.model import Status
from tests.builders import NOW, Story

P, R, I, V, D, F = Status  # noqa: E741 - the initials of the statuses, as in the table

WAYS = {
    Trigger.MADE_READY: {P: R},
    Trigger.UNREADY: {R: P},
    Trigger.ASSIGNED: {R: I},
    Trigger.PLANNED: {I: R},
    Trigger.PULL_OPENED: {P: V, R: V, I: V},
    Trigger.SENT_BACK: {I: R, V: R},
    Trigger.RELEASED: {I: R, V: R},
    Trigger.ATTEMPTS_USED_UP: {I: F, V: F},
    Trigger.RETRIED: {I: R, V: R, F: R},
    Trigger.COMPLETED: {P: D, R: D, I: D, V: D, F: D},
    Trigger.ABANDONED: {P: F, R: F, I: F, V: F},
    Trigger.REOPENED: {D: P, F: P},
}


@pytest.mark.parametrize("trigger", Trigger)
@pytest.mark.parametrize("status", Status)
def test_each_trigger_leads_from_each_status_where_the_table_says_and_nowhere_else(
    trigger: Trigger, status: Status
) -> None:
    task = Story().file_ready_task().task
    task = apply_trigger(task, Trigger.COMPLETED, NOW) if status is D else task
    object.__setattr__(task, "status", status)
    target = WAYS[trigger].get(status)
    assert can_apply(status, trigger) is (target is not None)
    if target is None:
        with pytest.raises(IllegalTransition, match=f"#1: no way from {status} by {trigger.name}"):
            apply_trigger(task, trigger, NOW)
    else:
        moved = apply_trigger(task, trigger, NOW)
        assert (moved.status, moved.status_since) == (target, NOW)


def test_every_trigger_has_exactly_one_row() -> None:
    assert [row.trigger for row in TRANSITIONS] == list(Trigger)


def test_only_people_bring_a_finished_task_back() -> None:
    assert {row.trigger for row in TRANSITIONS if D in row.sources} == {Trigger.REOPENED}


def test_every_status_can_be_reached_and_left() -> None:
    assert {row.target for row in TRANSITIONS} == set(Status)
    assert {source for row in TRANSITIONS for source in row.sources} == set(Status)


def test_the_diagram_is_drawn_from_the_table() -> None:
    drawn = state_diagram()
    assert drawn.startswith("stateDiagram-v2\n    [*] --> pending\n")
    assert "    ready --> in_progress: assigned\n" in drawn
    arrows = [line for line in drawn.splitlines() if "-->" in line and "[*]" not in line]
    assert len(arrows) == sum(len(row.sources) for row in TRANSITIONS)
