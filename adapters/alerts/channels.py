"""Lists the alert channels of this service, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.alerts.base import TIMEOUT, Channel, ChannelNotConfigured, DeliveryFailed, Message

_SETTINGS = {
    "webhook": "ALERT_WEBHOOK_URL and ALERT_WEBHOOK_SECRET",
    "slack": "ALERT_SLACK_URL",
    "email": "SMTP_HOST, ALERT_EMAIL_FROM and ALERT_EMAIL_TO",
}


@dataclass(frozen=True, slots=True)
class Channels:
    """Those that are set up."""

    there: Mapping[str, Channel] = field(default_factory=dict)
    timeout: float = TIMEOUT  # seconds

    async def send(self, channel: str, message: Message) -> None:
        """Deliver a message. Raises `ChannelNotConfigured`, `DeliveryFailed` (also a timeout), `Busy` or `Refused`."""
        if channel not in self.there:
            wanted = _SETTINGS.get(channel, "it up")
            raise ChannelNotConfigured(
                f"the channel `{channel}` is not configured on this service: set {wanted}, then send the message again"
            )
        try:
            async with asyncio.timeout(self.timeout):
                await self.there[channel].send(message)
        except TimeoutError:
            raise DeliveryFailed(f"{channel} did not answer within {self.timeout:g} s") from None
