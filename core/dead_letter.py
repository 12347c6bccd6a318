"""What was given up: a person has to look, and everybody may know."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An effect that could not be sent, or a delivery that could not be handled or never came."""

    which: str  # by which it is sent again: a number for an effect, the GUID of a delivery
    what: str  # one line: what it was about
    number: int | None  # of the task or issue, if it is one's
    tries: int
    error: str
    at: datetime  # when it was wanted, or came
    repository: str = ""
