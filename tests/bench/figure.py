"""One figure of the benchmark: a line of JSON, with what it is to be held against."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value and its target; `must` is the weaker one that may not be missed."""

    name: str
    value: float
    unit: str
    target: float | None  # None: only to compare
    must: float | None = None
    how: dict[str, Any] = field(default_factory=dict)  # the circumstances it was measured in
    at_least: bool = False  # the target is the least that is wanted, not the most

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target

    def line(self) -> str:
        """The line that is printed."""
        must = {} if self.must is None else {"must": f"<= {self.must:g}", "must_holds": self.value <= self.must}
        told: dict[str, Any] = {"figure": self.name, "value": round(self.value, 3), "unit": self.unit}
        if self.target is not None:
            told |= {"target": f"{'>=' if self.at_least else '<='} {self.target:g}", "holds": self.holds}
        return json.dumps({**told, **must, **self.how})
