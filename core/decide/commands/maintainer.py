"""Commands of those with write access, who decide who works on a task and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from config.problems import quote
from config.team import nearest_agent
from core.assignment.rules import Agent, busy, choose, part_of, unfit
from core.audit.events import EventType
from core.conflicts.summary import conflicts_of
from core.decide.agents import assigned
from core.decide.attempts import end_attempt
from core.decide.builder import Draft
from core.decide.commands.base import Refused, Rule, not_yet
from core.decide.commands.dependencies import queue_behind
from core.decide.commands.rebase import rebase
from core.decide.completion import evaluate
from core.decide.conflicts import LET_PASS_FOR, let_be
from core.decide.escalation import acknowledge, call_person, solved
from core.decide.readiness import check_readiness
from core.escalation.model import Cause
from core.signals.base import Assigned, CommandGiven
from core.task.lifecycle import Trigger, allows
from core.task.model import Flag, Role, Status, Task
from core.text_safety.sanitize import defuse
from core.texts import spoken

WAYS = ("reassign", "queue", "escalate", "rebase", "ignore")  # that `/resolve` knows


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


def _assign(draft: Draft, signal: CommandGiven) -> None:
    task = draft.task
    agent = _named(draft, signal.argument)
    if task.lease:
        holder = task.lease.agent
        if holder == agent.name:
            raise Refused(f"`{holder}` already holds this task.")
        raise Refused(f"`{holder}` holds this task. To move it, comment `/reassign {agent.name}`.")
    if task.missing and task.status is Status.PENDING:
        raise Refused(not_yet("The task is not ready yet", task.missing))
    hand_to(draft, signal, agent)


def _reassign(draft: Draft, signal: CommandGiven) -> str | None:
    task = draft.task
    lease = task.lease
    if lease is None or not allows(task.status, Trigger.RELEASED):
        raise Refused("No one holds this task. To give it to an agent, comment `/assign codex`.")
    refuse_merged(task)
    agent = _named(draft, signal.argument) if signal.argument.strip() else _another(draft, lease.agent)
    if agent.name == lease.agent:
        raise Refused(f"`{agent.name}` already holds this task. To let it start over, comment `/retry`.")
    # Whoever has a plan in hand loses it with the task, so what is handed on is the same part of it.
    if why := unfit(task, agent, lease.role) or busy(agent):
        raise Refused(f"`{agent.name}` cannot take this task: {why}. `{lease.agent}` keeps it.")
    draft.tell(EventType.TASK_RELEASED, actor=signal.actor.login, reason="reassigned")
    end_attempt(draft, "released", f"taken from {lease.agent} by @{signal.actor.login}", blamed=False)
    draft.move(Trigger.RELEASED)
    check_readiness(draft)
    if draft.task.status is not Status.READY:
        return not_yet("The task is back in the queue, but it is not ready now", draft.task.missing)
    hand_to(draft, signal, agent)
    return None


def _named(draft: Draft, argument: str) -> Agent:
    """The agent that was named; raises `Refused` with the nearest name."""
    name = argument.strip().strip("`").removeprefix("@")
    there = {agent.name: agent for agent in draft.context.agents}
    if not name:
        raise Refused(f"Name an agent. {nearest_agent('', there)}")
    if name not in there:
        raise Refused(f"There is no agent {quote(name)}. {nearest_agent(name, there)}")
    return there[name]


def _another(draft: Draft, but: str) -> Agent:
    """The best agent for the task besides its holder."""
    others = [agent for agent in draft.context.agents if agent.name != but]
    role = draft.task.lease.role if draft.task.lease else Role.IMPLEMENT
    choice = choose(draft.task, others, draft.policy.scoring, draft.now, role)
    found = next((agent for agent in others if agent.name == choice.agent), None)
    if found is None:
        raise Refused(
            f"`{but}` keeps this task: {defuse(choice.reason)}. To return it to the queue, comment `/release`."
        )
    return found


def hand_to(draft: Draft, signal: CommandGiven, agent: Agent) -> None:
    """To this agent, if it can have it now. That a person asks for it counts for more than any score."""
    task = draft.task
    if task.status is not Status.READY:
        raise Refused(f"Only a ready task can be assigned; this one is {task.status}.")
    if task.waits_for:
        raise Refused(f"The task waits for {', '.join(task.waits_for)}.")
    if task.held:
        raise Refused(task.held.said)
    agents = draft.context.agents
    role = part_of(task, agents, draft.policy.plan)
    if role is Role.PLAN and unfit(task, agent, role):
        role = Role.IMPLEMENT  # who is asked by name to do it need not wait for a plan
    if why := unfit(task, agent, role) or busy(agent):
        raise Refused(f"`{agent.name}` cannot take this task: {why}.")
    if draft.policy.dry_run:
        raise Refused(f"Dry run: the bot would give this task to `{agent.name}`.")
    table = choose(task, agents, draft.policy.scoring, draft.now, role)
    who = signal.actor.login
    assigned(draft, Assigned(replace(table, agent=agent.name, reason=f"{who} assigned it to {agent.name}")))


def _resolve(draft: Draft, signal: CommandGiven) -> str | None:
    how, _, rest = signal.argument.strip().partition(" ")
    if how == "queue":
        return queue_behind(draft, signal, rest)
    if how == "rebase":
        rebase(draft, signal)
        return None
    if how == "ignore":
        return _ignore(draft, signal)
    if how not in ("reassign", "escalate"):
        raise Refused(f"Name a resolution: `/resolve {'`, `/resolve '.join(WAYS)}`.")
    found = conflicts_of(draft.task, draft.context.around.twins)
    if not found:
        raise Refused("There is no conflict to resolve.")
    answer = None
    if how == "reassign":
        answer = _reassign(draft, replace(signal, argument=rest))
    else:
        _escalate(draft, replace(signal, argument=rest or found[0]))
    draft.tell(EventType.CONFLICT_RESOLVED, actor=signal.actor.login, how=how)
    return answer


def _ignore(draft: Draft, signal: CommandGiven) -> str | None:
    """Let the other open pull requests that this one conflicts with be, for a day."""
    pull = draft.task.pull
    if pull and pull.open and pull.trial and pull.trial.clean is False:
        raise Refused(f"A conflict with `{pull.base}` cannot be ignored because GitHub does not merge it.")
    rivals = let_be(draft, signal.actor.login)
    if not rivals:
        raise Refused("The task waits for no other pull request.")
    evaluate(draft)
    names = ", ".join(f"#{rival.pull}" for rival in rivals)
    until = f"{draft.now + LET_PASS_FOR:%Y-%m-%d %H:%M} UTC (for {spoken(LET_PASS_FOR)})"
    return (
        f"The bot ignores the conflict with {names} until {until}. "
        "The pull request that is merged second will need a fix."
    )


def _escalate(draft: Draft, signal: CommandGiven) -> None:
    task = draft.task
    if Flag.NEEDS_HUMAN in task.flags:
        raise Refused(f"The bot has already called for a person: {task.flags[Flag.NEEDS_HUMAN]}")
    if task.status is Status.DONE:
        raise Refused("The task is done.")
    reason = signal.argument.strip() or f"{signal.actor.login} asked for a person"
    call_person(draft, reason, Cause.ASKED, topic=signal.key, by=signal.actor.login)


def _ack(draft: Draft, signal: CommandGiven) -> None:
    task, call = draft.task, draft.task.escalation
    if Flag.NEEDS_HUMAN not in task.flags:
        raise Refused("No call for a person is open, so there is nothing to acknowledge.")
    if call and call.acknowledged_at and call.cause is not Cause.ASKED:
        raise Refused(
            f"`{call.acknowledged_by}` has already acknowledged the call; it closes by itself when the cause is fixed."
        )
    draft.set(reminded_at=draft.now)
    if call is None or not call.acknowledged_at:
        acknowledge(draft, signal.actor.login, "/ack")
    if call is None or call.cause is Cause.ASKED:
        solved(draft, "acknowledged")  # a person was asked for, and one is there


RULES: Mapping[str, Rule] = {
    "assign": _assign,
    "reassign": _reassign,
    "retry": _retry,
    "resolve": _resolve,
    "escalate": _escalate,
    "ack": _ack,
}
