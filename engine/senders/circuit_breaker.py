"""Calls to agents go through the circuit breaker of the service behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp

from adapters.agents import CannotStart, Unavailable
from adapters.database import agents
from adapters.github.errors import GitHubError, Transient, UnknownOutcome
from config.agent_kinds import AgentBase
from core.circuit_breaker import Circuit, name_of
from core.circuit_breaker import CircuitOpen as CircuitOpen
from core.text_safety.sanitize import mask_secrets, one_line
from engine.senders.context import SendContext

Answer = TypeVar("Answer")


def is_outage(error: Exception) -> bool | None:
    """Whether a failed call says that the service is down; None when it says nothing of the service at all.

    A refusal is an answer: a service that says that a key is wrong, or that there is no credit left, is up.
    """
    if isinstance(error, GitHubError | CannotStart | Unavailable):
        return isinstance(error, Transient | UnknownOutcome)
    return True if isinstance(error, OSError | aiohttp.ClientError) else None


async def call_with_breaker(errand: SendContext, spec: AgentBase, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer of a call to the agent's service.

    Raises `CircuitOpen`, without calling, while the circuit is open, and whatever the call raises.
    """
    name = name_of(spec)
    async with errand.database.autocommit() as connection:
        circuit = (await agents.load_circuits(connection)).get(name, Circuit(name))
    if circuit != Circuit(name):
        circuit = await _enter(errand, name)
    try:
        answer = await call()
    except Exception as error:
        outage = is_outage(error)
        if outage is not None:
            reason = one_line(mask_secrets(str(error) or type(error).__name__), 200)
            await _learn(errand, name, reason if outage else None)
        raise
    if circuit.failures:
        await _learn(errand, name, None)
    return answer


async def _enter(errand: SendContext, name: str) -> Circuit:
    """The circuit, if it lets a call through; of many that ask at once it may be one alone, to try."""
    async with errand.database.transaction() as connection:
        circuit = await agents.lock_circuit(connection, name)
        if until := circuit.reopens_at(errand.now):
            raise CircuitOpen(f"the service of `{name}` does not answer: {circuit.reason}", until)
        if (probe := circuit.with_probe(errand.now)) != circuit:
            await agents.save_circuit(connection, probe)
    return circuit


async def _learn(errand: SendContext, name: str, failure: str | None) -> None:
    async with errand.database.transaction() as connection:
        circuit = await agents.lock_circuit(connection, name)
        after = circuit.succeeded() if failure is None else circuit.failed(errand.now, failure)
        if after != circuit:
            await agents.save_circuit(connection, after)
