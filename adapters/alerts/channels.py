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

    configured: Mapping[str, Channel] = field(default_factory=dict)
    timeout_seconds: float = TIMEOUT  # seconds

    async def send(self, channel_name: str, message: Message) -> None:
        """Deliver a message. Raises `ChannelNotConfigured`, `DeliveryFailed` (also a timeout), `Busy` or
        `DeliveryRejected`.
        """
        if channel_name not in self.configured:
            settings = _SETTINGS.get(channel_name, "it up")
            raise ChannelNotConfigured(
                f"the channel `{channel_name}` is not configured on this service: "
                f"set {settings}, then send the message again"
            )
        try:
            async with asyncio.timeout(self.timeout_seconds):
                await self.configured[channel_name].send(message)
        except TimeoutError:
            raise DeliveryFailed(f"{channel_name} did not answer within {self.timeout_seconds:g} s") from None
