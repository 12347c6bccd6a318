"""What an issue's text, labels and state do to its task."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.audit.events import EventType
from core.decide import decide
from core.decide.builder import DecisionBuilder
from core.decide.issues import text_digest
from core.effects.base import CancelAgent, CloseIssue, SetLabels, UpsertCard
from core.signals.base import ChecksSeen, IssueSeen
from core.task.model import ChecksState, Flag, Kind, Priority, Status
from tests.builders import ALICE, BOB, MALLORY, NOW, SHA, Story, body, issue


class TestANewIssue:
    def test_with_the_label_it_becomes_a_task_with_labels_and_a_card(self) -> None:
        story = Story()
        decision = story.see_issue()
        assert story.task.status is Status.READY
        assert [e.type for e in decision.events] == [EventType.TASK_CREATED, EventType.TASK_READY]
        assert decision.effects == (
            SetLabels(1, ("P2", "status:ready", "task", f"type:{story.task.kind}")),
            UpsertCard(1),
        )

    @pytest.mark.parametrize("changes", [{"labels": ()}, {"closed": True}, {"labels": ("tasks",)}])
    def test_without_the_label_or_closed_it_is_none_of_our_business(self, changes: dict[str, Any]) -> None:
        story = Story()
        assert story.see_issue(**changes).effects == ()
        assert story.current_task is None

    def test_a_repository_that_writes_the_label_with_a_capital_has_tasks_too(self) -> None:
        story = Story()
        story.see_issue(labels=("Task", "p1", "TYPE:functional", "Needs:Python"))
        assert (story.task.priority, story.task.kind, story.task.required_capabilities) == (
            Priority.P1,
            "functional",
            ("python",),
        )
        assert not [e for e in story.see_issue(None).effects if isinstance(e, SetLabels) and "Task" in e.labels]

    def test_a_strangers_issue_waits_for_a_maintainers_word(self) -> None:
        story = Story()
        story.see_issue(MALLORY, author=MALLORY)
        assert story.task.status is Status.PENDING
        assert story.task.approved_digest is None

    @pytest.mark.parametrize(
        ("labels", "text", "priority"),
        [
            ((), body(), Priority.P2),
            ((), body(priority="P0"), Priority.P0),
            (("P1",), body(priority="P0"), Priority.P1),
            (("P2", "P0"), body(), Priority.P0),
            (("Critical",), body(), Priority.P0),
            (("critical", "P1"), body(), Priority.P0),
        ],
    )
    def test_the_priority_comes_from_labels_then_from_the_text(
        self, labels: tuple[str, ...], text: str, priority: Priority
    ) -> None:
        story = Story(priorities={"critical": "P0"})
        story.see_issue(labels=("task", *labels), text=text)
        assert story.task.priority is priority

    def test_the_class_is_found_or_said_by_a_label(self) -> None:
        story = Story()
        story.see_issue(title="Update the documentation of the build")
        assert story.task.kind is Kind.NON_FUNCTIONAL
        told = Story()
        told.see_issue(title="Update the documentation of the build", labels=("task", "type:functional"))
        assert told.task.kind is Kind.FUNCTIONAL
        assert "type:functional" in told.task.kind_reason

    def test_a_repositorys_own_words_count_for_the_class(self) -> None:
        story = Story(classification={"non_functional": ("sell apples",)})
        story.see_issue()
        assert story.task.kind is Kind.NON_FUNCTIONAL


class TestAnEdit:
    def test_it_takes_the_new_text_and_says_so(self) -> None:
        story = Story().file_ready_task()
        story.see_issue(BOB, title="Sell pears", text=body("Sell pears.", required_capabilities="docs"))
        assert (story.task.title, story.task.intake.goal) == ("Sell pears", "Sell pears.")
        assert story.task.required_capabilities == ("docs",)
        assert story.has_event(EventType.TASK_EDITED)
        assert story.task.approved_by == "bob"

    def test_a_capability_that_was_only_in_the_text_goes_with_it_one_by_label_stays(self) -> None:
        story = Story().file_ready_task(text=body(required_capabilities="python"))
        story.add_label("needs:tests")
        story.see_issue(text=body())
        assert story.task.required_capabilities == ("tests",)

    def test_a_label_set_by_hand_is_stronger_than_the_unchanged_text(self) -> None:
        story = Story().file_ready_task(text=body(priority="P1"))
        story.add_label("P0")
        story.see_issue(text=body("Other words.", priority="P1"))
        assert story.task.priority is Priority.P0
        story.see_issue(text=body("Other words.", priority="P2"))
        assert story.task.priority is Priority.P2

    def test_the_class_follows_the_text_until_a_person_overrules_it(self) -> None:
        story = Story().file_ready_task(title="Update the documentation")
        story.see_issue(title="New feature: sell apples")
        assert story.task.kind is Kind.FUNCTIONAL
        story.add_label("type:non-functional")
        assert (story.task.kind, story.task.kind_reason) == (Kind.NON_FUNCTIONAL, "set by @alice")
        story.see_issue(title="New feature: sell pears")
        assert story.task.kind is Kind.NON_FUNCTIONAL

    def test_an_outdated_event_changes_nothing(self) -> None:
        story = Story().file_ready_task()
        earlier = story.issue
        story.see_issue(text=body("Sell pears."))
        before = story.task
        signal = IssueSeen(earlier, sender=MALLORY)
        assert story.apply(replace(signal, issue=replace(earlier, labels=frozenset(), open=False))).events == ()
        assert story.task == before

    def test_a_late_event_of_a_writer_still_approves_the_known_text(self) -> None:
        story = Story()
        written = issue(at=NOW)
        story.see_issue(None, at=NOW + timedelta(minutes=5))  # for example because another user set a label
        assert story.task.status is Status.PENDING
        story.apply(IssueSeen(written, sender=ALICE, sender_can_write=True))
        assert story.task.status is Status.READY

    def test_the_digest_is_of_title_and_body_apart(self) -> None:
        assert text_digest("a", "b") != text_digest("ab", "")
        assert text_digest("\ud800", "") == text_digest("\ud800", "")


class TestWhoApproves:
    """Text of strangers needs a writer's word, and not everything that a writer does is that word."""

    def strangers(self) -> Story:
        story = Story()
        story.see_issue(MALLORY, author=MALLORY, labels=("task", "other"))
        return story

    @pytest.mark.parametrize(
        ("label", "approves"),
        [("status:ready", True), ("task", True), ("P0", False), ("good first issue", False), ("needs:python", False)],
    )
    def test_by_label(self, label: str, approves: bool) -> None:
        story = self.strangers()
        story.add_label(label, sender=ALICE)
        assert (story.task.status is Status.READY) is approves

    def test_taking_a_label_off_approves_nothing(self) -> None:
        story = self.strangers()
        story.remove_label("other")
        assert story.task.approved_digest is None

    def test_editing_it_does(self) -> None:
        story = self.strangers()
        story.see_issue(BOB, text=body("Sell apples, gently."))
        assert story.task.status is Status.READY

    def test_closing_it_does_not(self) -> None:
        story = self.strangers()
        story.see_issue(ALICE, closed=True, not_planned=True)
        assert story.task.approved_digest is None

    def test_a_label_on_a_writers_own_issue_does(self) -> None:
        story = Story()
        story.add_label("P1", sender=ALICE)
        assert story.task.status is Status.READY


