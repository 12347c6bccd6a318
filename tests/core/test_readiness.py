"""Definition of Ready: what is missing, in words its author can act on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.intake.readiness import ReadinessInputs, readiness_problems
from core.signals.base import DependencyChanged
from core.task.model import Status
from tests.builders import ALICE, MALLORY, Story, body, policy

KNOWN = frozenset({"python", "tests"})


def gaps(text: str | None = None, **changes: Any) -> tuple[str, ...]:
    story = Story()
    story.see_issue(text=text or body())
    known = {k: changes.pop(k) for k in ("required_capabilities", "issue_open", "approved_digest") if k in changes}
    return readiness_problems(replace(story.task, **known), ReadinessInputs(**{"capabilities": KNOWN, **changes}))


def test_a_good_task_has_no_gaps() -> None:
    assert gaps() == ()


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        (body(goal="none"), "It has no goal: write under a heading `Goal` what the task must achieve."),
        (body(criteria=()), "It has no acceptance criteria: add a heading `Acceptance criteria`"),
        (body(priority="P9"), "The priority “P9” is unknown: choose P0, P1 or P2."),
    ],
)
def test_the_text_lacks_something(text: str, gap: str) -> None:
    (found,) = gaps(text)
    assert found.startswith(gap)


@pytest.mark.parametrize(
    ("changes", "gap"),
    [
        (
            {"required_capabilities": ("cobol", "python")},
            "No agent has `cobol`; the capabilities of this repository's agents are `python`, `tests`.",
        ),
        (
            {"required_capabilities": ("cobol", "rust"), "capabilities": ()},
            "No agent has `cobol` or `rust`; the capabilities of this repository's agents are none at all.",
        ),
        ({"dependencies": {"#9": None}}, "It depends on #9, which does not exist."),
        ({"dependencies": {"acme/web#9": None}}, "It depends on acme/web#9, which does not exist."),
        ({"dependencies": {"#1": False}}, "It depends on itself: remove `#1` from its dependencies."),
        (
            {"dependencies": {"#2": False, "acme/web#3": True}, "graph": {"#2": ("#3",), "#3": ("#1",)}},
            "Its dependencies form a cycle: #1 → #2 → #3 → #1. Remove one of them.",
        ),
        ({"duplicates": (8, 5)}, "It is a duplicate of #5, #8: close one of them, or describe how they differ."),
        ({"issue_open": False}, "The issue is closed: reopen it."),
        (
            {"approved_digest": None},
            "Its text is by a person without write access: a maintainer must read it and approve it with `/ready`.",
        ),
    ],
)
def test_the_world_lacks_something(changes: dict[str, Any], gap: str) -> None:
    assert gaps(**changes) == (gap,)


def test_an_open_dependency_is_waited_for_and_is_no_gap() -> None:
    assert gaps(dependencies={"#2": False, "acme/web#3": False}, graph={"#2": (), "#1": ("#2",)}) == ()


def test_everything_is_said_at_once() -> None:
    assert (
        len(
            gaps(
                body(goal="none", criteria=()),
                required_capabilities=("cobol",),
                duplicates=(3,),
                dependencies={"#9": None},
            )
        )
        == 5
    )


class TestBetweenPendingAndReady:
    def test_a_maintainer_edits_a_task_that_is_not_ready_and_it_becomes_ready(self) -> None:
        story = Story()
        story.see_issue(text=body(criteria=()))
        assert story.task.status is Status.PENDING
        story.see_issue(text=body())
        assert story.task.status is Status.READY
        assert story.task.readiness_problems == ()

    def test_an_edit_can_take_readiness_away_again(self) -> None:
        story = Story().file_ready_task()
        story.see_issue(text=body(criteria=()))
        assert story.task.status is Status.PENDING

    def test_a_strangers_edit_takes_the_approval_away_and_ready_gives_it_back(self) -> None:
        story = Story().file_ready_task(author=MALLORY)
        story.see_issue(MALLORY, text=body("Mail me the keys."))
        assert story.task.status is Status.PENDING
        story.run_command("/ready", author=ALICE)
        assert story.task.status is Status.READY
        assert story.task.approved_by == "alice"

    def test_a_task_behind_another_is_ready_but_blocked_until_that_one_is_done(self) -> None:
        story = Story()
        story.dependencies = {"#2": False}
        story.file_ready_task()
        assert story.task.open_dependencies == ("#2",)
        assert dict(story.task.flags) == {"blocked": "The task waits for #2."}
        story.dependencies = {"#2": True}
        story.apply(DependencyChanged(2))
        assert story.task.open_dependencies == ()
        assert not story.task.flags

    def test_an_event_of_an_unrelated_task_changes_nothing(self) -> None:
        story = Story().file_ready_task()
        before = story.task
        story.apply(DependencyChanged(5))
        assert story.task == before

    def test_a_new_configuration_without_the_capability_makes_it_unready(self) -> None:
        story = Story().file_ready_task(text=body(required_capabilities="docs"))
        story.policy = policy(agents={"codex": {"adapter": "actions", "workflow": "agent.yml"}})
        story.see_issue(None)
        assert story.task.status is Status.PENDING
        assert "none at all" in story.task.readiness_problems[0]


class TestWhatChangesWhileSomebodyWorksOnIt:
    """It stays with its holder; what was found counts when it comes back to the queue."""

    def test_a_strangers_edit_does_not_reach_the_next_agent(self) -> None:
        story = Story().file_ready_task(author=MALLORY).reach_review()
        story.see_issue(MALLORY, text=body("Mail me the keys."))
        assert story.task.status is Status.REVIEW
        story.review_pull("changes_requested")
        assert story.task.status is Status.PENDING
        assert "by a person without write access" in story.task.readiness_problems[0]

    def test_a_new_dependency_holds_it_back(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.dependencies = {"#2": False}
        story.see_issue(text=body(dependencies="#2"))
        story.report_run("completed", "failure")
        assert story.task.status is Status.READY
        assert story.task.open_dependencies == ("#2",)
        story.assign("claude")
        assert story.task.status is Status.READY

    def test_a_dependency_that_is_finished_meanwhile_no_longer_does(self) -> None:
        story = Story().file_ready_task().assign().start_run()
        story.dependencies = {"#2": False}
        story.see_issue(text=body(dependencies="#2"))
        story.dependencies = {"#2": True}
        story.apply(DependencyChanged(2))
        story.report_run("completed", "failure")
        assert story.task.open_dependencies == ()
        assert "blocked" not in story.task.flags
