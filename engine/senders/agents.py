"""Senders about agents: start, ask, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from adapters.agents import ADAPTERS, AgentAdapter, CannotStart, Unavailable
from adapters.database import store
from adapters.github.convert import pull_facts
from adapters.github.errors import Gone, NotFound
from config.agent_kinds import AgentBase
from core.effects.base import CancelAgent, MessageAgent, PollAgent, StartAgent
from core.intake.references import parse_branch
from core.signals.base import (
    AgentMessageResult,
    AgentPollEmpty,
    AgentSeen,
    AgentStarted,
    AgentStartFailed,
    AgentUnavailable,
    PullSeen,
    Signal,
)
from core.task.model import SessionState, Task
from engine.attempt_results import attempt_results
from engine.senders.circuit_breaker import CircuitOpen, call_with_breaker
from engine.senders.context import SendContext, SendResult

log = structlog.get_logger()


def _adapter(context: SendContext, agent: str) -> tuple[AgentAdapter, AgentBase]:
    """The agent's adapter and settings.

    Raises `CannotStart` when the configuration no longer has the agent, or no adapter for its kind.
    """
    spec = context.repository.agent(agent)
    if spec is None:
        raise CannotStart(f"The configuration no longer has an agent `{agent}`.")
    if spec.adapter not in ADAPTERS:
        raise CannotStart(f"This version has no adapter `{spec.adapter}`, which `{agent}` needs.")
    return ADAPTERS[spec.adapter], spec


async def _is_current(effect: StartAgent | MessageAgent, context: SendContext) -> bool:
    async with context.database.autocommit() as connection:
        task = await store.load_task(connection, context.repository.id, effect.number)
    leases = (task.lease, task.review_lease) if task else ()
    return any(lease is not None and lease.attempt == effect.attempt for lease in leases)


async def start_agent(effect: StartAgent, context: SendContext) -> SendResult:
    """Start the agent; whether it went or not goes back in as a signal."""
    if not await _is_current(effect, context):
        return SendResult()  # this start was refused for so long that the task belongs to another agent or to none
    try:
        adapter, spec = _adapter(context, effect.agent)
        start_result = await call_with_breaker(
            context, spec, lambda: adapter.start(context.repository_context, spec, effect, is_retry=context.is_retry)
        )
    except CannotStart as problem:
        return SendResult(conflict_report=((effect.number, AgentStartFailed(effect.attempt, str(problem))),))
    except Unavailable as problem:
        unavailable = AgentUnavailable(
            effect.attempt, str(problem), problem.retry_at, may_have_started=context.is_retry
        )
        return SendResult(conflict_report=((effect.number, unavailable),))
    except CircuitOpen as problem:
        unavailable = AgentUnavailable(
            effect.attempt, str(problem), problem.retry_at, may_have_started=context.is_retry
        )
        return SendResult(conflict_report=((effect.number, unavailable),))
    return SendResult(
        conflict_report=((effect.number, AgentStarted(effect.attempt, start_result.session, start_result.url)),)
    )


async def poll_agent(effect: PollAgent, context: SendContext) -> SendResult:
    """Ask how the attempt goes. That there is no trace of it is an answer too; what could not be asked gives none.

    A service that is left alone because it is down cannot tell; one that says it has no credit left will not go on.
    """
    no_answer = SendResult(conflict_report=((effect.number, AgentPollEmpty(effect.attempt)),))
    try:
        adapter, spec = _adapter(context, effect.agent)
        agent_seen = await call_with_breaker(
            context, spec, lambda: adapter.poll(context.repository_context, spec, effect)
        )
        # An agent that never starts may be unable to: then the message says what a person must fix.
        problems = (
            ()
            if agent_seen
            else await call_with_breaker(context, spec, lambda: adapter.probe(context.repository_context, spec))
        )
    except CannotStart as problem:
        log.warning("agent_request_failed", agent=effect.agent, task=effect.number, reason=str(problem))
        return no_answer
    except CircuitOpen:
        return no_answer
    except Unavailable as problem:
        return SendResult(
            conflict_report=((effect.number, AgentUnavailable(effect.attempt, str(problem), problem.retry_at)),)
        )
    if agent_seen is None:
        failed = AgentStartFailed(effect.attempt, " ".join(problems))
        return SendResult(conflict_report=((effect.number, failed),)) if problems else no_answer
    results = await _find_results(agent_seen, effect.number, context) if agent_seen.state.ended else ()
    return SendResult(conflict_report=tuple((effect.number, signal) for signal in (*results, agent_seen)))


async def _find_results(agent_seen: AgentSeen, number: int, context: SendContext) -> Sequence[Signal]:
    """What an attempt that has ended left behind, and what a service says is its work."""
    async with context.database.autocommit() as connection:
        task = await store.load_task(connection, context.repository.id, number)
    if task is None or task.find_lease(agent_seen.attempt) is None:
        return ()  # it is over for us already
    secrets = context.services.result_secrets
    results = await attempt_results(
        context.database, context.github, context.repository, task, agent_seen.attempt, secrets
    )
    if not results and (pull := await _delivered_pull(agent_seen, task, context)):
        return (pull,)
    return results


async def _delivered_pull(agent_seen: AgentSeen, task: Task, context: SendContext) -> PullSeen | None:
    """The pull request that a service says is the attempt's work, where nothing else tells whose it is.

    A service is believed only so far: not about one that is of another task, or older than the attempt, or from a fork.
    """
    lease, number = task.lease, task.number
    if (
        agent_seen.state is not SessionState.DELIVERED
        or agent_seen.pull_number is None
        or lease is None
        or lease.attempt != agent_seen.attempt
    ):
        return None
    async with context.database.autocommit() as connection:
        linked_number = await store.task_of_pull(connection, context.repository.id, agent_seen.pull_number)
    if linked_number not in (None, number):
        return None
    try:
        pull = await context.github.get_pull(context.full_name, agent_seen.pull_number)
    except (NotFound, Gone):
        return None
    branch = parse_branch(pull.head.ref)
    if (
        (branch and branch != (number, agent_seen.attempt))
        or pull.is_from_fork
        or pull.created_at < _without_microseconds(lease.since)
    ):
        return None
    return PullSeen(pull_facts(pull), agent_seen.attempt, author_can_write=True)


def _without_microseconds(moment: datetime) -> datetime:
    """The time as GitHub writes it, in whole seconds."""
    return moment.replace(microsecond=0)


async def cancel_agent(effect: CancelAgent, context: SendContext) -> SendResult:
    """Tell the agent to stop."""
    try:
        adapter, spec = _adapter(context, effect.agent)
    except CannotStart:
        return SendResult()  # an agent that is gone from the configuration is no longer ours to stop
    await call_with_breaker(context, spec, lambda: adapter.cancel(context.repository_context, spec, effect))
    return SendResult()


async def message_agent(effect: MessageAgent, context: SendContext) -> SendResult:
    """Tell the agent something while it works. That it takes no words is no failure: what it hands in is looked at."""
    if not await _is_current(effect, context):
        return SendResult()
    try:
        adapter, spec = _adapter(context, effect.agent)
        accepted = await call_with_breaker(
            context, spec, lambda: adapter.send_message(context.repository_context, spec, effect)
        )
    except (CannotStart, Unavailable) as problem:
        log.warning("agent_message_failed", agent=effect.agent, task=effect.number, reason=str(problem))
        result = AgentMessageResult(effect.attempt, effect.topic, accepted=False, reason=str(problem))
        return SendResult(conflict_report=((effect.number, result),))
    log.info("agent_messaged", agent=effect.agent, task=effect.number, taken=accepted)
    return SendResult(conflict_report=((effect.number, AgentMessageResult(effect.attempt, effect.topic, accepted)),))
