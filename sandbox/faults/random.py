"""Faults at random, by a seed: how GitHub and the network behave on a bad day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import get_args

from sandbox.faults.rules import ResponseFault, ResponseRule

# A disabled feature does not happen at random, and 429 is the same as the other secondary limit.
RESPONSE_FAULTS: tuple[ResponseFault, ...] = tuple(
    kind for kind in get_args(ResponseFault) if kind not in ("429", "410-disabled")
)


@dataclass(slots=True)
class RandomFaults:
    """Random faults of deliveries and responses, for `hub.faults.random_faults`. Rates are from 0 to 1.

    `drop_rate` and `duplicate_rate` apply to deliveries, each copy of which is sent up to `max_delay_seconds` of the
    sandbox's clock late. `error_rate` applies to an App's calls, which fail with one of `RESPONSE_FAULTS`; a secondary
    limit asks for up to `max_retry_after_seconds`. `counts` has the faults so far, by kind.
    """

    random: Random
    drop_rate: float = 0.0
    duplicate_rate: float = 0.0
    max_delay_seconds: float = 0.0
    error_rate: float = 0.0
    max_retry_after_seconds: int = 60
    counts: Counter[str] = field(default_factory=Counter)

    def delivery_delays(self) -> list[float]:
        """The delay of each copy of the next delivery, in seconds; an empty list drops it."""
        if self.random.random() < self.drop_rate:
            self.counts["dropped"] += 1
            return []
        copies = 1
        if self.random.random() < self.duplicate_rate:
            self.counts["repeated"] += 1
            copies = 2
        return [self.random.uniform(0, self.max_delay_seconds) for _ in range(copies)]

    def next_response_fault(self, operation: str, path: str) -> ResponseRule | None:
        """The fault of the next call, or None."""
        if self.random.random() >= self.error_rate:
            return None
        kind = self.random.choice(RESPONSE_FAULTS)
        if kind == "301-moved" and not path.startswith("/repos/"):
            kind = "502-not-done"  # only paths below a repository can move
        self.counts[kind] += 1
        seconds = float(self.random.randint(1, self.max_retry_after_seconds)) if kind == "403-secondary" else None
        return ResponseRule(operation, kind, seconds, 1)
