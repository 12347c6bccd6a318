"""The fault plan: planned faults, each used up when it happens.

    hub.faults.drop("issues", "opened")                    # GitHub could not deliver that webhook
    hub.faults.duplicate("issue_comment")                  # the same delivery, same GUID, twice
    hub.faults.delay("check_suite", seconds=30)            # by the sandbox's clock
    hub.faults.reorder(3)                                  # holds the next three and sends them reversed
    hub.faults.fail_response("issues/create-comment", "500-done")  # does it, and answers 500

All but `reorder` take `times`. `random_faults` holds faults at random (`sandbox.faults.random`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from sandbox.faults.random import RandomFaults
from sandbox.faults.rules import DeliveryFault, ResponseFault, ResponseRule


@dataclass(slots=True)
class _DeliveryRule:
    kind: DeliveryFault
    event: str | None
    action: str | None
    seconds: float
    remaining: int


@dataclass(slots=True)
class FaultPlan:
    """Faults that are still to come."""

    _delivery_rules: list[_DeliveryRule] = field(default_factory=list)
    _response_rules: list[ResponseRule] = field(default_factory=list)
    reorder_count: int = 0
    random_faults: RandomFaults | None = None

    def drop(self, event: str | None = None, action: str | None = None, *, times: int = 1) -> None:
        """The next deliveries (of that event and action) fail: logged, not delivered, not tried again."""
        self._delivery_rules.append(_DeliveryRule("drop", event, action, 0, times))

    def duplicate(self, event: str | None = None, action: str | None = None, *, times: int = 1) -> None:
        """The next deliveries arrive twice, with the same GUID."""
        self._delivery_rules.append(_DeliveryRule("duplicate", event, action, 0, times))

    def delay(self, event: str | None = None, action: str | None = None, *, seconds: float, times: int = 1) -> None:
        """The next deliveries leave so many seconds of the sandbox's clock later; others overtake them."""
        self._delivery_rules.append(_DeliveryRule("delay", event, action, seconds, times))

    def reorder(self, count: int) -> None:
        """Hold the next `count` deliveries and send them in reversed order after the last."""
        if count < 2:
            raise ValueError("reordering takes at least two deliveries")
        self.reorder_count = count

    def fail_response(
        self, operation: str, kind: ResponseFault, *, times: int = 1, seconds: float | None = None
    ) -> None:
        """The next requests of an operation (`issues/create-comment`, `graphql`) fail.

        `…-done` performs the operation before it fails, `…-not-done` does not. `hang` closes the connection
        without an answer: after `seconds` of the sandbox's clock, at once when None. For `403-secondary` and
        `429`, `seconds` is the Retry-After (default 60). Raises ValueError for an unknown kind.
        """
        if kind not in get_args(ResponseFault):
            raise ValueError(f"unknown fault {kind!r}; there are {', '.join(get_args(ResponseFault))}")
        self._response_rules.append(ResponseRule(operation, kind, seconds, times))

    def clear(self) -> None:
        """Remove all faults."""
        self._delivery_rules.clear()
        self._response_rules.clear()
        self.reorder_count = 0
        self.random_faults = None

    def take_delivery_fault(self, event: str, action: str | None) -> tuple[DeliveryFault, float] | None:
        """Use up the first fault that fits this delivery: its kind and seconds."""
        for rule in self._delivery_rules:
            if rule.event in (None, event) and rule.action in (None, action):
                rule.remaining -= 1
                if rule.remaining == 0:
                    self._delivery_rules.remove(rule)
                return rule.kind, rule.seconds
        return None

    def take_response_fault(self, operation: str) -> ResponseRule | None:
        """Use up the first fault that fits this operation."""
        for rule in self._response_rules:
            if rule.operation == operation:
                rule.remaining -= 1
                if rule.remaining == 0:
                    self._response_rules.remove(rule)
                return rule
        return None
