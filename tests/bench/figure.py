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
    hard_limit: float | None = None
    details: dict[str, Any] = field(default_factory=dict)  # the circumstances it was measured in
    at_least: bool = False  # the target is the least that is wanted, not the most

    @property
    def is_on_target(self) -> bool:
        """Whether the target is reached."""
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target

    def to_json(self) -> str:
        """The line that is printed."""
        limit_fields = (
            {}
            if self.hard_limit is None
            else {"must": f"<= {self.hard_limit:g}", "must_holds": self.value <= self.hard_limit}
        )
        fields: dict[str, Any] = {"figure": self.name, "value": round(self.value, 3), "unit": self.unit}
        if self.target is not None:
            fields |= {"target": f"{'>=' if self.at_least else '<='} {self.target:g}", "holds": self.is_on_target}
        return json.dumps({**fields, **limit_fields, **self.details})