class TestLabelsAreInstructions:
    def test_a_priority_by_our_name_or_the_teams_own(self) -> None:
        story = Story(priorities={"critical": "P0"}).file_ready_task()
        story.add_label("P1")
        assert story.task.priority is Priority.P1
        assert story.has_event(EventType.INSTRUCTION)
        story.add_label("Critical")
        assert story.task.priority is Priority.P0

    def test_a_capability_put_on_and_taken_off(self) -> None:
        story = Story().file_ready_task()
        story.add_label("needs:docs")
        assert story.task.required_capabilities == ("docs",)
        story.add_label("needs:cobol")
        assert story.task.status is Status.PENDING
        story.remove_label("needs:cobol")
        story.remove_label("needs:docs")
        assert (story.task.required_capabilities, story.task.status) == ((), Status.READY)

    @pytest.mark.parametrize("label", ["status:review", "status:in-progress", "stalled", "parked", "agent:codex"])
    def test_what_only_work_can_bring_about_is_put_right(self, label: str) -> None:
        story = Story().file_ready_task()
        before = story.task
        story.add_label(label)
        assert replace(story.task, issue_updated_at=before.issue_updated_at) == before
        (labels,) = story.effects_of_type(SetLabels)
        assert label not in labels.labels

    @pytest.mark.parametrize("label", ["status:ready", "P2", "type:functional"])
    def test_one_of_ours_that_is_taken_off_is_put_back(self, label: str) -> None:
        story = Story().file_ready_task(labels=("task", "status:ready", "P2", "type:functional"))
        story.remove_label(label)
        (labels,) = story.effects_of_type(SetLabels)
        assert label in labels.labels

    def test_labels_that_are_right_or_not_ours_cost_nothing(self) -> None:
        story = Story().file_ready_task(labels=("task", "status:ready", "P2", "type:functional"))
        assert story.add_label("good first issue").effects == ()
        assert story.remove_label("good first issue").effects == ()

    def test_our_own_labelling_is_no_instruction(self) -> None:
        story = Story().file_ready_task()
        decision = story.see_issue(ALICE, label="status:done", label_added=True, sender_is_us=True)
        assert (story.task.status, decision.effects) == (Status.READY, ())

    def test_a_flag_that_a_person_takes_off_is_gone(self) -> None:
        story = Story().file_ready_task()
        story.current_task = story.task.with_flag(Flag.STALLED, "No agent took it.")
        story.see_issue(labels=("task", "stalled"), at=NOW)
        story.remove_label("stalled")
        assert not story.task.flags
        story.remove_label("conflict")
        assert not story.has_event(EventType.INSTRUCTION)

    @pytest.mark.parametrize("start", ["pending", "ready", "in-progress", "review", "failed"])
    def test_status_done_is_taken_at_a_persons_word(self, start: str) -> None:
        story = _story_in(start)
        story.add_label("status:done")
        assert (story.task.status, story.task.closed_by) == (Status.DONE, "alice")
        assert story.effects_of_type(CloseIssue)
        assert bool(story.effects_of_type(CancelAgent)) is (start == "in-progress")

    @pytest.mark.parametrize("start", ["pending", "ready", "in-progress", "review"])
    def test_status_failed_ends_it(self, start: str) -> None:
        story = _story_in(start)
        story.add_label("status:failed")
        assert story.task.status is Status.FAILED
        assert story.has_event(EventType.TASK_FAILED)

    @pytest.mark.parametrize("wanted", ["status:ready", "status:pending"])
    @pytest.mark.parametrize(
        ("start", "end"),
        [("in-progress", "ready"), ("review", "ready"), ("failed", "ready"), ("done", "ready"), ("ready", "ready")],
    )
    def test_status_ready_gives_it_back_to_the_queue(self, start: str, end: str, wanted: str) -> None:
        story = _story_in(start)
        story.add_label(wanted)
        assert story.task.status == end
        assert story.task.lease is None

    @pytest.mark.parametrize("start", ["failed", "done"])
    def test_no_agent_is_started_on_a_closed_issue(self, start: str) -> None:
        story = _story_in(start)
        story.see_issue(closed=True)
        status = story.task.status
        story.add_label("status:ready")
        assert story.task.status is status


