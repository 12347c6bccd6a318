"""Reads GitHub's API description for the sandboxes of the tests, once per process."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from sandbox import Contract

DATA = Path(__file__).parent / "data" / "github"


@cache
def contract() -> Contract:
    """GitHub's own description, read once."""
    return Contract.load(DATA)
