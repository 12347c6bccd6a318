"""Derives an escalation's options, history and end from the task."""

from __future__ import annotations

from core.conflicts.pulls import Precedence
from core.escalation.model import Escalation, EscalationCause
from core.stall.rules import stall_suggestions
from core.task.model import Flag, Status, Task
from core.text_safety.sanitize import defuse, inline_code, one_line

MAX_LISTED_ATTEMPTS = 5  # attempts that a notification lists


def suggest_actions(task: Task, cause: EscalationCause) -> tuple[str, str, str]:
    """Three things that a person can do about this cause, as Markdown."""
    match cause:
        case EscalationCause.REVIEWER:
            pull = f"#{task.pull.number}" if task.pull else "the pull request"
            return (
                f"Review {pull} yourself: approve it or request changes.",
                "Add an agent with the role `review` to `.github/orchestrator.yml`, "
                "or set `merge.review` to `none` or `person`.",
                "Return the task to the queue (comment `/release`), or close the issue as not planned.",
            )
        case EscalationCause.QUESTION if task.lease:
            url = task.lease.session_url
            return (
                f"Answer it {f'[in its session]({url})' if url else 'where it works'}; it then continues by itself.",
                "Clarify the issue, then comment `/retry` to start a new attempt.",
                f"Finish it yourself: comment `/claim`. Its commits are on {inline_code(task.lease.branch)}.",
            )
        case EscalationCause.CONFLICT:
            return (
                "Merge the pull request that should come first; the agent of the other one then fixes the conflict.",
                "Comment `/resolve ignore` to continue with both for a day; the one merged second will need a fix.",
                "Close one of the two pull requests; its task starts over after the other one.",
            )
        case EscalationCause.STALLED:
            return stall_suggestions(task)
        case EscalationCause.REQUESTED if task.status is not Status.FAILED:
            return (
                "Take care of it, then comment `/ack`; the bot removes the label `needs-human`.",
                "Comment `/reassign` to give the task to another agent, or `/retry` to start over.",
                "Finish it yourself (comment `/claim`), or close the issue as not planned.",
            )
        case _:
            branch = task.history[-1].branch if task.history else ""
            branch_note = f" The latest commits are on {inline_code(branch)}." if branch else ""
            return (
                "Clarify or shrink the issue, then comment `/retry`: the attempts start over.",
                f"Finish it yourself: comment `/claim`.{branch_note}",
                "Close the issue as not planned.",
            )


def attempt_summaries(task: Task) -> tuple[str, ...]:
    """The latest attempts, and the steps taken against a stall: one line of Markdown each."""
    attempts = tuple(
        f"attempt {attempt.number} by {inline_code(attempt.agent)}: {defuse(one_line(attempt.reason, 300))}"
        + (f" (#{attempt.pull})" if attempt.pull else "")
        for attempt in task.history[-MAX_LISTED_ATTEMPTS:]
    )
    return (*attempts, *(task.stall.actions_taken if task.stall else ()))


def end_reason(task: Task) -> str | None:
    """How the task's open escalation ended; None while it is open, and if there is none."""
    escalation = task.escalation
    if escalation is None:
        return None
    if task.status is Status.DONE:
        return "done"
    if task.untracked or not task.issue_open:
        return "closed"
    if Flag.NEEDS_HUMAN not in task.flags or _is_fixed(task, escalation):
        return "fixed"
    return None


def _is_fixed(task: Task, call: Escalation) -> bool:
    match call.cause:
        case EscalationCause.REQUESTED:
            return False  # only a person can tell
        case EscalationCause.STALLED:
            return task.stall is None or task.stall.topic != call.topic
        case EscalationCause.CONFLICT:
            rivals = task.pull.blocking_pulls if task.pull and task.pull.open else ()
            return not any(rival.precedence is Precedence.NEITHER for rival in rivals)
        case EscalationCause.QUESTION:
            return task.status != call.status or task.lease is None or task.lease.attempt != call.attempt
        case _:
            return task.status != call.status
