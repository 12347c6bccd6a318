"""Defines what `/metrics` shows. Values stored in the database are counted there, so that all replicas agree."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import agents as kept
from adapters.database import attempts, dead_letters, rate_limits, redeliveries, repositories
from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.task_state import task_field
from core.assignment.agent_state import AgentState
from core.assignment.stats import AttemptStats, quantile
from core.audit.events import EventType
from core.circuit_breaker import CircuitState
from core.effects.base import Effect, Escalate, Notify, StartAgent
from core.effects.priority import SendPriority
from core.rate_limits import RateLimits, RateLimitState, remaining
from core.stall.model import StallCause
from core.task.model import Status
from engine.agent_states import load_agents

# Milliseconds; the target for the 95th percentile is 1,000, the limit 5,000.
LATENCY_BUCKETS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000)
FAILOVER_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)  # seconds; the target is 5, the limit 10
ESCALATION_BUCKETS = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 7200)  # seconds; the target is 60, the limit 300
_AGENT_METRICS = {  # of the latest attempts of each agent; one of which nothing is known has none
    "orchestrator_agent_attempts": "Ended attempts, of the latest ones",
    "orchestrator_agent_error_rate": "Share of these that count against the agent, 0 to 1",
    "orchestrator_agent_first_pass_rate": "Share of the attempts with checks whose first checks passed, 0 to 1",
    "orchestrator_agent_rework": "Attempts for each one that was merged",
    "orchestrator_agent_completion_seconds_median": "Time from assignment to pull request",
    "orchestrator_agent_completion_seconds_p90": "Time from assignment to pull request, 90th percentile",
}
LATENCY_WINDOW = 1000  # assignments that the percentile looks back on


class _StoredCounters(Collector):
    """Counters whose values the database knows, so that every replica shows the same."""

    def __init__(self, documentation: Mapping[str, str]) -> None:
        """`documentation` by the name that is shown, which ends in `_total`."""
        self._documentation = documentation
        self.values: Mapping[str, float] = {}

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield each counter that has a value."""
        for name, text in self._documentation.items():
            if name in self.values:
                yield CounterMetricFamily(name.removesuffix("_total"), text, value=self.values[name])


