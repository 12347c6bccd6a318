"""Sends alerts by e-mail through the operator's SMTP server."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Literal

import aiosmtplib
from pydantic import SecretStr

from adapters.alerts.base import TIMEOUT, DeliveryFailed, DeliveryRejected, Message
from core.text_safety.sanitize import mask_secrets, one_line

Encryption = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class Mail:
    """The channel `email`."""

    host: str
    port: int
    sender: str
    recipients: Sequence[str]
    encryption: Encryption = "starttls"
    user: str | None = None
    password: SecretStr | None = None
    tls_context: ssl.SSLContext | None = None  # None: what the machine trusts

    async def send(self, message: Message) -> None:
        """Send one mail to all. The same message has the same Message-ID, so that mail programs show it once."""
        try:
            await aiosmtplib.send(
                build_mail(message, self.sender, self.recipients),
                sender=self.sender,
                recipients=list(self.recipients),
                hostname=self.host,
                port=self.port,
                username=self.user,
                password=self.password.get_secret_value() if self.password else None,
                use_tls=self.encryption == "tls",
                start_tls=self.encryption == "starttls",
                tls_context=self.tls_context if self.encryption != "none" else None,
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPAuthenticationError as error:
            raise DeliveryRejected(_error_text(error)) from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(500 <= refusal.code < 600 for refusal in error.recipients):
                raise DeliveryRejected(_error_text(error)) from None
            raise DeliveryFailed(_error_text(error)) from None
        except aiosmtplib.SMTPResponseException as error:
            if 500 <= error.code < 600:
                raise DeliveryRejected(_error_text(error)) from None
            raise DeliveryFailed(_error_text(error)) from None
        except (aiosmtplib.SMTPException, OSError) as error:
            raise DeliveryFailed(_error_text(error)) from None


def _error_text(error: Exception) -> str:
    return f"the mail server: {one_line(mask_secrets(str(error) or type(error).__name__), 200)}"


def build_mail(message: Message, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The message as plain text."""
    mail = EmailMessage()
    mail["Subject"] = message.title
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = format_datetime(message.sent_at)
    message_id = hashlib.sha256(f"{message.repository} {message.key}".encode()).hexdigest()[:32]
    mail["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # so that no out-of-office reply is sent
    parts = [message.text]
    if message.attempted:
        parts.append("Tried so far:\n" + "\n".join(f"- {line}" for line in message.attempted))
    if message.suggestions:
        parts.append(
            "What you can do:\n"
            + "\n".join(f"{position}. {step}" for position, step in enumerate(message.suggestions, 1))
        )
    if message.people:
        parts.append(f"Notified: {', '.join(message.people)}; waiting since {message.since:%Y-%m-%d %H:%M} UTC")
    if message.url:
        parts.append(message.url)
    mail.set_content("\n\n".join(parts) + "\n")
    return mail
