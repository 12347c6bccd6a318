"""Builds the hand-off packet: everything an agent needs, sealed at assignment.

The packet has two forms. As JSON it travels in dispatches and through the API; as Markdown (rendered by `core.texts`
from the same packet) it is read by people and by agents that read comments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.handoff.feedback import Feedback
from core.intake.classifier import plan_steps
from core.task.model import Attempt, Lease, Pull, Role, Task

VERSION = 1


@dataclass(frozen=True, slots=True)
class DependencyResult:
    """A dependency of a task, and what is known of its changes."""

    reference: str  # `#9`, `owner/repo#3`
    state: str  # the status of a task; of other issues `open`, `closed` or `unknown`
    title: str | None = None
    pull_request: int | None = None
    merge_sha: str | None = None
    files: tuple[str, ...] = ()


def dependency_result(reference: str, finished: bool | None, task: Task | None) -> DependencyResult:
    """The result of a dependency; `task` is the dependency if it is a task."""
    if task is None:
        return DependencyResult(reference, "unknown" if finished is None else "closed" if finished else "open")
    pull = task.pull if task.pull and task.pull.merged else None
    files = pull.files if pull else ()
    number, sha = (pull.number, pull.merge_sha) if pull else (None, None)
    return DependencyResult(reference, task.status.value, task.title, number, sha, files)


def build_packet(
    task: Task,
    lease: Lease,
    base: str,
    sealed_at: str,
    dependencies: Sequence[DependencyResult] = (),
    *,
    reads_output: bool = False,
) -> dict[str, Any]:
    """The packet of one attempt, as plain JSON values; `reads_output` if the last message of the agent is read.

    Keys: `version`, `sealed_at`, `repository`, `task` (number, title, url, priority), `attempt`, `agent`, `role`,
    `branch`, `base`, `goal`, `criteria` (texts), `definition_of_done`, `plan` (kind, reason, steps), `plan_text` (what
    a planner wrote, or None), `required`, `preferred`, `files`, `dependencies` (each with what it changed), `notes`,
    `estimate`, `pull_request` (what there is to review, or None), `history` (earlier attempts), `feedback` (of the last
    one, or None), `report` (how to hand the work in).
    """
    intake = task.intake
    return {
        "version": VERSION,
        "sealed_at": sealed_at,
        "repository": task.repository,
        "task": {
            "number": task.number,
            "title": task.title,
            "url": task.url,
            "priority": task.priority.value,
        },
        "attempt": lease.attempt,
        "agent": lease.agent,
        "role": lease.role.value,
        "branch": lease.branch,
        "base": base,
        "goal": intake.goal,
        "criteria": [criterion.text for criterion in intake.criteria],
        "definition_of_done": [criterion.text for criterion in intake.definition_of_done],
        "plan": {"kind": task.kind.value, "reason": task.kind_reason, "steps": list(plan_steps(task.kind.value))},
        "plan_text": _plan_text(task),
        "required": list(task.required_capabilities),
        "preferred": list(intake.preferred),
        "files": list(intake.files),
        "dependencies": _dependency_data(task, dependencies),
        "notes": intake.notes,
        "estimate": intake.estimate,
        "pull_request": _pull_data(task, task.pull) if lease.role is Role.REVIEW and task.pull else None,
        "history": [
            _attempt_data(task, attempt, base) for attempt in sorted(task.history, key=lambda entry: entry.number)
        ],
        "feedback": _feedback_data(task.last_feedback),
        "report": _report_data(task, lease, base, reads_output=reads_output),
    }


def _report_data(task: Task, lease: Lease, base: str, *, reads_output: bool) -> dict[str, str]:
    closing_line = f"Closes #{task.number}"
    match lease.role:
        case Role.PLAN if reads_output:
            instructions = (
                "End with a message that begins with `/plan` followed by your plan: all that follows is part of "
                "it. Change nothing yourself, and open no pull request."
            )
        case Role.PLAN:
            instructions = (
                f"Comment on #{task.number} with `/plan` followed by your plan: all that follows in the comment is "
                "part of it. Change nothing yourself."
            )
        case Role.REVIEW if reads_output and task.pull:
            instructions = (
                f"Review #{task.pull.number} and end with a message that begins with `/review approve`, or with "
                "`/review changes` followed by the changes. Change nothing yourself, and open no pull request."
            )
        case Role.REVIEW:
            pull_reference = f"#{task.pull.number}" if task.pull else f"#{task.number}"
            instructions = (
                f"Review {pull_reference} on GitHub: approve it, or request changes. Or comment there with "
                "`/review approve`, or with `/review changes` followed by the changes. Change nothing yourself."
            )
        case Role.IMPLEMENT:
            instructions = (
                f"Open a pull request from `{lease.branch}` into `{base}` whose description contains `{closing_line}`."
            )
    return {"how": instructions, "closing_line": closing_line}


def _plan_text(task: Task) -> dict[str, Any] | None:
    task_plan = task.plan
    if task_plan is None:
        return None
    return {
        "text": task_plan.text,
        "agent": task_plan.agent,
        "attempt": task_plan.attempt,
        "at": task_plan.created_at.isoformat(),
    }


def _dependency_data(task: Task, dependencies: Sequence[DependencyResult]) -> list[dict[str, Any]]:
    """All dependencies that count, with their results."""
    results_by_reference = {result.reference: result for result in dependencies}
    results = [
        results_by_reference.get(reference) or DependencyResult(reference, "unknown") for reference in task.depends_on
    ]
    return [{**asdict(result), "files": list(result.files)} for result in results]


def _pull_data(task: Task, pull: Pull) -> dict[str, Any]:
    """The pull request to review, by reference: a diff may be larger than any packet."""
    return {
        "number": pull.number,
        "url": pull.url,
        "branch": pull.branch,
        "base": pull.base,
        "head_sha": pull.head_sha,
        "attempt": pull.attempt,
        "author": task.lease.agent if task.lease else pull.author.login,
        "checks": pull.checks.value,
        "files": list(pull.files),
        "compare_url": _compare_url(task, pull.base, pull.head_sha),
    }


def _compare_url(task: Task, base: str, head: str) -> str:
    return f"{task.url.rpartition('/issues/')[0]}/compare/{base}...{head}"


def _attempt_data(task: Task, attempt: Attempt, base: str) -> dict[str, Any]:
    is_work = attempt.role is Role.IMPLEMENT
    return {
        "number": attempt.number,
        "agent": attempt.agent,
        "role": attempt.role.value,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "branch": attempt.branch,
        "pull_request": attempt.pull,
        "head_sha": attempt.head_sha,
        "merges": attempt.is_mergeable,
        "compare_url": _compare_url(task, base, attempt.head_sha or attempt.branch) if is_work else None,
        "feedback": _feedback_data(attempt.feedback),
    }


def _feedback_data(feedback: Feedback | None) -> dict[str, Any] | None:
    if feedback is None:
        return None
    return {
        "title": feedback.title,
        "details": feedback.details,
        "sha": feedback.sha,
        "failed_checks": [
            {
                "name": check.name,
                "url": check.url,
                "step": check.step,
                "first_error": check.first_error,
                "failing_tests": list(check.failing_tests),
                "log_tail": check.log_tail,
            }
            for check in feedback.failed_checks
        ],
        "comments": [asdict(comment) for comment in feedback.comments],
    }
