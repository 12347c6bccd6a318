"""Identifies who did something on GitHub."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """A user or bot on GitHub. The numeric id is the identity; the login is only for display."""

    id: int
    login: str
    is_bot: bool = False
