"""`/block`, `/pause`, and the label `blocked`: a person holds a task back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.assignment.stats import lines
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
        story = Story().ready()
        story.says(f"/{word}", by=BOB, role="triage")
        assert "by bob" in story.task.flags[Flag.BLOCKED]
        story.assigned()
        assert (story.task.status, story.wanted(StartAgent)) == (Status.READY, [])
        story.says("/claim")
        assert f"To continue, comment `/{lifts}`." in story.said()
        assert kinds(story) == [DeadlineKind.HELD]
        story.due(DeadlineKind.HELD)
        assert not story.wanted(StartAgent)
        assert Flag.STALLED not in story.task.flags
        story.says(f"/{lifts}", role="triage")
        assert (story.task.held, story.task.flags) == (None, {})
        story.assigned()
        assert len(story.wanted(StartAgent)) == 1

    def test_the_reason_is_told_and_harmless(self) -> None:
        story = Story().ready()
        story.says("/block  ask @acme/legal <!-- first -->")
        assert story.task.flags[Flag.BLOCKED].startswith("Blocked by alice: ask ")
        assert "@acme" not in story.task.flags[Flag.BLOCKED]
        assert "<!--" not in story.task.flags[Flag.BLOCKED]

    def test_who_works_goes_on_but_the_task_is_not_handed_on(self) -> None:
        story = Story().ready().assigned().begun()
        story.says("/block the customer hesitates")
        assert (story.task.status, Flag.BLOCKED in story.task.flags) == (Status.IN_PROGRESS, True)
        story.run("completed", "failure")
        assert (story.task.status, Flag.BLOCKED in story.task.flags) == (Status.READY, True)

    def test_a_pause_stops_the_clock_and_lifting_it_starts_it_anew(self) -> None:
        story = Story().ready().assigned().begun()
        story.says("/pause")
        assert kinds(story) == [DeadlineKind.HELD]
        story.wait(hours=3)
        story.says("/resume")
        due = {d.kind: d.due_at for d in deadlines_of(story.task, story.policy.timeouts)}
        assert due[DeadlineKind.HEARTBEAT] == story.now + timedelta(minutes=10)

    def test_after_a_pause_the_time_for_the_attempt_runs_on_with_what_was_left(self) -> None:
        story = Story().ready().assigned().begun()
        assert story.task.lease
        late = story.task.lease.since + story.policy.timeouts.attempt
        story.says("/pause")
        began = story.now
        story.wait(hours=20)
        story.says("/pause until the customer has answered")  # which does not begin it anew
        story.says("/resume")
        due = {d.kind: d.due_at for d in deadlines_of(story.task, story.policy.timeouts)}
        assert due[DeadlineKind.HARD] == late + (story.now - began)
        story.says("/pause")
        story.wait(hours=5)
        story.says("/resume")
        story.says("/heartbeat")
        story.due(DeadlineKind.HARD)
        assert story.task.history[-1].outcome == "silent"
        assert story.now >= late + timedelta(hours=25)

    def test_a_pause_gives_both_leases_their_time_back_and_is_no_silence(self) -> None:
        story = Story(merge={"review": "agent"}).ready(text=body(ticked=True)).in_review()
        story.checks(ChecksState.SUCCESS)
        story.merge_tried()
        story.assigned("claude", role=Role.REVIEW).begun()
        story.says("/pause")
        story.wait(hours=20)
        before = story.task
        story.says("/resume")
        assert story.task.lease
        assert story.task.review
        assert min(story.task.lease.paused, story.task.review.paused) >= timedelta(hours=20)
        assert not story.wanted(PollAgent)
        assert [row.longest_silence for row in lines(before, story.task, story.now)] == [0, 0]

    def test_it_is_not_merged(self) -> None:
        story = Story(merge={"auto": True}).ready(text=body(ticked=True)).in_review()
        story.says("/pause until Monday")
        story.checks(ChecksState.SUCCESS)
        story.merge_tried()
        assert not story.wanted(MergePull)
        story.says("/complete")
        assert "Paused by alice: until Monday. To continue, comment `/resume`." in story.said()
        story.says("/resume")
        assert len(story.wanted(MergePull)) == 1


class TestTheCard:
    def test_only_what_nobody_has_to_act_on_may_wait_for_another_edit(self) -> None:
        story = Story()
        assert [card.may_wait for card in (story.ready().wanted(UpsertCard))] == [False], "the first"
        assert [card.may_wait for card in story.assigned().wanted(UpsertCard)] == [True]
        story.says("/block why")
        assert [card.may_wait for card in story.wanted(UpsertCard)] == [False]


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
        story = Story().ready()
        if before:
            story.says(before)
        held = story.task.held
        story.says(f"/{word}")
        assert story.said().startswith(reason)
        assert story.task.held == held

    def test_what_is_over_is_not_held_back(self) -> None:
        story = Story().ready()
        story.says("/pause")
        story.issue_seen(closed=True)
        assert (story.task.status, story.task.held, story.task.flags) == (Status.DONE, None, {})
        story.says("/pause")
        assert story.said() == "There is nothing to put on hold: the task is done."


class TestTheLabel:
    def test_put_on_it_blocks_and_taken_off_it_lets_go(self) -> None:
        story = Story().ready()
        story.labelled("blocked", BOB)
        assert story.told(EventType.INSTRUCTION)
        assert story.task.flags[Flag.BLOCKED] == "Blocked by bob: the label was added. To continue, comment `/unblock`."
        story.unlabelled("blocked")
        assert (story.task.held, story.task.flags) == (None, {})

    def test_what_waits_for_another_task_still_waits_when_it_is_let_go(self) -> None:
        story = Story()
        story.dependencies = {"#2": False}
        story.ready()
        story.says("/block why")
        story.says("/unblock")
        assert story.said() == "The task waits for #2."
        assert story.task.flags == {Flag.BLOCKED: "The task waits for #2."}
