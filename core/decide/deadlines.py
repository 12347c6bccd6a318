"""What happens when a wait is over. The clock enters by the same door as everything else."""

from __future__ import annotations

from datetime import timedelta

from core.decide import stalls
from core.decide.agents import cool_down
from core.decide.attempts import give_up
from core.decide.builder import Draft
from core.decide.escalation import call_again
from core.decide.leases import choice_now
from core.effects.base import PollAgent, ReadChecks
from core.handoff.feedback import Feedback
from core.signals.base import AgentUnheard, DeadlineDue
from core.task.deadlines import DeadlineKind, deadlines_of
from core.task.model import Flag, Lease
from core.texts import spoken


def due(draft: Draft, signal: DeadlineDue) -> None:
    """A deadline has come due; one that the task no longer has, or has later now, is old news."""
    task = draft.task
    current = {d.kind: d.due_at for d in deadlines_of(task, draft.policy.timeouts)}
    kind = next((kind for kind in current if kind == signal.kind), None)
    if kind is None or signal.attempt != task.attempt or current[kind] > draft.now:
        return
    lease = task.lease_of(signal.attempt)
    match kind:
        case DeadlineKind.ACK if lease and _waits_to_be_fetched(draft, lease):
            # It asks for work itself, and did not: it is away, which is no failure.
            waited = spoken(draft.now - lease.since)
            cool_down(draft, lease, f"it did not fetch its task within {waited}", cancel=True)
        case DeadlineKind.ACK if lease:
            _ask_or_give_up(draft, lease, "did not start")
        case DeadlineKind.HEARTBEAT if lease:
            _ask_or_give_up(draft, lease, "gave no sign of life")
        case DeadlineKind.HARD if lease:
            _silent(draft, lease, "did not finish", draft.policy.timeouts.attempt)
        case DeadlineKind.CALL:
            call_again(draft)
        case DeadlineKind.POLL if lease:
            # Apart from `polled_at`: an answer that is late here is no reason to give up on the agent.
            draft.set_lease(lease, asked_at=draft.now)
            draft.want(_poll(draft, lease))
        case DeadlineKind.CI if task.pull:
            # The news may have been lost: read the checks. If none has begun by now, there are none.
            draft.set_pull(checks_asked_at=draft.now)
            draft.want(ReadChecks(task.number, task.pull.head_sha, final=True))
        case DeadlineKind.STALL:
            stalls.due(draft)
        case DeadlineKind.QUEUE if not task.waits_for:
            draft.set(reminded_at=draft.now)
            draft.task = draft.task.flagged(Flag.STALLED, "The task is ready, but no agent has taken it.")
            now, known = choice_now(draft), task.choice
            if now and now.agent is None and (known is None or known.reason != now.reason):
                draft.set(choice=now)  # the card is written anyway, so it may say what is true now
        case _:
            draft.set(reminded_at=draft.now)


def _waits_to_be_fetched(draft: Draft, lease: Lease) -> bool:
    spec = draft.policy.agents.get(lease.agent)
    return spec is not None and spec.comes_for_work


def unheard(draft: Draft, signal: AgentUnheard) -> None:
    """It was asked, and nobody knows of a sign of life."""
    if lease := draft.task.lease_of(signal.attempt):
        draft.set_lease(lease, unheard_at=draft.now)


def _ask_or_give_up(draft: Draft, lease: Lease, what: str) -> None:
    """Silence is what was asked for and not heard. That we could not start it or ask is none of the agent's fault."""
    heard, asked = lease.last_heard_at, lease.polled_at
    if lease.started_at is None and lease.acknowledged_at is None:
        draft.set_lease(lease, polled_at=draft.now)  # the call waits in the outbox, and comes through or is given up
    elif asked is not None and asked > heard and lease.unheard_at is not None and lease.unheard_at >= asked:
        _silent(draft, lease, what, draft.now - heard)
    else:
        draft.set_lease(lease, polled_at=draft.now)
        draft.want(_poll(draft, lease))


def _poll(draft: Draft, lease: Lease) -> PollAgent:
    return PollAgent(draft.task.number, lease.attempt, lease.agent, lease.session, lease.since, lease.role)


def _silent(draft: Draft, lease: Lease, what: str, after: timedelta) -> None:
    within = f"within {spoken(after)}"
    feedback = Feedback(
        key=f"silent:{lease.attempt}",
        title=f"{lease.agent} {what}",
        details=f"`{lease.agent}` {what} {within}. Any commits it pushed are on the branch `{lease.branch}`.",
        at=draft.now,
    )
    give_up(draft, lease, feedback, outcome="silent", why=within)
