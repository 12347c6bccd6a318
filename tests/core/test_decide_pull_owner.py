"""Whose work a pull request is, where its branch does not say: only the holder's counts."""

from __future__ import annotations

import pytest

from core.audit.events import EventType
from core.decide import Decision
from core.effects.base import Comment, MarkReady
from core.signals.base import AgentSeen, AgentStartFailed, PullSeen
from core.task.model import SessionState, Status
from tests.builders import ALICE, BOB, OTHER_SHA, SHA, Story, pull


def opened(story: Story, workers: tuple[str, ...] | None, number: int = 7, **changes: object) -> Decision:
    facts = pull(number, **{"branch": "their/own", "at": story.now, **changes})  # type: ignore[arg-type]
    return story.apply(PullSeen(facts, None, author_can_write=True, agent_names=workers))


def test_the_holders_own_branch_carries_its_work() -> None:
    story = Story().file_ready_task().assign("codex")
    opened(story, ("codex",))
    assert story.task.status is Status.REVIEW
    assert story.lease.acknowledged_at == story.now


@pytest.mark.parametrize("workers", [("claude",), ()], ids=["of another agent", "of one that is not configured"])
@pytest.mark.parametrize("held", [True, False])
def test_work_of_an_agent_that_does_not_hold_the_task_is_recorded_and_reported(
    workers: tuple[str, ...], held: bool
) -> None:
    story = Story().file_ready_task()
    if held:
        story.assign("codex")
    before = story.task.status
    decision = opened(story, workers)
    assert (story.task.status, story.task.pull) == (before, None)
    assert story.has_event(EventType.LATE_RESULT)
    [told] = [effect for effect in decision.effects if isinstance(effect, Comment)]
    assert (told.number, told.topic) == (7, "not-theirs"), "the same words each time, so they are written once"
    assert ("claude" in told.body) == bool(workers)
    assert ("codex" in told.body) == held


def test_a_person_who_claimed_it_is_not_pushed_aside() -> None:
    story = Story().file_ready_task()
    story.run_command("claim", ALICE)
    opened(story, ("codex",))
    assert story.task.pull is None


def test_what_an_agent_does_to_its_earlier_pull_request_is_not_the_next_attempts_work() -> None:
    story = Story().file_ready_task().assign("codex")
    opened(story, ("codex",))
    story.review_pull("changes_requested", BOB, text="No.")
    story.assign("codex")
    decision = opened(story, ("codex",), sha=OTHER_SHA)
    assert story.task.pull is None
    assert story.has_event(EventType.LATE_RESULT)
    assert not [effect for effect in decision.effects if isinstance(effect, Comment)], "it holds the task"
    opened(story, ("codex",), 8, sha=OTHER_SHA)
    assert story.pull.number == 8


def test_the_draft_of_an_agent_that_has_ended_is_made_ready() -> None:
    story = Story().file_ready_task().assign("codex")
    opened(story, ("codex",), draft=True)
    assert story.task.status is Status.IN_PROGRESS
    decision = story.apply(AgentSeen(1, SessionState.DELIVERED, story.now))
    assert MarkReady(1, 7, SHA) in decision.effects
    assert story.task.status is Status.IN_PROGRESS
    opened(story, ("codex",), draft=False)
    assert story.task.status is Status.REVIEW


@pytest.mark.parametrize("state", [SessionState.FAILED, SessionState.CANCELLED])
def test_the_draft_of_one_that_failed_is_not(state: SessionState) -> None:
    story = Story().file_ready_task().assign("codex")
    opened(story, ("codex",), draft=True)
    decision = story.apply(AgentSeen(1, state, story.now))
    assert not [effect for effect in decision.effects if isinstance(effect, MarkReady)]


def test_an_agent_that_has_begun_could_be_started() -> None:
    """The answer to its start was lost, was given up on, and it works all the same."""
    story = Story().file_ready_task().assign("codex").start_run()
    before = story.task
    story.apply(AgentStartFailed(1, "502"))
    assert story.task == before
