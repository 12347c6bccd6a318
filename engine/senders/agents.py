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


def _adapter(errand: SendContext, agent: str) -> tuple[AgentAdapter, AgentBase]:
    """The agent's adapter and settings.

    Raises `CannotStart` when the configuration no longer has the agent, or no adapter for its kind.
    """
    spec = errand.repository.agent(agent)
    if spec is None:
        raise CannotStart(f"The configuration no longer has an agent `{agent}`.")
    if spec.adapter not in ADAPTERS:
        raise CannotStart(f"This version has no adapter `{spec.adapter}`, which `{agent}` needs.")
    return ADAPTERS[spec.adapter], spec


async def _is_current(effect: StartAgent | MessageAgent, errand: SendContext) -> bool:
    async with errand.database.autocommit() as connection:
        task = await store.load_task(connection, errand.repository.id, effect.number)
    leases = (task.lease, task.review) if task else ()
    return any(lease is not None and lease.attempt == effect.attempt for lease in leases)


async def start_agent(effect: StartAgent, errand: SendContext) -> SendResult:
    """Start the agent; whether it went or not goes back in as a signal."""
    if not await _is_current(effect, errand):
        return SendResult()  # this start was refused for so long that the task belongs to another agent or to none
    try:
        adapter, spec = _adapter(errand, effect.agent)
        begun = await call_with_breaker(
            errand, spec, lambda: adapter.start(errand.site, spec, effect, again=errand.again)
        )
    except CannotStart as problem:
        return SendResult(signals=((effect.number, AgentStartFailed(effect.attempt, str(problem))),))
    except Unavailable as problem:
        away = AgentUnavailable(effect.attempt, str(problem), problem.until, unclear=errand.again)
        return SendResult(signals=((effect.number, away),))
    except CircuitOpen as problem:
        away = AgentUnavailable(effect.attempt, str(problem), problem.retry_at, unclear=errand.again)
        return SendResult(signals=((effect.number, away),))
    return SendResult(signals=((effect.number, AgentStarted(effect.attempt, begun.session, begun.url)),))


async def poll_agent(effect: PollAgent, errand: SendContext) -> SendResult:
    """Ask how the attempt goes. That there is no trace of it is an answer too; what could not be asked gives none.

    A service that is left alone because it is down cannot tell; one that says it has no credit left will not go on.
    """
    unheard = SendResult(signals=((effect.number, AgentPollEmpty(effect.attempt)),))
    try:
        adapter, spec = _adapter(errand, effect.agent)
        news = await call_with_breaker(errand, spec, lambda: adapter.poll(errand.site, spec, effect))
        # An agent that never starts may be unable to: then the message says what a person must fix.
        problems = () if news else await call_with_breaker(errand, spec, lambda: adapter.probe(errand.site, spec))
    except CannotStart as problem:
        log.warning("agent_request_failed", agent=effect.agent, task=effect.number, reason=str(problem))
        return unheard
    except CircuitOpen:
        return unheard
    except Unavailable as problem:
        return SendResult(signals=((effect.number, AgentUnavailable(effect.attempt, str(problem), problem.until)),))
    if news is None:
        failed = AgentStartFailed(effect.attempt, " ".join(problems))
        return SendResult(signals=((effect.number, failed),)) if problems else unheard
    found = await _found(news, effect.number, errand) if news.state.ended else ()
    return SendResult(signals=tuple((effect.number, signal) for signal in (*found, news)))


async def _found(news: AgentSeen, number: int, errand: SendContext) -> Sequence[Signal]:
    """What an attempt that has ended left behind, and what a service says is its work."""
    async with errand.database.autocommit() as connection:
        task = await store.load_task(connection, errand.repository.id, number)
    if task is None or task.lease_of(news.attempt) is None:
        return ()  # it is over for us already
    secrets = errand.services.answers
    found = await attempt_results(errand.database, errand.github, errand.repository, task, news.attempt, secrets)
    if not found and (pull := await _delivered(news, task, errand)):
        return (pull,)
    return found


async def _delivered(news: AgentSeen, task: Task, errand: SendContext) -> PullSeen | None:
    """The pull request that a service says is the attempt's work, where nothing else tells whose it is.

    A service is believed only so far: not about one that is of another task, or older than the attempt, or from a fork.
    """
    lease, number = task.lease, task.number
    if news.state is not SessionState.DELIVERED or news.pull is None or lease is None or lease.attempt != news.attempt:
        return None
    async with errand.database.autocommit() as connection:
        linked = await store.task_of_pull(connection, errand.repository.id, news.pull)
    if linked not in (None, number):
        return None
    try:
        told = await errand.github.get_pull(errand.name, news.pull)
    except (NotFound, Gone):
        return None
    named = parse_branch(told.head.ref)
    if (named and named != (number, news.attempt)) or told.is_from_fork or told.created_at < _whole(lease.since):
        return None
    return PullSeen(pull_facts(told), news.attempt, author_can_write=True)


def _whole(moment: datetime) -> datetime:
    """The time as GitHub writes it, in whole seconds."""
    return moment.replace(microsecond=0)


async def cancel_agent(effect: CancelAgent, errand: SendContext) -> SendResult:
    """Tell the agent to stop."""
    try:
        adapter, spec = _adapter(errand, effect.agent)
    except CannotStart:
        return SendResult()  # an agent that is gone from the configuration is no longer ours to stop
    await call_with_breaker(errand, spec, lambda: adapter.cancel(errand.site, spec, effect))
    return SendResult()


async def steer_agent(effect: MessageAgent, errand: SendContext) -> SendResult:
    """Tell the agent something while it works. That it takes no words is no failure: what it hands in is looked at."""
    if not await _is_current(effect, errand):
        return SendResult()
    try:
        adapter, spec = _adapter(errand, effect.agent)
        taken = await call_with_breaker(errand, spec, lambda: adapter.steer(errand.site, spec, effect))
    except (CannotStart, Unavailable) as problem:
        log.warning("agent_message_failed", agent=effect.agent, task=effect.number, reason=str(problem))
        told = AgentMessageResult(effect.attempt, effect.topic, taken=False, reason=str(problem))
        return SendResult(signals=((effect.number, told),))
    log.info("agent_messaged", agent=effect.agent, task=effect.number, taken=taken)
    return SendResult(signals=((effect.number, AgentMessageResult(effect.attempt, effect.topic, taken)),))
