"""The channels by which people are called, as the operator has set them up."""

from __future__ import annotations

import aiohttp

from adapters.alerts import Channel, Channels, Log, Mail, Slack, Webhook
from config.settings import Settings


def configured_channels(settings: Settings, http: aiohttp.ClientSession) -> Channels:
    """Those that have all they need; the others say so when they are used."""
    channels_by_name: dict[str, Channel] = {"log": Log()}
    if settings.alert_webhook_url and settings.alert_webhook_secret:
        channels_by_name["webhook"] = Webhook(http, settings.alert_webhook_url, settings.alert_webhook_secret)
    if settings.alert_slack_url:
        channels_by_name["slack"] = Slack(http, settings.alert_slack_url)
    if settings.smtp_host and settings.alert_email_from and settings.alert_email_to:
        channels_by_name["email"] = Mail(
            settings.smtp_host,
            settings.smtp_port,
            settings.alert_email_from,
            settings.alert_email_to,
            settings.smtp_encryption,
            settings.smtp_user,
            settings.smtp_password,
        )
    return Channels(channels_by_name)
