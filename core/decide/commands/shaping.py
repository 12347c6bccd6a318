"""Commands that shape a task before somebody works on it: is it ready, how urgent is it."""

from __future__ import annotations

from collections.abc import Mapping

from core.commands import at_least
from core.decide.commands.answers import Refused, Rule, not_yet
from core.decide.draft import Draft
from core.decide.finish import evaluate
from core.decide.readying import check_readiness
from core.signals import CommandGiven
from core.task import Priority, Status


def _ready(draft: Draft, signal: CommandGiven) -> None:
    task = draft.task
    may_approve = at_least(signal.permission, "write")
    # Of a task that somebody works on, a text that was changed meanwhile can still be approved.
    news = task.is_open and may_approve and task.approved_digest != task.text_digest
    if task.status not in (Status.PENDING, Status.READY) and not news:
        raise Refused(f"The task is already {task.status}.")
    if may_approve:
        draft.set(approved_digest=task.text_digest, approved_by=signal.actor.login)
    check_readiness(draft)
    evaluate(draft)
    if draft.task.status is Status.PENDING:
        raise Refused(not_yet("It is not ready yet", draft.task.missing))


def _priority(draft: Draft, signal: CommandGiven) -> None:
    wanted = signal.argument.strip().upper()
    if wanted not in set(Priority):
        raise Refused("Say which priority: `/priority P0`, `/priority P1` or `/priority P2`.")
    draft.set(priority=Priority(wanted))


RULES: Mapping[str, Rule] = {"ready": _ready, "priority": _priority}
