"""The hand-off: everything an agent needs, sealed at the moment of assignment.

One packet, two forms. As JSON it travels in dispatches and later through the API; as Markdown (drawn by `core.texts`
from the same packet) it is read by people and by agents that are addressed in comments.
"""

from __future__ import annotations

from typing import Any

from core.classify import plan
from core.task import Attempt, Feedback, Lease, Task

VERSION = 1


def packet(task: Task, lease: Lease, base: str, sealed_at: str) -> dict[str, Any]:
    """The packet of one attempt, as plain JSON values.

    Keys: `version`, `sealed_at`, `repository`, `task` (number, title, url, priority), `attempt`, `agent`, `role`,
    `branch`, `base`, `goal`, `criteria` (texts), `definition_of_done`, `plan` (kind, reason, steps), `required`,
    `preferred`, `files`, `dependencies` (references), `notes`, `estimate`, `history` (earlier attempts), `feedback` (of
    the last one, or None), `report` (how to hand the work in).
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
        "required": list(task.required),
        "preferred": list(intake.preferred),
        "files": list(intake.files),
        "dependencies": list(task.depends_on),
        "notes": intake.notes,
        "estimate": intake.estimate,
        "history": [_attempt(attempt) for attempt in task.history],
        "feedback": _feedback(task.last_feedback),
        "report": {
            "pull_request": f"Open a pull request from `{lease.branch}` into `{base}` "
            f"whose description contains `Closes #{task.number}`.",
            "closing_line": f"Closes #{task.number}",
        },
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "agent": attempt.agent,
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "branch": attempt.branch,
        "pull_request": attempt.pull,
        "head_sha": attempt.head_sha,
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
    }
