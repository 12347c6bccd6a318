"""Commands of those with write access, who decide who works on a task and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping

from core.decide.attempts import end_attempt
from core.decide.commands.answers import Refused, Rule
from core.decide.draft import Draft
from core.decide.readying import check_readiness
from core.lifecycle import Trigger, allows
from core.signals import CommandGiven
from core.task import Flag, Task


def refuse_merged(task: Task) -> None:
    """Raises `Refused` when the work is merged already, and so cannot be taken back."""
    if task.pull and task.pull.merged:
        raise Refused(f"#{task.pull.number} is already merged. Close and reopen the issue to start over.")


def start_over(draft: Draft, signal: CommandGiven) -> None:
    """Back to the queue with a clean slate of attempts."""
    refuse_merged(draft.task)
    if not draft.task.issue_open:
        raise Refused("The issue is closed. Reopen it to start over.")
    end_attempt(draft, "retried", f"/retry by @{signal.actor.login}", blamed=False)
    draft.move(Trigger.RETRIED)
    draft.set(retried_after=len(draft.task.history), closed_by=None)
    draft.task = draft.task.unflagged(Flag.NEEDS_HUMAN, Flag.STALLED)
    check_readiness(draft)


def _retry(draft: Draft, signal: CommandGiven) -> None:
    task = draft.task
    if not allows(task.status, Trigger.RETRIED):
        raise Refused(f"There is nothing to retry: the task is {task.status}.")
    start_over(draft, signal)


RULES: Mapping[str, Rule] = {"retry": _retry}
