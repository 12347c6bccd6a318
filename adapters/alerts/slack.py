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

_HEADER: Final = 150  # characters; Slack's limits
_SECTION: Final = 2900
_LINK: Final = re.compile(r"\[([^\]\[]{1,200})\]\((https?://[^\s()|<>]{1,1000})\)")


def escaped(text: str) -> str:
    """Text in which Slack finds no mention, link or command: `<!channel>` is only read there."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def in_slack(markdown: str) -> str:
    """Our Markdown as Slack writes it: code is the same, links are not."""
    return _LINK.sub(r"<\2|\1>", escaped(markdown))


def blocks_of(message: Message) -> dict[str, Any]:
    """The message in Slack's blocks, with a text for notifications."""
    sections = [in_slack(message.text)]
    if message.tried:
        sections.append("*Tried so far*\n" + "\n".join(f"• {in_slack(line)}" for line in message.tried))
    if message.steps:
        steps = "\n".join(f"{at}. {in_slack(step)}" for at, step in enumerate(message.steps, 1))
        sections.append(f"*What you can do*\n{steps}")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": message.title[:_HEADER], "emoji": False}},
        *({"type": "section", "text": {"type": "mrkdwn", "text": text[:_SECTION]}} for text in sections if text),
    ]
    if message.url:
        words = {"type": "plain_text", "text": "Open the task" if message.number else "Open"}
        blocks.append({"type": "actions", "elements": [{"type": "button", "text": words, "url": message.url}]})
    who = f"Notified: {', '.join(message.people)} · " if message.people else ""
    when = f"{who}waiting since {message.since:%Y-%m-%d %H:%M} UTC"
    blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": escaped(when)}]})
    return {"text": escaped(message.title), "blocks": blocks}


@dataclass(frozen=True, slots=True)
class Slack:
    """The channel `slack`."""

    http: aiohttp.ClientSession
    url: SecretStr

    async def send(self, message: Message) -> None:
        """One POST to the incoming webhook. Slack knows no ids: an answer that is lost may show a message twice."""
        body = json.dumps(blocks_of(message), ensure_ascii=False).encode()
        await post(self.http, "Slack", self.url.get_secret_value(), body, {})
