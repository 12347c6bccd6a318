"""The four states of an agent, and its circuit breaker."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from config.agent_kinds import ActionsAgent, HttpAgent, PullAgent
from config.repository import Timeouts
from core.assignment.agent_state import AgentRecord, AgentState, agent_availability, backoff_delay
from core.circuit_breaker import (
    GITHUB_LIMITS,
    PROBE_TIMEOUT,
    SERVICE_LIMITS,
    CircuitBreaker,
    CircuitState,
    breaker_name,
)
from tests.builders import NOW

TIMES = Timeouts()
MINUTE = timedelta(minutes=1)


class TestCondition:
    def test_an_agent_of_which_nothing_is_known_is_available(self) -> None:
        assert agent_availability(AgentRecord(), NOW, TIMES).state is AgentState.AVAILABLE

    def test_idle_for_a_week_is_not_offline(self) -> None:
        idle = AgentRecord(seen_at=NOW - timedelta(days=7))
        assert agent_availability(idle, NOW, TIMES).state is AgentState.AVAILABLE

    def test_at_its_limit_it_is_busy(self) -> None:
        now = agent_availability(AgentRecord(), NOW, TIMES, active_tasks=2, max_tasks=2)
        assert (now.state, now.reason) == (AgentState.BUSY, "is at its limit of 2")

    def test_what_nothing_can_start_is_offline(self) -> None:
        now = agent_availability(AgentRecord(), NOW, TIMES, start_problem="cannot be started")
        assert (now.state, now.accepts_work, now.until) == (AgentState.OFFLINE, False, None)

    def test_it_cools_down_until_then_and_no_longer(self) -> None:
        cooling = AgentRecord(backoff_until=NOW + MINUTE, backoff_reason="out of credit")
        now = agent_availability(cooling, NOW, TIMES)
        assert (now.state, now.accepts_work, now.until) == (AgentState.BUSY, False, NOW + MINUTE)
        assert now.reason == "takes no work until 2026-03-02 09:01:00 UTC: out of credit"
        assert agent_availability(cooling, NOW + MINUTE, TIMES).state is AgentState.AVAILABLE

    def test_after_a_failure_it_is_left_alone_and_then_has_one_task_on_trial(self) -> None:
        failed = AgentRecord(last_failure_at=NOW, last_failure_reason="codex gave no sign of life", failures=1)
        now = agent_availability(failed, NOW + MINUTE, TIMES)
        assert (now.state, now.accepts_work, now.until) == (AgentState.ERROR, False, NOW + TIMES.ack)
        later = agent_availability(failed, NOW + TIMES.ack, TIMES)
        assert (later.state, later.accepts_work, later.on_probation) == (AgentState.ERROR, True, True)

    def test_a_sign_of_life_after_the_failure_ends_it(self) -> None:
        failed = AgentRecord(last_failure_at=NOW, failures=3, seen_at=NOW)
        assert failed.is_in_error
        back = replace(failed, seen_at=NOW + MINUTE)
        assert not back.is_in_error
        assert agent_availability(back, NOW + MINUTE, TIMES).state is AgentState.AVAILABLE

    def test_in_error_for_as_long_as_a_task_may_take_is_offline(self) -> None:
        failed = AgentRecord(seen_at=NOW - TIMES.attempt, last_failure_at=NOW, failures=1)
        assert agent_availability(failed, NOW, TIMES).state is AgentState.OFFLINE
        assert agent_availability(failed, NOW + TIMES.ack, TIMES).on_probation  # it still gets its chance

    def test_pauses_grow_up_to_a_limit(self) -> None:
        pauses = [backoff_delay(failures, TIMES) for failures in (1, 2, 3, 7, 1000)]
        assert pauses == [TIMES.ack, 2 * TIMES.ack, 4 * TIMES.ack, TIMES.stall, TIMES.stall]

    def test_an_open_circuit_is_an_error_and_a_half_open_one_a_trial(self) -> None:
        circuit = CircuitBreaker("http:cursor", 5, NOW, NOW + MINUTE, reason="answered 503")
        now = agent_availability(AgentRecord(), NOW, TIMES, breaker=circuit)
        assert (now.state, now.accepts_work, now.until) == (AgentState.ERROR, False, NOW + MINUTE)
        assert "answered 503" in now.reason
        later = agent_availability(AgentRecord(), NOW + MINUTE, TIMES, breaker=circuit)
        assert (later.state, later.accepts_work, later.on_probation) == (AgentState.ERROR, True, True)


def broken(name: str = "http:cursor") -> CircuitBreaker:
    """A circuit that has just opened."""
    circuit = CircuitBreaker(name)
    for _ in range(circuit.limits.failures):
        circuit = circuit.record_failure(NOW, "answered 503")
    return circuit


class TestCircuit:
    def test_it_opens_after_failures_in_a_row(self) -> None:
        circuit = CircuitBreaker("http:cursor")
        for _ in range(SERVICE_LIMITS.failures - 1):
            circuit = circuit.record_failure(NOW, "answered 503")
        assert (circuit.state(NOW), circuit.reopens_at(NOW)) == (CircuitState.CLOSED, None)
        circuit = circuit.record_failure(NOW, "answered 503")
        assert (circuit.state(NOW), circuit.reopens_at(NOW)) == (CircuitState.OPEN, NOW + SERVICE_LIMITS.pause)

    def test_a_success_resets_the_count(self) -> None:
        circuit = CircuitBreaker("http:cursor", failures=SERVICE_LIMITS.failures - 1, failed_at=NOW)
        assert circuit.record_success() == CircuitBreaker("http:cursor")

    def test_failures_far_apart_are_not_in_a_row(self) -> None:
        circuit = CircuitBreaker("http:cursor", failures=SERVICE_LIMITS.failures - 1, failed_at=NOW)
        assert circuit.record_failure(NOW + SERVICE_LIMITS.window + MINUTE, "answered 503").failures == 1

    def test_half_open_lets_one_call_through(self) -> None:
        later = NOW + SERVICE_LIMITS.pause
        circuit = broken()
        assert (circuit.state(later), circuit.reopens_at(later)) == (CircuitState.HALF_OPEN, None)
        probing = circuit.with_probe(later)
        assert probing.reopens_at(later) == later + PROBE_TIMEOUT
        assert probing.reopens_at(later + PROBE_TIMEOUT) is None  # the process that sent it has died

    def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_a_limit(self) -> None:
        circuit, now = broken(), NOW
        pauses = []
        for _ in range(8):
            assert circuit.open_until
            pauses.append(circuit.open_until - now)
            now = circuit.open_until
            circuit = circuit.with_probe(now).record_failure(now, "answered 503")
        assert pauses[:4] == [SERVICE_LIMITS.pause * factor for factor in (1, 2, 4, 8)]
        assert pauses[-1] == SERVICE_LIMITS.max_pause
        assert circuit.reopens_at(now) == now + SERVICE_LIMITS.max_pause

    def test_a_call_that_went_out_before_it_opened_says_nothing_new(self) -> None:
        assert broken().record_failure(NOW, "answered 500") == broken()

    def test_a_probe_that_succeeds_closes_it(self) -> None:
        later = NOW + SERVICE_LIMITS.pause
        assert broken().with_probe(later).record_success().state(later) is CircuitState.CLOSED

    def test_what_goes_through_github_opens_late_and_never_for_long(self) -> None:
        circuit = broken("actions")
        assert circuit.failures == GITHUB_LIMITS.failures > SERVICE_LIMITS.failures
        for _ in range(20):
            assert circuit.open_until
            circuit = circuit.record_failure(circuit.open_until, "answered 502")
        assert circuit.failed_at
        assert circuit.open_until == circuit.failed_at + GITHUB_LIMITS.max_pause

    @pytest.mark.parametrize(
        ("spec", "name"),
        [
            (ActionsAgent(adapter="actions", event="agent-task"), "actions"),
            (PullAgent(adapter="pull"), "pull"),
            (HttpAgent(adapter="http", preset="cursor"), "http:cursor"),
            (HttpAgent(adapter="http", url="https://agents.example.com:8443/work"), "http:agents.example.com"),
        ],
    )
    def test_its_name_is_the_service_behind_the_agent(self, spec: ActionsAgent, name: str) -> None:
        assert breaker_name(spec) == name
