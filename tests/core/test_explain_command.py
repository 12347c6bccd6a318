"""Why no agent has a task at the moment of the request, and why an earlier attempt went to its agent."""

from __future__ import annotations

from core.audit.events import ASSIGNMENTS
from core.effects.base import UpsertCard
from core.signals.base import Assigned
from core.task.model import AssignmentDecision, Candidate
from tests.builders import BOB, Story, agent, body, policy


def test_the_reason_is_that_of_now_and_nothing_is_written_for_it() -> None:
    story = Story().file_ready_task().assign(None, "no agent is free: gone lacks docs")
    story.agents = (agent("codex", active_tasks=1),)
    for command in ("/status", "/explain"):
        story.run_command(command)
        assert "no agent is free: codex is at its limit of 1" in story.comment_text()
        assert "gone" not in story.comment_text()
        assert not story.effects_of_type(UpsertCard)
    story.run_command("/block legal has to agree")
    assert story.task.choice is None, "no agent is searched for, so the card gives no reason why none was found"


def test_of_a_task_that_is_not_ready_what_is_missing_now() -> None:
    story = Story()
    story.see_issue(text=body(needs="cobol"))
    story.policy = policy(agents={"grace": {"adapter": "pull", "capabilities": ("fortran",)}})
    story.run_command("/status")
    assert "agents are `fortran`." in story.comment_text()


def test_of_an_earlier_attempt_the_choice_of_then() -> None:
    story = Story().file_ready_task()
    story.run_command("/explain 1")
    assert story.comment_text() == "There is no attempt 1. No attempt has started yet."
    scored = Candidate("codex", 0.75, {"load": 0.15, "priority": 0.6})
    chosen = AssignmentDecision(
        "codex", "it is free", (scored, Candidate("claude", None, excluded="is away")), story.now
    )
    trail = [*story.apply(Assigned(chosen)).events]
    story.report_run("completed", "failure")
    trail += story.run_command("/claim", author=BOB).events
    story.audit_trail = tuple(event for event in trail if event.type in ASSIGNMENTS)

    story.run_command("/explain 1")
    assert story.comment_text() == (
        "Attempt 1 went to `codex`.\n\nit is free (2026-03-02 09:03 UTC).\n\n"
        "| agent | score | parts |\n|---|---|---|\n"
        "| `codex` | 0.750 | load 0.150, priority 0.600 |\n| `claude` | \u2013 | excluded: is away |\n"
    )
    story.run_command("/explain attempt 2")
    assert story.comment_text() == (
        "Attempt 2 went to `bob`.\n\nbob took the task (2026-03-02 09:05 UTC), so the bot compared no scores.\n"
    )
    story.run_command("/explain 3")
    assert story.comment_text() == "There is no attempt 3. The attempts so far: 1 (`codex`), 2 (`bob`)."
    story.run_command("/explain it all")
    assert story.comment_text().startswith("Name an attempt by its number: `/explain 1`.")
