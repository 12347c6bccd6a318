"""Defines what every alert channel receives, and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

TIMEOUT: Final = 10.0  # seconds, of one delivery in all


@dataclass(frozen=True, slots=True)
class Message:
    """One message, the same for every channel. All texts are cleaned.

    `text`, `attempted` and `suggestions` are Markdown.
    """

    key: str  # the same message again has the same key
    repository: str
    number: int  # of the task; 0: of the repository as a whole
    title: str
    text: str
    url: str
    since: datetime
    sent_at: datetime
    attempted: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    people: tuple[str, ...] = ()


class DeliveryFailed(ConnectionError):
    """It could not be delivered now; it is tried again. The text holds no address and no secret."""


class Busy(DeliveryFailed):
    """The service asks to come back later."""

    def __init__(self, reason: str, retry_after: timedelta) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class DeliveryRejected(Exception):
    """The service refuses it permanently: a person must act."""


class ChannelNotConfigured(DeliveryRejected):
    """The operator has not configured the channel."""


class Channel(Protocol):
    """A way to people."""

    async def send(self, message: Message) -> None:
        """Deliver it, within `TIMEOUT`. Raises `DeliveryFailed` (try again) or `DeliveryRejected` (do not)."""
