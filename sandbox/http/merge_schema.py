"""One description laid over another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge(whole: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Put what `more` has into `whole`, object by object."""
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(whole.get(key), dict):
            merge(whole[key], value)
        else:
            whole[key] = value
