"""Calls for a person: whom, when again, what counts as an answer, and when they are over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from config.escalation import OnCall
from core.audit.events import EventType
from core.conflicts.pulls import Precedence
from core.effects.base import Escalate
from core.escalation.levels import escalation_levels, on_call_person
from core.escalation.model import Escalation
from core.forecast.model import Forecast, PredictedFile
from core.signals.base import AgentSeen, EscalationAnswered, EscalationDelivered
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.model import Actor, ChecksState, Flag, SessionState, Status
from tests.builders import ALICE, BOB, MALLORY, NOW, Story, conflicting_pull, failed_check

CAROL = Actor(7, "carol")
ROTA = {"people": ("carol", "dave"), "start": "2026-03-02", "rotation": "1w"}


def rota(**changes: object) -> OnCall:
    return OnCall.model_validate({"people": ("a", "b", "c"), "start": "2026-03-23", "zone": "Europe/Berlin", **changes})


def call_of(story: Story) -> Escalation:
    assert story.task.escalation
    return story.task.escalation


def escalated(**section: object) -> Story:
    story = Story(escalation={"fallback": ("alice",), **section}).file_ready_task()
    story.run_command("/escalate the staging server is down", author=BOB)
    return story


class TestOnCall:
    def test_a_weeks_turn_changes_at_midnight_of_its_zone(self) -> None:
        berlin = ZoneInfo("Europe/Berlin")
        last = datetime(2026, 3, 29, 23, 59, 59, tzinfo=berlin)  # a Sunday: clocks go forward on this day
        assert [on_call_person(rota(), last), on_call_person(rota(), last + timedelta(seconds=1))] == ["a", "b"]
        assert on_call_person(rota(), datetime(2026, 3, 29, 21, 59, tzinfo=UTC)) == "a", "23:59 in Berlin, summer time"
        assert on_call_person(rota(), datetime(2026, 3, 29, 22, 0, tzinfo=UTC)) == "b"
        assert on_call_person(rota(zone="UTC"), datetime(2026, 3, 29, 22, 0, tzinfo=UTC)) == "a"

    def test_the_rota_repeats_and_reaches_back(self) -> None:
        days = [datetime(2026, 3, 23, 12, tzinfo=UTC) + timedelta(weeks=week) for week in range(-1, 7)]
        assert "".join(on_call_person(rota(), day) for day in days) == "cabcabca"

    def test_turns_of_days_over_the_change_of_clocks(self) -> None:
        days = [datetime(2026, 10, 23, 12, tzinfo=UTC) + timedelta(days=day) for day in range(5)]  # back on the 25th
        assert "".join(on_call_person(rota(rotation="1d", start="2026-10-23"), day) for day in days) == "abcab"


class TestWhom:
    def test_owners_of_the_files_then_on_call_then_those_named(self) -> None:
        story = Story(escalation={"fallback": ("alice",), "on_call": ROTA}).file_ready_task()
        files = tuple(PredictedFile(path, weight, "named") for path, weight in (("shop/a.py", 1.0), ("docs/x.md", 0.1)))
        task = replace(story.task, forecast=Forecast(files))
        text = "/shop/ @bob\n/docs/ @mallory\n"
        found = escalation_levels(task, story.policy.escalation, text, NOW)
        assert [(level.name, level.people) for level in found] == [
            ("code owners", ("bob",)),
            ("on call", ("carol",)),
            ("configured", ("alice",)),
        ]

    def test_of_a_pull_request_its_own_files_count(self) -> None:
        story = Story().file_ready_task().reach_review()
        task = replace(story.task, pull=replace(story.pull, files=("docs/x.md",)))
        assert escalation_levels(task, story.policy.escalation, "/docs/ @mallory", NOW)[0].people == ("mallory",)

    def test_without_a_fallback_the_approver_is_called(self) -> None:
        story = Story().file_ready_task()
        assert [level.people for level in escalation_levels(story.task, story.policy.escalation, "", NOW)] == [
            ("alice",)
        ]
        assert escalation_levels(replace(story.task, approved_by=None), story.policy.escalation, "", NOW) == ()


class TestClimbing:
    def test_silence_climbs_then_repeats_ever_less_often(self) -> None:
        story = escalated(on_call=ROTA)
        (call,) = story.effects_of_type(Escalate)
        assert (call.assignees, call.since) == (("carol",), story.now)
        gaps, people = [], []
        for _ in range(6):
            before = story.now
            story.reach_deadline(DeadlineKind.ESCALATION)
            gaps.append(int((story.now - before).total_seconds() // 60))
            people.append((story.effects_of_type(Escalate)[0].assignees, call_of(story).last_notified))
        assert [gap - 1 for gap in gaps] == [5, 5, 10, 20, 1440, 1440], "a minute goes by with whatever is heard"
        assert people == [(("alice",), ("alice",)), *[((), ("alice",))] * 5]
        assert story.events(EventType.ESCALATED)[0].payload["call"] == 7
        assert call_of(story).notified == ("carol", "alice")

    def test_the_turn_may_have_changed_meanwhile(self) -> None:
        story = escalated(on_call=ROTA, timeout="2d")
        story.reach_deadline(DeadlineKind.ESCALATION)
        story.now += timedelta(days=5)
        story.reach_deadline(DeadlineKind.ESCALATION)
        assert call_of(story).last_notified == ("dave",)

    def test_a_pause_suspends_the_escalation(self) -> None:
        story = escalated()
        story.run_command("/pause", author=MALLORY, role="triage")
        assert DeadlineKind.ESCALATION not in {d.kind for d in deadlines_of(story.task, story.policy.timeouts)}

    def test_the_time_to_a_person_is_measured_from_the_cause(self) -> None:
        story = escalated()
        key = call_of(story).key
        story.apply(EscalationDelivered(key, NOW + timedelta(hours=1), 17))
        story.apply(EscalationDelivered(key, NOW + timedelta(hours=2)))
        story.apply(EscalationDelivered("another", NOW + timedelta(hours=3), 18))
        assert (call_of(story).delivered_at, call_of(story).comment_ids) == (NOW + timedelta(hours=1), (17,))


class TestAnswers:
    @pytest.mark.parametrize(
        ("who", "role", "counts"),
        [
            (ALICE, "none", True),  # she was called
            (CAROL, "write", True),
            (CAROL, "triage", False),
            (BOB, "admin", False),  # he asked
            (Actor(8, "alice", is_bot=True), "write", False),
        ],
    )
    def test_of_whom(self, who: Actor, role: str, counts: bool) -> None:
        story = escalated()
        story.apply(EscalationAnswered(who, role, "answer"))
        assert story.has_event(EventType.ACKNOWLEDGED) is counts
        assert bool(call_of(story).acknowledged_at) is counts
        assert Flag.NEEDS_HUMAN in story.task.flags, "it is acknowledged, not fixed"

    def test_an_answer_stops_the_escalation_and_keeps_the_wait(self) -> None:
        story = escalated(on_call=ROTA)
        story.apply(EscalationAnswered(ALICE, "write", "reaction"))
        answered = call_of(story).acknowledged_at
        assert answered
        assert call_of(story).next_at == answered + story.policy.timeouts.stall
        story.reach_deadline(DeadlineKind.ESCALATION)
        (reminder,) = story.effects_of_type(Escalate)
        assert reminder.body.startswith("@alice **this task still needs a person.** You acknowledged it 2 h 1 min ago:")
        assert reminder.assignees == ()
        assert call_of(story).next_at == story.now + timedelta(days=1)

    def test_a_command_is_an_answer(self) -> None:
        story = escalated()
        story.run_command("/priority P0")
        assert call_of(story).acknowledged_by == "alice"

    def test_ack_ends_a_requested_escalation(self) -> None:
        story = escalated()
        story.apply(EscalationAnswered(ALICE, "write", "answer"))
        story.run_command("/ack")
        assert story.task.escalation is None
        assert [event.payload["how"] for event in story.events(EventType.ESCALATION_ENDED)] == ["acknowledged"]

    def test_ack_of_another_cause_leaves_it_open(self) -> None:
        story = Story(limits={"max_attempts": 1}).file_ready_task().reach_review()
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        story.run_command("/ack")
        assert Flag.NEEDS_HUMAN in story.task.flags
        story.run_command("/ack")
        assert "`alice` has already acknowledged the call" in story.comment_text()
        story.run_command("/retry")
        assert (story.task.escalation, story.task.status) == (None, Status.READY)


class TestTheEnd:
    def test_a_question_that_is_answered(self) -> None:
        story = Story().file_ready_task().assign()
        story.apply(AgentSeen(1, SessionState.NEEDS_INPUT, story.now, "s-1", "https://agents.example/s-1"))
        first = call_of(story)
        story.apply(AgentSeen(1, SessionState.WORKING, story.now, "s-1", ""))
        assert story.has_event(EventType.ESCALATION_ENDED)
        assert (story.task.escalation, Flag.NEEDS_HUMAN in story.task.flags) == (None, False)
        story.now += timedelta(minutes=1)
        story.apply(AgentSeen(1, SessionState.NEEDS_INPUT, story.now, "s-1", ""))
        assert call_of(story).key != first.key, "a new question is a new call"
        assert story.effects_of_type(Escalate)

    def test_rivals_that_are_gone(self) -> None:
        story = Story(merge={"auto": True}).file_ready_task().reach_review()
        story.report_trial_merge(
            conflicting_pulls=(
                conflicting_pull(5, first=True, waits=Precedence.NEITHER, task=None, reason="Neither can wait."),
            )
        )
        assert "`/resolve ignore`" in story.comment_text()
        story.report_trial_merge(conflicting_pulls=())
        assert (story.task.escalation, Flag.NEEDS_HUMAN in story.task.flags) == (None, False)

    def test_a_label_that_is_taken_off_and_an_issue_that_is_closed(self) -> None:
        story = escalated()
        story.see_issue(closed=True, not_planned=True)
        assert [event.payload["how"] for event in story.events(EventType.ESCALATION_ENDED)] == ["closed"]
        assert story.task.escalation is None

    def test_another_cause_takes_its_place(self) -> None:
        story = Story(limits={"max_attempts": 1}).file_ready_task().reach_review()
        story.run_command("/escalate look at this", author=BOB)
        story.report_checks(ChecksState.FAILURE, None, failed_check())
        assert [event.payload["how"] for event in story.events(EventType.ESCALATION_ENDED)] == ["another cause"]
        assert call_of(story).cause.value == "attempts"
        assert len(call_of(story).suggestions) == 3
        assert call_of(story).attempted == ("attempt 1 by `codex`: CI failed: tests (#7)",)
