"""Implements alert channels besides GitHub: a webhook, Slack, e-mail, the log.

The operator configures each address; a repository only names channels.
"""

from adapters.alerts.base import Busy, Channel, ChannelNotConfigured, DeliveryFailed, DeliveryRejected, Message
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
    "DeliveryRejected",
    "Log",
    "Mail",
    "Message",
    "Slack",
    "Webhook",
    "signature",
]
