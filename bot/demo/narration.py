"""Describes the audit log in words for first-time viewers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from core.audit.events import EventType
from core.stall.model import EscalationStep
from core.task.model import Status, Task

Tone = Literal["plain", "good", "bad", "person"]


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line: when (seconds since the beginning), what, and in which tone to show it."""

    elapsed: float
    text: str
    tone: Tone = "plain"


def describe_event(row: Mapping[str, Any], task: Task | None, elapsed: float) -> list[AuditLine]:
    """An event as a line, or None if it says nothing to a newcomer.

    `task` is its present state, a moment after the event.
    """
    text_and_tone = _describe(row, task)
    return [AuditLine(elapsed, *text_and_tone)] if text_and_tone else []


def _describe(row: Mapping[str, Any], task: Task | None) -> tuple[str, Tone] | None:
    number, agent, actor, payload = f"#{row['task']}", row["agent"], row["actor"], row["payload"]
    title = f"{number} {task.title}" if task else number
    match EventType(row["type"]):
        case EventType.TASK_CREATED:
            missing_note = f", which is not ready: {status_note(task)}" if task and task.readiness_problems else ""
            return f"@{actor} filed {title}{missing_note}", "person"
        case EventType.TASK_READY:
            waits_note = (
                f", but waits for {', '.join(task.open_dependencies)}" if task and task.open_dependencies else ""
            )
            return f"{number} is ready{waits_note}", "plain"
        case EventType.TASK_EDITED if actor and task:
            all_ticked = task.intake.criteria and all(criterion.ticked for criterion in task.intake.criteria)
            action = "checked the work and ticked the criteria of" if all_ticked else "added what was missing in"
            return f"@{actor} {action} {number}", "person"
        case EventType.TASK_ASSIGNED:
            return f"{number} goes to {agent}: {payload['reason']}", "plain"
        case EventType.TASK_REASSIGNED:
            context = "with the feedback" if task and task.last_feedback else "with the full hand-off"
            return f"{number} goes to {agent} {context}, attempt {row['attempt']}", "plain"
        case EventType.TASK_ACKNOWLEDGED if payload.get("stage") == "at work":
            return f"{agent} is working on {title}", "plain"
        case EventType.TASK_REVIEW:
            return f"{agent} opened pull request #{payload['pull']} for {title}", "plain"
        case EventType.TASK_SENT_BACK if payload.get("outcome") == "unavailable":
            return f"{agent} cannot take {number}: {payload['reason']}", "bad"
        case EventType.TASK_SENT_BACK if payload.get("outcome") == "silent":
            return f"{number} returns to the queue for another agent", "bad"
        case EventType.TASK_SENT_BACK:
            return f"{number} returns to the queue with feedback: {payload['reason']}", "bad"
        case EventType.MERGE_REQUESTED:
            return f"#{payload['pull']} has passed all checks and is merged", "plain"
        case EventType.TASK_COMPLETED:
            return f"{title} is done: {payload['reason']}", "good"
        case EventType.TASK_FAILED:
            return f"{number} failed: {payload['reason']}", "bad"
        case EventType.AGENT_FAILED:
            return f"{agent} failed on {number}: {payload['reason']}", "bad"
        case EventType.ESCALATED:
            recipients = ", ".join(f"@{login}" for login in payload.get("to", ())) or "a person"
            return f"{number} needs {recipients}", "bad"
        case EventType.TASK_STALLED:
            return f"{number} is stalled: {payload['reason']}", "bad"
        case EventType.STALL_STEP_TAKEN if payload["rung"] == EscalationStep.REMIND:
            return f"{number}: {payload['reason']}", "plain"
        case EventType.ACKNOWLEDGED:
            return f"@{actor} answered the call for {number}", "person"
        case EventType.PROGRESS_POSTED:
            return f"{number} shows the progress of all tasks: {_counts(payload['counts'])}", "plain"
        case EventType.CONFLICT_DETECTED:
            return _describe_conflict(number, title, payload)
        case _:
            return None


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _describe_conflict(number: str, title: str, payload: Mapping[str, Any]) -> tuple[str, Tone] | None:
    files = ", ".join(payload.get("files", ()))
    other_tasks = ", ".join(f"#{other}" for other in payload.get("tasks", ()) if f"#{other}" != number)
    match payload.get("kind"):
        case "overlap":
            return f"{title} waits for {other_tasks}: both will probably change {files}", "plain"
        case "branches":
            return f"{number} conflicts with the work on {other_tasks or 'another pull request'} in {files}", "bad"
        case "base":
            return f"{number} conflicts with what was merged in the meantime, in {files}", "bad"
        case _:
            return None


def status_note(task: Task) -> str:
    """What a task waits for or has behind it, in a few words."""
    match task.status:
        case Status.PENDING:
            return (
                task.readiness_problems[0].partition(":")[0].removeprefix("It has ")
                if task.readiness_problems
                else "not checked yet"
            )
        case Status.READY if task.open_dependencies:
            return f"waits for {', '.join(task.open_dependencies)}"
        case Status.READY if task.hold and task.hold.blocker:
            return f"waits for {task.hold.blocker}"
        case Status.READY:
            return "waits for a free agent"
        case Status.IN_PROGRESS:
            return f"attempt {task.attempt}, with feedback" if task.attempt > 1 else "attempt 1"
        case Status.REVIEW if task.pull and task.pull.merged:
            return "merged"
        case Status.REVIEW if task.pull and task.pull.merge_requested_sha:
            return "being merged"
        case Status.REVIEW if task.pull and task.pull.checks == "success":
            return "waits for ticked criteria"
        case Status.REVIEW:
            return "CI is running"
        case Status.DONE:
            return "merged" if task.attempt == 1 else f"merged at attempt {task.attempt}"
        case Status.FAILED:
            return "needs a person"
