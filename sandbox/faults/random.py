"""Faults at random, by a seed: how GitHub and the network behave on a bad day, for as long as it lasts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import get_args

from sandbox.faults.rules import ResponseFault, ResponseRule

# A disabled feature is no weather, and 429 is the same as the other secondary limit.
RESPONSE_FAULTS: tuple[ResponseFault, ...] = tuple(
    kind for kind in get_args(ResponseFault) if kind not in ("429", "410-disabled")
)


@dataclass(slots=True)
class RandomFaults:
    """Shares are from 0 to 1. Put it into `hub.faults.weather`; None there is fair weather.

    `dropped` and `repeated` are shares of deliveries, each copy of which leaves up to `shuffled` seconds of the
    sandbox's clock late; `failing` is the share of an App's calls that are answered by one of `ANSWERS`, where a
    secondary limit asks for up to `patience` seconds. `counts` is what happened, by kind.
    """

    random: Random
    drop_rate: float = 0.0
    duplicate_rate: float = 0.0
    max_delay_seconds: float = 0.0
    error_rate: float = 0.0
    max_retry_after_seconds: int = 60
    counts: Counter[str] = field(default_factory=Counter)

    def delivery_delays(self) -> list[float]:
        """By how many seconds each copy of the next delivery is late; none: it is lost."""
        if self.random.random() < self.drop_rate:
            self.counts["dropped"] += 1
            return []
        copies = 1
        if self.random.random() < self.duplicate_rate:
            self.counts["repeated"] += 1
            copies = 2
        return [self.random.uniform(0, self.max_delay_seconds) for _ in range(copies)]

    def next_response_fault(self, operation: str, path: str) -> ResponseRule | None:
        """What goes wrong with the next call, if anything."""
        if self.random.random() >= self.error_rate:
            return None
        kind = self.random.choice(RESPONSE_FAULTS)
        if kind == "301-moved" and not path.startswith("/repos/"):
            kind = "502-not-done"  # only what is below a repository can move with it
        self.counts[kind] += 1
        seconds = float(self.random.randint(1, self.max_retry_after_seconds)) if kind == "403-secondary" else None
        return ResponseRule(operation, kind, seconds, 1)
