"""Sends alerts to Slack by an incoming webhook."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from pydantic import SecretStr

from adapters.alerts.base import Message
from adapters.alerts.http_post import post

_MAX_HEADER_LENGTH: Final = 150  # characters; Slack's limits
_MAX_SECTION_LENGTH: Final = 2900
_LINK: Final = re.compile(r"\[([^\]\[]{1,200})\]\((https?://[^\s()|<>]{1,1000})\)")


def escape_text(text: str) -> str:
    """Text in which Slack finds no mention, link or command: `<!channel>` is only read there."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_mrkdwn(markdown: str) -> str:
    """Our Markdown as Slack writes it: code is the same, links are not."""
    return _LINK.sub(r"<\2|\1>", escape_text(markdown))


def build_blocks(message: Message) -> dict[str, Any]:
    """The message in Slack's blocks, with a text for notifications."""
    sections = [to_mrkdwn(message.text)]
    if message.attempted:
        sections.append("*Tried so far*\n" + "\n".join(f"• {to_mrkdwn(line)}" for line in message.attempted))
    if message.suggestions:
        steps = "\n".join(f"{position}. {to_mrkdwn(step)}" for position, step in enumerate(message.suggestions, 1))
        sections.append(f"*What you can do*\n{steps}")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.title[:_MAX_HEADER_LENGTH], "emoji": False}},
        *(
            {"type": "section", "text": {"type": "mrkdwn", "text": text[:_MAX_SECTION_LENGTH]}}
            for text in sections
            if text
        ),
    ]
    if message.url:
        button_text = {"type": "plain_text", "text": "Open the task" if message.number else "Open"}
        blocks.append({"type": "actions", "elements": [{"type": "button", "text": button_text, "url": message.url}]})
    people_text = f"Notified: {', '.join(message.people)} · " if message.people else ""
    footer = f"{people_text}waiting since {message.since:%Y-%m-%d %H:%M} UTC"
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": escape_text(footer)}]})
    return {"text": escape_text(message.title), "blocks": blocks}


@dataclass(frozen=True, slots=True)
class Slack:
    """The channel `slack`."""

    http: aiohttp.ClientSession
    url: SecretStr

    async def send(self, message: Message) -> None:
        """One POST to the incoming webhook. Slack knows no ids: an answer that is lost may show a message twice."""
        body = json.dumps(build_blocks(message), ensure_ascii=False).encode()
        await post(self.http, "Slack", self.url.get_secret_value(), body, {})
