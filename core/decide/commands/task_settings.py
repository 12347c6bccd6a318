"""Commands that shape a task before somebody works on it: is it ready, how urgent, what does it need, may it go on."""

from __future__ import annotations

from collections.abc import Mapping

from core.assignment.rules import choose, part_of
from core.commands.registry import at_least
from core.decide.builder import Draft
from core.decide.commands.base import Refused, Rule, not_yet
from core.decide.completion import evaluate
from core.decide.holds import hold, let_go
from core.decide.leases import grant, seal
from core.decide.readiness import check_readiness
from core.intake.readiness import unknown_capabilities
from core.signals.base import CommandGiven
from core.task.model import Priority, Status
from core.texts import handoff
from core.texts.replies import preview


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
        raise Refused(not_yet("The task is not ready yet", draft.task.missing))


def _priority(draft: Draft, signal: CommandGiven) -> None:
    wanted = signal.argument.strip().upper()
    if wanted not in set(Priority):
        raise Refused("Name a priority: `/priority P0`, `/priority P1` or `/priority P2`.")
    draft.set(priority=Priority(wanted))


def _prep(draft: Draft, signal: CommandGiven) -> str:
    """Shows and changes nothing but what a fresh look at readiness changes."""
    check_readiness(draft)
    task = draft.task
    if not task.is_open:
        raise Refused(f"There is nothing to prepare: the task is {task.status}.")
    if task.missing:
        raise Refused(not_yet("The task is not ready yet", task.missing))
    agents = draft.context.agents
    role = part_of(task, agents, draft.policy.plan)
    choice = choose(task, agents, draft.policy.scoring, draft.now, role)
    sealed = seal(draft, grant(draft, choice.agent or "no agent yet", role))
    waits = [f"The task waits for {', '.join(task.waits_for)}."] if task.waits_for else []
    waits += [task.held.said] if task.held else []
    return preview(handoff(sealed), choice.reason, waits)


def _needs(draft: Draft, signal: CommandGiven) -> None:
    wanted = signal.argument.strip().strip("`").lower()
    known = draft.context.around.capabilities
    if not wanted:
        raise Refused("Name a capability: `/needs python`.")
    if unknown := unknown_capabilities([wanted], known):
        raise Refused(unknown[0])
    if wanted in draft.task.required:
        raise Refused(f"The task already needs `{wanted}`.")
    draft.set(required=tuple(sorted({*draft.task.required, wanted})))
    check_readiness(draft)


def _block(draft: Draft, signal: CommandGiven) -> None:
    reason = signal.argument.strip()
    if not reason:
        raise Refused("Give a reason, so that people know when to lift the block: `/block legal has to agree`.")
    _hold(draft, signal, reason, paused=False)


def _pause(draft: Draft, signal: CommandGiven) -> str | None:
    _hold(draft, signal, signal.argument, paused=True)
    # A comment gets 🚀 for an answer; a button has nothing to put it on.
    return f"#{draft.task.number} is paused. To continue, comment `/resume`." if signal.pressed else None


def _hold(draft: Draft, signal: CommandGiven, reason: str, *, paused: bool) -> None:
    task = draft.task
    if not task.is_open:
        raise Refused(f"There is nothing to put on hold: the task is {task.status}.")
    if task.held and task.held.paused != paused and not task.held.foreseen:
        raise Refused(task.held.said)
    hold(draft, signal.actor.login, reason, paused=paused)


def _unblock(draft: Draft, signal: CommandGiven) -> str | None:
    return _lift(draft, signal, paused=False)


def _resume(draft: Draft, signal: CommandGiven) -> str | None:
    return _lift(draft, signal, paused=True)


def _lift(draft: Draft, signal: CommandGiven, *, paused: bool) -> str | None:
    held = draft.task.held
    if held is None:
        raise Refused(f"The task is not {'paused' if paused else 'blocked'}.{_waits(draft)}")
    if held.paused != paused and not held.foreseen:
        raise Refused(held.said)
    let_go(draft, signal.actor.login)
    return _waits(draft).strip() or None


def _waits(draft: Draft) -> str:
    return f" The task waits for {', '.join(draft.task.waits_for)}." if draft.task.waits_for else ""


RULES: Mapping[str, Rule] = {
    "prep": _prep,
    "ready": _ready,
    "priority": _priority,
    "needs": _needs,
    "block": _block,
    "unblock": _unblock,
    "pause": _pause,
    "resume": _resume,
}
