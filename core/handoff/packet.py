"""Builds the hand-off packet: everything an agent needs, sealed at assignment.

The packet has two forms. As JSON it travels in dispatches and through the API; as Markdown (rendered by `core.texts`
from the same packet) it is read by people and by agents that read comments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.handoff.feedback import Feedback
from core.intake.classifier import plan
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


def built_on(reference: str, finished: bool | None, task: Task | None) -> DependencyResult:
    """The result of a dependency; `task` is the dependency if it is a task."""
    if task is None:
        return DependencyResult(reference, "unknown" if finished is None else "closed" if finished else "open")
    pull = task.pull if task.pull and task.pull.merged else None
    files = pull.files if pull else ()
    number, sha = (pull.number, pull.merge_sha) if pull else (None, None)
    return DependencyResult(reference, task.status.value, task.title, number, sha, files)


def packet(
    task: Task,
    lease: Lease,
    base: str,
    sealed_at: str,
    builds_on: Sequence[DependencyResult] = (),
    *,
    heard: bool = False,
) -> dict[str, Any]:
    """The packet of one attempt, as plain JSON values; `heard` if the last message of the agent is read.

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
        "plan": {"kind": task.kind.value, "reason": task.kind_reason, "steps": list(plan(task.kind.value))},
        "plan_text": _plan_text(task),
        "required": list(task.required),
        "preferred": list(intake.preferred),
        "files": list(intake.files),
        "dependencies": _dependencies(task, builds_on),
        "notes": intake.notes,
        "estimate": intake.estimate,
        "pull_request": _pull(task, task.pull) if lease.role is Role.REVIEW and task.pull else None,
        "history": [_attempt(task, attempt, base) for attempt in sorted(task.history, key=lambda a: a.number)],
        "feedback": _feedback(task.last_feedback),
        "report": _report(task, lease, base, heard=heard),
    }


def _report(task: Task, lease: Lease, base: str, *, heard: bool) -> dict[str, str]:
    closing = f"Closes #{task.number}"
    match lease.role:
        case Role.PLAN if heard:
            how = (
                "End with a message that begins with `/plan` followed by your plan: all that follows is part of "
                "it. Change nothing yourself, and open no pull request."
            )
        case Role.PLAN:
            how = (
                f"Comment on #{task.number} with `/plan` followed by your plan: all that follows in the comment is "
                "part of it. Change nothing yourself."
            )
        case Role.REVIEW if heard and task.pull:
            how = (
                f"Review #{task.pull.number} and end with a message that begins with `/review approve`, or with "
                "`/review changes` followed by the changes. Change nothing yourself, and open no pull request."
            )
        case Role.REVIEW:
            where = f"#{task.pull.number}" if task.pull else f"#{task.number}"
            how = (
                f"Review {where} on GitHub: approve it, or request changes. Or comment there with `/review approve`, "
                "or with `/review changes` followed by the changes. Change nothing yourself."
            )
        case Role.IMPLEMENT:
            how = f"Open a pull request from `{lease.branch}` into `{base}` whose description contains `{closing}`."
    return {"how": how, "closing_line": closing}


def _plan_text(task: Task) -> dict[str, Any] | None:
    known = task.plan
    if known is None:
        return None
    return {"text": known.text, "agent": known.agent, "attempt": known.attempt, "at": known.at.isoformat()}


def _dependencies(task: Task, builds_on: Sequence[DependencyResult]) -> list[dict[str, Any]]:
    """All dependencies that count, with their results."""
    known = {one.reference: one for one in builds_on}
    found = [known.get(reference) or DependencyResult(reference, "unknown") for reference in task.depends_on]
    return [{**asdict(one), "files": list(one.files)} for one in found]


def _pull(task: Task, pull: Pull) -> dict[str, Any]:
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
        "compare_url": _compare(task, pull.base, pull.head_sha),
    }


def _compare(task: Task, base: str, head: str) -> str:
    return f"{task.url.rpartition('/issues/')[0]}/compare/{base}...{head}"


def _attempt(task: Task, attempt: Attempt, base: str) -> dict[str, Any]:
    work = attempt.role is Role.IMPLEMENT
    return {
        "number": attempt.number,
        "agent": attempt.agent,
        "role": attempt.role.value,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "branch": attempt.branch,
        "pull_request": attempt.pull,
        "head_sha": attempt.head_sha,
        "merges": attempt.merges,
        "compare_url": _compare(task, base, attempt.head_sha or attempt.branch) if work else None,
        "feedback": _feedback(attempt.feedback),
    }


def _feedback(feedback: Feedback | None) -> dict[str, Any] | None:
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
