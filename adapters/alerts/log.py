"""Writes alerts to the service's log, for operators who watch it and for tests."""

from __future__ import annotations

import structlog

from adapters.alerts.base import Message

log = structlog.get_logger()


class Log:
    """The channel `log`."""

    async def send(self, message: Message) -> None:
        """One warning."""
        log.warning(
            "person_needed",
            repository=message.repository,
            task=message.number,
            title=message.title,
            reason=message.text,
            people=list(message.people),
            since=message.since.isoformat(),
            url=message.url,
        )
