"""No state without a deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from config.repository import Timeouts
from core.task.deadlines import POLL_TIMEOUT, DeadlineKind, deadlines_of
from core.task.model import ChecksState, Status, Task
from tests.builders import NOW, Story

MIN = timedelta(minutes=1)
TIMES = Timeouts()  # ack 2 min, heartbeat 10 min, stall 2 h, hard 8 h


def due(task: Task) -> dict[DeadlineKind, datetime]:
    found = deadlines_of(task, TIMES)
    assert {d.attempt for d in found} <= {task.attempt}
    return {d.kind: d.due_at for d in found}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.PENDING, DeadlineKind.AUTHOR),
        (Status.READY, DeadlineKind.QUEUE),
        (Status.FAILED, DeadlineKind.PERSON),
        (Status.DONE, None),
    ],
)
def test_deadlines_of_a_task_that_is_not_in_progress(status: Status, kind: DeadlineKind | None) -> None:
    task = replace(Story().file_ready_task().task, status=status, status_since=NOW)
    assert due(task) == ({kind: NOW + 120 * MIN} if kind else {})


def test_a_reminder_restarts_the_wait() -> None:
    task = replace(Story().file_ready_task().task, wait_restarted_at=NOW + 500 * MIN)
    assert due(task) == {DeadlineKind.QUEUE: NOW + 620 * MIN}


def test_an_agent_first_has_to_begin_then_to_live_and_then_to_end() -> None:
    story = Story().file_ready_task().assign()
    handed_over = story.now
    assert due(story.task) == {
        DeadlineKind.ACK: handed_over + 2 * MIN,
        DeadlineKind.STALL: handed_over + 120 * MIN,
        DeadlineKind.ATTEMPT: handed_over + 480 * MIN,
    }
    story.start_run()
    assert due(story.task) == {
        DeadlineKind.HEARTBEAT: story.now + 10 * MIN,
        DeadlineKind.STALL: story.now + 120 * MIN,
        DeadlineKind.ATTEMPT: handed_over + 480 * MIN,
    }


def test_an_agent_that_was_asked_has_a_moment_to_answer() -> None:
    story = Story().file_ready_task().assign()
    asked = replace(story.lease, silence_check_at=story.now + 2 * MIN)
    assert due(replace(story.task, lease=asked))[DeadlineKind.ACK] == story.now + 2 * MIN + POLL_TIMEOUT
    story.start_run()
    asked = replace(story.lease, silence_check_at=story.now + 10 * MIN)
    assert due(replace(story.task, lease=asked))[DeadlineKind.HEARTBEAT] == story.now + 10 * MIN + POLL_TIMEOUT
    answered = replace(asked, last_activity_at=story.now + 11 * MIN)
    assert due(replace(story.task, lease=answered))[DeadlineKind.HEARTBEAT] == story.now + 21 * MIN


def test_a_person_who_claimed_the_task_is_not_asked_for_heartbeats() -> None:
    story = Story().file_ready_task()
    story.run_command("/claim")
    assert due(story.task) == {DeadlineKind.STALL: story.now + 120 * MIN}


def test_a_pull_request_waits_for_its_checks_and_for_people() -> None:
    story = Story().file_ready_task().reach_review()
    assert due(story.task) == {DeadlineKind.STALL: story.now + 120 * MIN, DeadlineKind.CI: story.now + 2 * MIN}
    asked = replace(story.task, pull=replace(story.pull, checks_requested_at=story.now))
    assert due(asked)[DeadlineKind.CI] == story.now + 10 * MIN
    story.report_checks(ChecksState.SUCCESS)
    assert due(story.task) == {DeadlineKind.STALL: story.now + 120 * MIN}


def test_checks_are_waited_for_after_a_merge_too() -> None:
    story = Story().file_ready_task().reach_review()
    story.merge_pull()
    assert DeadlineKind.CI in due(story.task)
    failed = replace(story.task, status=Status.FAILED)
    assert set(due(failed)) == {DeadlineKind.PERSON, DeadlineKind.CI}
