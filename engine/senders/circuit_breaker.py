"""Calls to agents go through the circuit breaker of the service behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from adapters.agents import CannotStart, Unavailable
from adapters.database import agents
from adapters.github.errors import GitHubError, Transient, UnknownOutcome
from config.agent_kinds import AgentBase
from core.circuit_breaker import CircuitBreaker, breaker_name
from core.circuit_breaker import CircuitOpen as CircuitOpen
from core.text_safety.sanitize import mask_secrets, one_line
from engine.senders.context import SendContext

Result = TypeVar("Result")


def is_outage(error: Exception) -> bool | None:
    """Whether a failed call says that the service is down; None when it says nothing of the service at all.

    A refusal is an answer: a service that says that a key is wrong, or that there is no credit left, is up.
    """
    if isinstance(error, GitHubError | CannotStart | Unavailable):
        return isinstance(error, Transient | UnknownOutcome)
    return True if isinstance(error, OSError | aiohttp.ClientError) else None


async def call_with_breaker(context: SendContext, spec: AgentBase, call: Callable[[], Awaitable[Result]]) -> Result:
    """The answer of a call to the agent's service.

    Raises `CircuitOpen`, without calling, while the circuit is open, and whatever the call raises.
    """
    name = breaker_name(spec)
    async with context.database.autocommit() as connection:
        circuit = (await agents.load_circuits(connection)).get(name, CircuitBreaker(name))
    if circuit != CircuitBreaker(name):
        circuit = await _request_call(context, name)
    try:
        result = await call()
    except Exception as error:
        is_down = is_outage(error)
        if is_down is not None:
            reason = one_line(mask_secrets(str(error) or type(error).__name__), 200)
            await _record_outcome(context, name, reason if is_down else None)
        raise
    if circuit.failures:
        await _record_outcome(context, name, None)
    return result


async def _request_call(context: SendContext, name: str) -> CircuitBreaker:
    """The circuit, if it lets a call through; of many that ask at once it may be one alone, to try."""
    async with context.database.transaction() as connection:
        circuit = await agents.lock_circuit(connection, name)
        if retry_at := circuit.reopens_at(context.now):
            raise CircuitOpen(f"the service of `{name}` does not answer: {circuit.reason}", retry_at)
        if (probe := circuit.with_probe(context.now)) != circuit:
            await agents.save_circuit(connection, probe)
    return circuit


async def _record_outcome(context: SendContext, name: str, failure: str | None) -> None:
    async with context.database.transaction() as connection:
        circuit = await agents.lock_circuit(connection, name)
        updated = circuit.record_success() if failure is None else circuit.record_failure(context.now, failure)
        if updated != circuit:
            await agents.save_circuit(connection, updated)