def _story_in(status: str, **policy: Any) -> Story:
    story = Story(**policy)
    if status == "pending":
        story.see_issue(text=body(criteria=()))
        return story
    story.file_ready_task()
    if status == "in-progress":
        story.assign().start_run()
    elif status == "review":
        story.reach_review()
    elif status == "failed":
        story.add_label("status:failed")
    elif status == "done":
        story.add_label("status:done")
    assert story.task.status == status
    return story


class TestTheLabelTaskTakenOff:
    def test_we_keep_our_hands_off(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        decision = story.remove_label("task")
        assert story.task.untracked
        assert story.effects_of_type(CancelAgent)
        assert not story.effects_of_type(SetLabels)
        assert decision.deadlines == ()
        assert story.see_issue(text=body("Something else.")).effects == ()
        assert story.apply(ChecksSeen(SHA, ChecksState.SUCCESS)).effects == ()

    def test_a_lost_event_is_replaced_by_the_state_of_the_issue(self) -> None:
        story = Story().file_ready_task()
        story.see_issue(None, labels=("P2",))
        assert story.task.untracked

    def test_put_on_again_it_starts_over(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.remove_label("task")
        story.add_label("task")
        assert (story.task.status, story.task.untracked, story.task.closed_by) == (Status.READY, False, None)
        assert story.task.failure_count == 0

    def test_our_own_late_write_of_it_brings_nothing_back(self) -> None:
        story = Story().file_ready_task()
        story.remove_label("task")
        story.see_issue(ALICE, labels=("task",), sender_is_us=True)
        assert story.task.untracked

    def test_a_done_task_stays_done(self) -> None:
        story = _story_in("done")
        story.see_issue(closed=True)
        story.remove_label("task")
        assert (story.task.untracked, story.task.status) == (True, Status.DONE)
        story.add_label("task")
        assert (story.task.untracked, story.task.status) == (False, Status.DONE)

    def test_a_closed_issue_is_not_worked_on_when_the_label_comes_back(self) -> None:
        story = Story().file_ready_task()
        story.remove_label("task")
        story.see_issue(closed=True)
        assert not story.task.issue_open, "those who wait for it have to learn of it"
        story.add_label("task")
        assert story.task.status is Status.FAILED


class TestTheStateOfTheIssue:
    def test_closing_it_is_saying_that_it_is_done(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.see_issue(BOB, closed=True)
        assert (story.task.status, story.task.closed_by) == (Status.DONE, "bob")
        assert story.effects_of_type(CancelAgent)
        assert not story.effects_of_type(CloseIssue)

    @pytest.mark.parametrize("start", ["pending", "ready", "in-progress", "review"])
    def test_closing_it_as_not_planned_ends_it(self, start: str) -> None:
        story = _story_in(start)
        story.see_issue(closed=True, not_planned=True)
        assert (story.task.status, story.task.closed_by) == (Status.FAILED, "alice")
        assert not story.task.flags

    def test_a_failed_task_that_a_person_solved_by_hand_is_done_when_they_close_it(self) -> None:
        story = _story_in("failed")
        story.see_issue(BOB, closed=True)
        assert story.task.status is Status.DONE

    def test_closing_a_failed_task_as_not_planned_ends_its_escalation(self) -> None:
        story = (
            Story(limits={"max_attempts": 1}).file_ready_task().assign().start_run().report_run("completed", "failure")
        )
        assert Flag.NEEDS_HUMAN in story.task.flags
        story.see_issue(closed=True, not_planned=True)
        assert (story.task.status, dict(story.task.flags)) == (Status.FAILED, {})

    def test_the_closing_was_missed(self) -> None:
        story = Story().file_ready_task()
        story.see_issue(None, closed=True)
        assert (story.task.status, story.task.closed_by) == (Status.DONE, "unknown")

    @pytest.mark.parametrize("start", ["failed", "done"])
    def test_reopening_starts_over_with_a_clean_slate(self, start: str) -> None:
        story = _story_in(start)
        story.see_issue(closed=True)
        story.see_issue(closed=False)
        assert story.task.status is Status.READY
        assert story.has_event(EventType.TASK_REOPENED)
        assert (story.task.counted_attempts, story.task.closed_by, story.task.pull) == ((), None, None)

    def test_a_merge_that_closes_the_issue_does_not_make_it_done_by_itself(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.merge_pull()
        story.see_issue(closed=True)
        assert story.task.status is Status.REVIEW
        story.report_checks(ChecksState.SUCCESS)
        assert story.task.status is Status.REVIEW, "its criteria are not ticked"
        story.see_issue(text=body(ticked=True))
        assert story.task.status is Status.DONE

    def test_reopened_after_a_merge_that_was_not_enough_it_starts_over(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.merge_pull()
        story.see_issue(closed=True)
        story.see_issue(closed=False)
        assert story.task.status is Status.READY
        assert story.has_event(EventType.TASK_REOPENED)
        assert story.task.history[-1].pull == 7

    def test_given_up_after_a_merge_it_is_given_up(self) -> None:
        story = Story().file_ready_task().reach_review()
        story.merge_pull()
        story.see_issue(closed=True, not_planned=True)
        assert story.task.status is Status.FAILED


def test_no_task_and_no_signal_of_an_issue_is_nothing() -> None:
    story = Story()
    assert decide(None, ChecksSeen(SHA, ChecksState.SUCCESS), story.context).effects == ()


def test_a_rule_without_a_pull_request_check_raises() -> None:
    story = Story().file_ready_task()
    with pytest.raises(ValueError, match="#1 has no pull request"):
        DecisionBuilder(story.task, story.context).update_pull(draft=True)