class Metrics:
    """Counts of this process, and gauges read from the database when asked."""

    def __init__(self, limits: RateLimits) -> None:
        """Every bot has a registry of its own, so that several can live in one process. `limits` are GitHub's."""
        self.limits = limits
        self.registry = CollectorRegistry()
        self.recent_latencies_ms: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self.assignment_latency = Histogram(
            "assignment_latency_ms",
            "Time from the event that made an assignment possible to the accepted start of the agent",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.failover_duration = Histogram(
            "orchestrator_failover_seconds",
            "Time from an agent's failure to the accepted start of the next one, including the wait for a free agent",
            buckets=FAILOVER_BUCKETS,
            registry=self.registry,
        )
        self.escalation_duration = Histogram(
            "orchestrator_escalation_seconds",
            "Time from the cause of a call for a person to its delivery, by channel; later calls count from the "
            "missed deadline",
            ["channel"],
            buckets=ESCALATION_BUCKETS,
            registry=self.registry,
        )
        self.agents_by_state = Gauge(
            "orchestrator_agents_by_state",
            "Agents that are available, busy, in error or offline",
            ["repository", "state"],
            registry=self.registry,
        )
        self.circuit_breaker_open = Gauge(
            "orchestrator_circuit_breaker_open",
            "1 while the circuit breaker of a service is open, 0 when the service failed lately but is called",
            ["circuit"],
            registry=self.registry,
        )
        self.agent_gauges = {
            name: Gauge(name, text, ["repository", "agent"], registry=self.registry)
            for name, text in _AGENT_METRICS.items()
        }
        self.github_requests = Counter(
            "orchestrator_github_requests",
            "Calls to GitHub by operation and status",
            ["operation", "status"],
            registry=self.registry,
        )
        self.rate_limit_remaining = Gauge(
            "orchestrator_github_rate_limit_remaining",
            "What is left of GitHub's limits for all replicas together: requests by resource, points, content",
            ["credential", "limit"],
            registry=self.registry,
        )
        self.cache_hits = Counter(
            "orchestrator_github_cache_hits",
            "Reads that cost nothing because they were shared or unchanged",
            ["how"],
            registry=self.registry,
        )
        self.throttled_requests = Counter(
            "orchestrator_github_throttled",
            "Calls delayed to stay within GitHub's limits",
            ["lane"],
            registry=self.registry,
        )
        self.effects_sent = Counter(
            "orchestrator_effects_sent", "Effects sent, by kind", ["kind"], registry=self.registry
        )
        gauges = {
            "queue_depth": "Tasks that are ready and wait for an agent",
            "active_tasks": "Tasks in progress or in review",
            "task_completion_rate": "Share of finished tasks that are done, 0 to 1",
            "error_rate": "Share of finished attempts that failed, 0 to 1",
            "p95_assignment_latency_ms": "95th percentile of the latest assignments",
            "orchestrator_outbox_depth": "Effects that wait to be sent",
            "orchestrator_escalations_open": "Open calls for a person",
            "orchestrator_oldest_delivery_seconds": "Age of the oldest delivery that is not handled",
            "orchestrator_webhooks_undelivered": "Webhooks that GitHub could not deliver; the bot asks for them again",
            "orchestrator_webhooks_undelivered_retried": "Of these, the deliveries asked for more than once",
            "orchestrator_webhook_redelivery_requests": "Requests for redelivery in the last seven days",
            "orchestrator_delivery_log_lag_seconds": "Time since GitHub's log of deliveries was last read to its end",
        }
        self.gauges = {name: Gauge(name, text, registry=self.registry) for name, text in gauges.items()}
        self.dead_letters = Gauge(
            "orchestrator_dead_letters",
            "What failed for good, by kind; `orchestrator dead-letters` lists it",
            ["kind"],
            registry=self.registry,
        )
        self.stored_counters = _StoredCounters(
            {
                "reassignments_total": "Reassigned tasks",
                "conflicts_total": "Conflicts found",
            }
        )
        self.registry.register(self.stored_counters)
        self.stalled_tasks = Gauge(
            "orchestrator_stalled_tasks",
            "Stalled tasks, by cause",
            ["cause"],
            registry=self.registry,
        )
        self.heartbeat_age = Gauge(
            "agent_heartbeat_age_seconds",
            "Time since the last sign of life of a working agent",
            ["repository", "agent"],
            registry=self.registry,
        )

    def on_request(self, operation: str, status: int) -> None:
        """One call to GitHub has ended."""
        self.github_requests.labels(operation, str(status)).inc()

    def on_cache_hit(self, reason: str) -> None:
        """A read cost no full answer."""
        self.cache_hits.labels(reason).inc()

    def on_throttled(self, priority: SendPriority) -> None:
        """A call was held back."""
        self.throttled_requests.labels(priority.name.lower()).inc()

    def on_sent(self, effect: Effect, now: datetime) -> None:
        """An effect is in the world."""
        self.effects_sent.labels(type(effect).__name__).inc()
        if isinstance(effect, StartAgent):
            ms = max(0.0, (now - effect.since).total_seconds() * 1000)
            self.assignment_latency.observe(ms)
            self.recent_latencies_ms.append(ms)
            if effect.lost_at:
                self.failover_duration.observe(max(0.0, (now - effect.lost_at).total_seconds()))
        if isinstance(effect, Escalate):
            self.escalation_duration.labels("github").observe(max(0.0, (now - effect.since).total_seconds()))
        if isinstance(effect, Notify) and effect.escalation_key:
            self.escalation_duration.labels(effect.channel).observe(max(0.0, (now - effect.since).total_seconds()))

    async def render(self, database: Database, now: datetime) -> bytes:
        """The page, in Prometheus's text format."""
        await self._collect(database, now)
        return generate_latest(self.registry)

    async def _collect(self, database: Database, now: datetime) -> None:
        async with database.autocommit() as connection:
            statuses = await connection.execute(select(t.tasks.c.status, func.count()).group_by(t.tasks.c.status))
            by_status: dict[str, int] = dict(statuses.all())
            types = await connection.execute(select(t.events.c.type, func.count()).group_by(t.events.c.type))
            by_type: dict[str, int] = dict(types.all())
            effects = await connection.execute(
                select(t.outbox.c.state, func.count()).where(t.outbox.c.state != "done").group_by(t.outbox.c.state)
            )
            by_state: dict[str, int] = dict(effects.all())
            _, dead_messages, dead_deliveries = await dead_letters.count_dead_letters(connection)
            open_escalations_query = select(func.count()).where(t.escalations.c.ended_at.is_(None))
            open_escalations = (await connection.execute(open_escalations_query)).scalar_one()
            oldest_result = await connection.execute(
                select(func.min(t.deliveries.c.received_at)).where(t.deliveries.c.handled_at.is_(None))
            )
            oldest_at = oldest_result.scalar_one_or_none()
            leases_result = await connection.execute(
                select(t.repositories.c.full_name, task_field("lease"))
                .join(t.repositories, t.repositories.c.id == t.tasks.c.repository_id)
                .where(t.tasks.c.status == Status.IN_PROGRESS.value)
            )
            leases = leases_result.all()
            cause = task_field("stall", "cause").astext
            stall_rows = await connection.execute(
                select(cause, func.count())
                .where(t.tasks.c.status.in_([Status.IN_PROGRESS.value, Status.REVIEW.value]), cause.is_not(None))
                .group_by(cause)
            )
            stalled: dict[str, int] = dict(stall_rows.all())
            # What was sent back because its agent takes no work now, or by a person, has not failed.
            excused_result = await connection.execute(
                select(func.count()).where(
                    t.events.c.type == EventType.TASK_SENT_BACK,
                    t.events.c.payload["outcome"].astext.in_(["unavailable", "released"]),
                )
            )
            excused_count = excused_result.scalar_one()
            webhook_figures = await redeliveries.load_metrics(connection, now)
            await self._collect_agents(connection, now)
            self._set_rate_limits(await rate_limits.load_all(connection), now.timestamp())
        done_tasks, failed_tasks = by_status.get(Status.DONE, 0), by_status.get(Status.FAILED, 0)
        failed_attempts, completed_attempts = (
            by_type.get(EventType.TASK_SENT_BACK, 0) - excused_count,
            by_type.get(EventType.TASK_COMPLETED, 0),
        )
        values = {
            "queue_depth": by_status.get(Status.READY, 0),
            "active_tasks": by_status.get(Status.IN_PROGRESS, 0) + by_status.get(Status.REVIEW, 0),
            "task_completion_rate": done_tasks / (done_tasks + failed_tasks) if done_tasks + failed_tasks else 0,
            "error_rate": failed_attempts / (failed_attempts + completed_attempts)
            if failed_attempts + completed_attempts
            else 0,
            "p95_assignment_latency_ms": quantile(self.recent_latencies_ms, 0.95) or 0.0,
            "orchestrator_outbox_depth": by_state.get("pending", 0),
            "orchestrator_escalations_open": open_escalations,
            "orchestrator_oldest_delivery_seconds": (now - oldest_at).total_seconds() if oldest_at else 0,
            "orchestrator_webhooks_undelivered": webhook_figures["deliveries_missing"],
            "orchestrator_webhooks_undelivered_retried": webhook_figures["deliveries_missing_repeatedly"],
            "orchestrator_webhook_redelivery_requests": webhook_figures["redeliveries_asked"],
            "orchestrator_delivery_log_lag_seconds": webhook_figures["delivery_log_behind_seconds"],
        }
        for name, value in values.items():
            self.gauges[name].set(value)
        self.stored_counters.values = {
            "reassignments_total": by_type.get(EventType.TASK_REASSIGNED, 0),
            "conflicts_total": by_type.get(EventType.CONFLICT_DETECTED, 0),
        }
        letters = {
            "notification": dead_messages,
            "effect": by_state.get("dead", 0),
            "delivery": dead_deliveries,
            "webhook": webhook_figures["deliveries_given_up"],
        }
        for kind, count in letters.items():
            self.dead_letters.labels(kind).set(count)
        self.stalled_tasks.clear()
        for stall_cause in StallCause:
            self.stalled_tasks.labels(stall_cause.value).set(stalled.get(stall_cause, 0))
        self.heartbeat_age.clear()
        for repository, lease in leases:
            if lease:
                last_activity_at = datetime.fromisoformat(lease["last_activity_at"] or lease["since"])
                self.heartbeat_age.labels(repository, lease["agent"]).set((now - last_activity_at).total_seconds())

    def _set_rate_limits(self, budgets_by_credential: Mapping[str, RateLimitState], now: float) -> None:
        self.rate_limit_remaining.clear()
        for credential, budget in budgets_by_credential.items():
            for limit, remaining_amount in remaining(budget, now, self.limits).items():
                self.rate_limit_remaining.labels(credential, limit).set(remaining_amount)

    async def _collect_agents(self, connection: AsyncConnection, now: datetime) -> None:
        self.agents_by_state.clear()
        for gauge in self.agent_gauges.values():
            gauge.clear()
        stats_by_agent = await attempts.all_stats(connection, now)
        for row in await repositories.list_configured(connection):
            for name in row.config.agents if row.config else ():
                if stats := stats_by_agent.get((row.id, name)):
                    self._set_agent_metrics(row.full_name, name, stats)
            counts = dict.fromkeys(AgentState, 0)
            for agent in await load_agents(connection, row, now):
                counts[agent.availability.state] += 1
            for state, count in counts.items():
                self.agents_by_state.labels(row.full_name, state.value).set(count)
        self.circuit_breaker_open.clear()
        for name, circuit in (await kept.load_circuits(connection)).items():
            self.circuit_breaker_open.labels(name).set(circuit.state(now) is CircuitState.OPEN)

    def _set_agent_metrics(self, repository: str, agent: str, stats: AttemptStats) -> None:
        values = {
            "orchestrator_agent_attempts": stats.attempts,
            "orchestrator_agent_error_rate": stats.error_rate,
            "orchestrator_agent_first_pass_rate": stats.first_pass_rate,
            "orchestrator_agent_rework": stats.rework,
            "orchestrator_agent_completion_seconds_median": None
            if stats.median is None
            else stats.median.total_seconds(),
            "orchestrator_agent_completion_seconds_p90": _seconds(stats.p90),
        }
        for name, value in values.items():
            if value is not None:
                self.agent_gauges[name].labels(repository, agent).set(value)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
