"""`/block`, `/pause`, and the label `blocked`: a person holds a task back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.assignment.stats import attempt_records
from core.audit.events import EventType
from core.effects.base import MergePull, PollAgent, StartAgent, UpsertCard
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.model import ChecksState, Flag, Role, Status
from tests.builders import BOB, Story, body


def kinds(story: Story) -> list[DeadlineKind]:
    return [deadline.kind for deadline in deadlines_of(story.task, story.policy.timeouts)]


class TestHeldBack:
    @pytest.mark.parametrize(("word", "lifts"), [("block legal has to agree", "unblock"), ("pause", "resume")])
    def test_it_is_not_handed_out_until_it_is_lifted(self, word: str, lifts: str) -> None:
        story = Story().file_ready_task()
        story.run_command(f"/{word}", author=BOB, role="triage")
        assert "by bob" in story.task.flags[Flag.BLOCKED]
        story.assign()
        assert (story.task.status, story.effects_of_type(StartAgent)) == (Status.READY, [])
        story.run_command("/claim")
        assert f"To continue, comment `/{lifts}`." in story.comment_text()
        assert kinds(story) == [DeadlineKind.HOLD]
        story.reach_deadline(DeadlineKind.HOLD)
        assert not story.effects_of_type(StartAgent)
        assert Flag.STALLED not in story.task.flags
        story.run_command(f"/{lifts}", role="triage")
        assert (story.task.hold, story.task.flags) == (None, {})
        story.assign()
        assert len(story.effects_of_type(StartAgent)) == 1

    def test_the_reason_is_shown_sanitized(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/block  ask @acme/legal <!-- first -->")
        assert story.task.flags[Flag.BLOCKED].startswith("Blocked by alice: ask ")
        assert "@acme" not in story.task.flags[Flag.BLOCKED]
        assert "<!--" not in story.task.flags[Flag.BLOCKED]

    def test_who_works_goes_on_but_the_task_is_not_handed_on(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.run_command("/block the customer hesitates")
        assert (story.task.status, Flag.BLOCKED in story.task.flags) == (Status.IN_PROGRESS, True)
        story.report_run("completed", "failure")
        assert (story.task.status, Flag.BLOCKED in story.task.flags) == (Status.READY, True)

    def test_a_pause_stops_the_deadline_and_resume_restarts_it(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.run_command("/pause")
        assert kinds(story) == [DeadlineKind.HOLD]
        story.advance(hours=3)
        story.run_command("/resume")
        due = {d.kind: d.due_at for d in deadlines_of(story.task, story.policy.timeouts)}
        assert due[DeadlineKind.HEARTBEAT] == story.now + timedelta(minutes=10)

    def test_after_a_pause_the_time_for_the_attempt_runs_on_with_what_was_left(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        assert story.task.lease
        late = story.task.lease.since + story.policy.timeouts.attempt
        story.run_command("/pause")
        began = story.now
        story.advance(hours=20)
        story.run_command("/pause until the customer has answered")  # which does not restart it
        story.run_command("/resume")
        due = {d.kind: d.due_at for d in deadlines_of(story.task, story.policy.timeouts)}
        assert due[DeadlineKind.ATTEMPT] == late + (story.now - began)
        story.run_command("/pause")
        story.advance(hours=5)
        story.run_command("/resume")
        story.run_command("/heartbeat")
        story.reach_deadline(DeadlineKind.ATTEMPT)
        assert story.task.history[-1].outcome == "silent"
        assert story.now >= late + timedelta(hours=25)

    def test_a_pause_gives_both_leases_their_time_back_and_is_no_silence(self) -> None:
        story = Story(merge={"review": "agent"}).file_ready_task(text=body(ticked=True)).reach_review()
        story.report_checks(ChecksState.SUCCESS)
        story.report_trial_merge()
        story.assign("claude", role=Role.REVIEW).start_run()
        story.run_command("/pause")
        story.advance(hours=20)
        before = story.task
        story.run_command("/resume")
        assert story.task.lease
        assert story.task.review_lease
        assert min(story.task.lease.pause_duration, story.task.review_lease.pause_duration) >= timedelta(hours=20)
        assert not story.effects_of_type(PollAgent)
        assert [row.longest_silence_seconds for row in attempt_records(before, story.task, story.now)] == [0, 0]

    def test_it_is_not_merged(self) -> None:
        story = Story(merge={"auto": True}).file_ready_task(text=body(ticked=True)).reach_review()
        story.run_command("/pause until Monday")
        story.report_checks(ChecksState.SUCCESS)
        story.report_trial_merge()
        assert not story.effects_of_type(MergePull)
        story.run_command("/complete")
        assert "Paused by alice: until Monday. To continue, comment `/resume`." in story.comment_text()
        story.run_command("/resume")
        assert len(story.effects_of_type(MergePull)) == 1


class TestTheCard:
    def test_only_edits_that_need_no_action_are_debounced(self) -> None:
        story = Story()
        assert [card.can_wait for card in (story.file_ready_task().effects_of_type(UpsertCard))] == [False], "the first"
        assert [card.can_wait for card in story.assign().effects_of_type(UpsertCard)] == [True]
        story.run_command("/block why")
        assert [card.can_wait for card in story.effects_of_type(UpsertCard)] == [False]


class TestRefusals:
    @pytest.mark.parametrize(
        ("before", "word", "reason"),
        [
            ("", "block", "Give a reason"),
            ("", "unblock", "The task is not blocked."),
            ("", "resume", "The task is not paused."),
            ("/pause", "block why", "Paused by alice. To continue, comment `/resume`."),
            ("/block why", "resume", "Blocked by alice: why. To continue, comment `/unblock`."),
        ],
    )
    def test_not_now(self, before: str, word: str, reason: str) -> None:
        story = Story().file_ready_task()
        if before:
            story.run_command(before)
        held = story.task.hold
        story.run_command(f"/{word}")
        assert story.comment_text().startswith(reason)
        assert story.task.hold == held

    def test_what_is_over_is_not_held_back(self) -> None:
        story = Story().file_ready_task()
        story.run_command("/pause")
        story.see_issue(closed=True)
        assert (story.task.status, story.task.hold, story.task.flags) == (Status.DONE, None, {})
        story.run_command("/pause")
        assert story.comment_text() == "There is nothing to put on hold: the task is done."


class TestTheLabel:
    def test_put_on_it_blocks_and_taken_off_it_lets_go(self) -> None:
        story = Story().file_ready_task()
        story.add_label("blocked", BOB)
        assert story.has_event(EventType.INSTRUCTION)
        assert story.task.flags[Flag.BLOCKED] == "Blocked by bob: the label was added. To continue, comment `/unblock`."
        story.remove_label("blocked")
        assert (story.task.hold, story.task.flags) == (None, {})

    def test_what_waits_for_another_task_still_waits_when_it_is_let_go(self) -> None:
        story = Story()
        story.dependencies = {"#2": False}
        story.file_ready_task()
        story.run_command("/block why")
        story.run_command("/unblock")
        assert story.comment_text() == "The task waits for #2."
        assert story.task.flags == {Flag.BLOCKED: "The task waits for #2."}
