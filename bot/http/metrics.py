"""Counts what `/metrics` shows about accepting deliveries."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from bot.http.admission import AdmissionControl


class IntakeMetrics:
    """Counts and gauges of the endpoint, apart from the others because it may be a process of its own."""

    def __init__(self, admission: AdmissionControl) -> None:
        """Every endpoint has a registry of its own."""
        self._admission = admission
        self._registry = CollectorRegistry()
        self.deliveries = Counter(
            "orchestrator_deliveries",
            "Webhook deliveries by event and outcome",
            ["event", "outcome"],
            registry=self._registry,
        )
        self.rejected = Counter(
            "orchestrator_deliveries_rejected",
            "Deliveries answered 503, by the limit that was reached",
            ["reason"],
            registry=self._registry,
        )
        gauges = {
            "orchestrator_memory_usage_mb": "Resident memory of the bot: the working and the receiving process",
            "orchestrator_memory_peak_bytes": "Sum of the peak resident memory of both processes",
            "orchestrator_memory_limit_mb": "Above this, new deliveries are answered 503",
            "orchestrator_deliveries_waiting": "Deliveries not handled yet, counted up to the limit",
            "orchestrator_deliveries_in_flight": "Deliveries in progress",
            "orchestrator_request_body_bytes": "Bytes of the bodies of deliveries in memory",
        }
        self._gauges = {name: Gauge(name, text, registry=self._registry) for name, text in gauges.items()}

    def render(self) -> bytes:
        """Its part of the page, in Prometheus's text format."""
        admission = self._admission
        values = {
            "orchestrator_memory_usage_mb": admission.memory_mb(),
            "orchestrator_memory_peak_bytes": admission.peak_memory_mb() * 1024 * 1024,
            "orchestrator_memory_limit_mb": admission.limits.memory_mb,
            "orchestrator_deliveries_waiting": admission.queued_deliveries,
            "orchestrator_deliveries_in_flight": admission.active_requests,
            "orchestrator_request_body_bytes": admission.buffered_bytes,
        }
        for name, value in values.items():
            self._gauges[name].set(value)
        return generate_latest(self._registry)
