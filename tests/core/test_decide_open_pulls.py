"""Open pull requests that cannot all be merged, as one of their tasks lives it."""

from __future__ import annotations

from datetime import timedelta

from core.audit.events import EventType
from core.conflicts.pulls import Precedence
from core.effects.base import CheckRun, Escalate, MergePull
from core.signals.base import TrialMergeDone
from core.task.model import ChecksState, Flag, Status
from tests.builders import OTHER_SHA, Story, body, conflicting_pull, refused
from tests.core.test_depends_command import other


def ready_to_merge() -> Story:
    """Nothing is missing but for the trial merge."""
    story = Story(merge={"auto": True}).file_ready_task(text=body(ticked=True)).reach_review()
    story.report_checks(ChecksState.SUCCESS)
    return story


def meets(story: Story, *rivals: object) -> None:
    story.report_trial_merge(conflicting_pulls=rivals)


def test_the_later_one_waits_and_says_why() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    assert not story.effects_of_type(MergePull)
    check, done = story.effects_of_type(CheckRun)
    assert (check.conclusion, check.title) == ("failure", "Waits for #5: conflict in 1 file")
    assert [button.identifier for button in check.actions] == ["rebase", "hold", "ignore"]
    assert "this pull request waits until the other is merged or closed" in done.summary
    said = "It conflicts with #5 (for #3) in `shop/a.py`; this pull request waits until the other is merged or closed."
    assert story.task.flags[Flag.CONFLICT] == said
    assert story.task.status is Status.REVIEW, "nothing is wrong with the work"
    (event,) = story.events(EventType.CONFLICT_DETECTED)
    assert event.payload == {
        "kind": "branches",
        "tasks": [1, 3],
        "pulls": [7, 5],
        "agents": ["codex", "codex"],
        "files": ["shop/a.py"],
        "severity": "medium",
        "waits": 7,
    }


def test_it_is_said_once_and_it_goes_on_by_itself() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS, sha=OTHER_SHA))
    assert not story.effects_of_type(CheckRun), "the other's new head changes nothing here"
    assert not story.events(EventType.CONFLICT_DETECTED)
    meets(story)
    assert Flag.CONFLICT not in story.task.flags
    assert story.has_event(EventType.CONFLICT_RESOLVED)
    assert [check.conclusion for check in story.effects_of_type(CheckRun) if check.name == "conflict-first"] == [
        "success"
    ]
    assert story.effects_of_type(MergePull)


def test_the_first_one_does_not_wait() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(9, waits=Precedence.OTHER))
    assert story.effects_of_type(MergePull)
    (check,) = story.effects_of_type(CheckRun)
    assert (check.conclusion, check.title) == ("success", "Merges cleanly with main; #9 waits for it")
    assert not story.events(EventType.CONFLICT_DETECTED), "the waiting task records it"
    assert Flag.CONFLICT not in story.task.flags


def test_where_neither_can_wait_a_person_is_called_once() -> None:
    story = ready_to_merge()
    undecided = conflicting_pull(5, first=True, waits=Precedence.NEITHER, task=None, reason="Neither can wait.")
    meets(story, undecided)
    assert not story.effects_of_type(MergePull)
    assert "a person must decide" in story.task.flags[Flag.NEEDS_HUMAN]
    assert story.effects_of_type(Escalate)
    assert story.events(EventType.CONFLICT_DETECTED)[0].payload["severity"] == "high"
    meets(story, undecided)
    assert not story.effects_of_type(Escalate)


def test_of_two_tasks_the_later_one_calls() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(9, waits=Precedence.NEITHER))
    assert Flag.NEEDS_HUMAN not in story.task.flags
    assert not story.effects_of_type(MergePull)


def test_a_conflict_stays_without_a_new_verdict() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    story.report_trial_merge()
    assert story.pull.blocking_pulls


