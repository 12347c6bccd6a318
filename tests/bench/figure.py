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
    target: float
    must: float | None = None
    how: dict[str, Any] = field(default_factory=dict)  # the circumstances it was measured in

    @property
    def holds(self) -> bool:
        """Whether the target is reached."""
        return self.value <= self.target

    def line(self) -> str:
        """The line that is printed."""
        must = {} if self.must is None else {"must": f"<= {self.must:g}", "must_holds": self.value <= self.must}
        told = {
            "figure": self.name,
            "value": round(self.value, 3),
            "unit": self.unit,
            "target": f"<= {self.target:g}",
            "holds": self.holds,
        }
        return json.dumps({**told, **must, **self.how})
