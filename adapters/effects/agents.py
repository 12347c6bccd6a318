"""Senders about agents: start, ask, cancel."""

from __future__ import annotations

from datetime import timedelta

from adapters.agents import ADAPTERS, AgentAdapter, CannotStart, Unavailable
from adapters.effects.errand import Errand, Sent
from config.agent_kinds import AgentBase
from core.effects import CancelAgent, PollAgent, StartAgent
from core.signals import AgentStarted, AgentStartFailed, AgentUnavailable

COOL_DOWN = timedelta(minutes=15)  # for an agent that takes no work and does not say for how long


def _adapter(errand: Errand, agent: str) -> tuple[AgentAdapter, AgentBase]:
    """The agent's adapter and settings.

    Raises `CannotStart` when the configuration no longer has the agent, or no adapter for its kind.
    """
    spec = errand.repository.agent(agent)
    if spec is None:
        raise CannotStart(f"The configuration no longer has an agent `{agent}`.")
    if spec.adapter not in ADAPTERS:
        raise CannotStart(f"This version has no adapter `{spec.adapter}`, which `{agent}` needs.")
    return ADAPTERS[spec.adapter], spec


async def start_agent(effect: StartAgent, errand: Errand) -> Sent:
    """Start the agent; whether it went or not goes back in as a signal."""
    try:
        adapter, spec = _adapter(errand, effect.agent)
        begun = await adapter.start(errand.site, spec, effect, again=errand.again)
    except CannotStart as problem:
        return Sent(signals=((effect.number, AgentStartFailed(effect.attempt, str(problem))),))
    except Unavailable as problem:
        until = problem.until or errand.now + COOL_DOWN
        return Sent(signals=((effect.number, AgentUnavailable(effect.attempt, str(problem), until)),))
    return Sent(signals=((effect.number, AgentStarted(effect.attempt, begun.session, begun.url)),))


async def poll_agent(effect: PollAgent, errand: Errand) -> Sent:
    """Ask how the attempt goes. No trace is no signal: the deadline that asked goes on running."""
    try:
        adapter, spec = _adapter(errand, effect.agent)
    except CannotStart:
        return Sent()
    news = await adapter.poll(errand.site, spec, effect)
    return Sent(signals=((effect.number, news),) if news else ())


async def cancel_agent(effect: CancelAgent, errand: Errand) -> Sent:
    """Tell the agent to stop."""
    try:
        adapter, spec = _adapter(errand, effect.agent)
    except CannotStart:
        return Sent()  # an agent that is gone from the configuration is no longer ours to stop
    await adapter.cancel(errand.site, spec, effect)
    return Sent()
