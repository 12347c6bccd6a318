"""Channels besides GitHub by which people are called: a webhook, Slack, e-mail, the log.

Where each one leads is set by whoever runs the service; a repository only names them.
"""

from adapters.alerts.base import Busy, Channel, ChannelNotConfigured, DeliveryFailed, Message, Refused
from adapters.alerts.channels import Channels
from adapters.alerts.log import Log
from adapters.alerts.mail import Mail
from adapters.alerts.slack import Slack
from adapters.alerts.webhook import SIGNATURE, TIMESTAMP, Webhook, signature

__all__ = [
    "SIGNATURE",
    "TIMESTAMP",
    "Busy",
    "Channel",
    "ChannelNotConfigured",
    "Channels",
    "DeliveryFailed",
    "Log",
    "Mail",
    "Message",
    "Refused",
    "Slack",
    "Webhook",
    "signature",
]
