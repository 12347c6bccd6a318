"""Workflows as the API lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sandbox.state.models import Repository


@dataclass(eq=False, slots=True)
class Workflow:
    """A workflow as the API lists it; its id remains while its file changes."""

    id: int
    repository: Repository
    path: str
    name: str
    created_at: datetime
    updated_at: datetime
    state: str = "active"
    runs: int = 0