def test_a_person_lets_a_conflict_pass_for_a_day() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(5, first=True, waits=Precedence.NEITHER))
    story.run_command("/resolve ignore", role="triage")
    assert not story.task.ignored_conflicts
    story.run_command("/resolve ignore")
    assert story.effects_of_type(MergePull)
    assert not {Flag.CONFLICT, Flag.NEEDS_HUMAN} & story.task.flags.keys()
    assert "The bot ignores the conflict with #5 until" in story.comment_text()
    (check,) = [one for one in story.effects_of_type(CheckRun) if one.name == "conflict-first"]
    assert check.conclusion == "success"
    assert "Ignored" in check.summary
    story.run_command("/resolve ignore")
    assert refused(story) == "The task waits for no other pull request."


def test_what_a_person_was_called_for_besides_stands_when_a_conflict_is_let_pass() -> None:
    story = ready_to_merge()
    story.run_command("/escalate the server is unreachable")
    meets(story, conflicting_pull(9, waits=Precedence.NEITHER))  # of the two the other one calls
    story.run_command("/resolve ignore")
    assert "the server is unreachable" in story.task.flags[Flag.NEEDS_HUMAN]


def test_the_day_ends() -> None:
    story = Story().file_ready_task().reach_review()
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    story.run_command("/resolve ignore")
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    assert Flag.CONFLICT not in story.task.flags
    story.now += timedelta(days=1)
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    assert Flag.CONFLICT in story.task.flags


def test_a_conflict_with_the_base_cannot_be_let_pass() -> None:
    story = Story().file_ready_task().assign()
    story.see_pull(draft=True)
    story.report_trial_merge(False, files=("shop/a.py",))
    story.run_command("/resolve ignore")
    assert refused(story) == "A conflict with `main` cannot be ignored because GitHub does not merge it."


def test_the_label_taken_off_lets_it_pass_as_well() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    story.see_issue(label="conflict", label_added=False)
    assert story.effects_of_type(MergePull)
    assert 5 in story.task.ignored_conflicts


def test_the_label_taken_off_stays_off_until_there_is_another_conflict() -> None:
    story = Story().file_ready_task().assign()
    story.see_pull(draft=True)
    story.report_trial_merge(False, files=("shop/a.py",))
    story.see_issue(label="conflict", label_added=False)
    story.report_trial_merge(False, files=("shop/a.py",))
    assert Flag.CONFLICT not in story.task.flags
    story.report_trial_merge(False, files=("shop/b.py",))
    assert Flag.CONFLICT in story.task.flags


def test_queueing_behind_the_one_in_the_way_needs_no_name() -> None:
    story = ready_to_merge()
    meets(story, conflicting_pull(5, first=True, waits=Precedence.THIS))
    story.referenced_tasks = {"#3": other(3)}
    story.run_command("/resolve queue")
    assert story.task.hold
    assert story.task.hold.blocker == "#3"


def test_a_dependency_that_comes_late_is_a_conflict() -> None:
    story = ready_to_merge()
    story.dependencies = {"#3": False}
    story.see_issue()
    (event,) = story.events(EventType.CONFLICT_DETECTED)
    assert (event.payload["kind"], event.payload["tasks"]) == ("dependency", [1, 3])
    assert "depends on #3" in story.task.flags[Flag.CONFLICT]
    meets(story)
    assert not story.effects_of_type(MergePull), "nothing is merged before what it builds on"
    story.dependencies = {"#3": True}
    story.see_issue()
    assert story.effects_of_type(MergePull)


def test_a_duplicate_is_recorded_as_a_conflict_once() -> None:
    story = Story().file_ready_task()
    story.duplicates = (12,)
    story.see_issue()
    (event,) = story.events(EventType.CONFLICT_DETECTED)
    assert (event.payload["kind"], event.payload["tasks"]) == ("duplicate", [1, 12])
    story.see_issue()
    assert not story.events(EventType.CONFLICT_DETECTED)


def test_a_verdict_on_another_head_tells_nothing() -> None:
    story = ready_to_merge()
    story.apply(
        TrialMergeDone(7, OTHER_SHA, "e" * 40, True, conflicting_pulls=(conflicting_pull(5, waits=Precedence.THIS),))
    )
    assert not story.pull.conflicting_pulls
