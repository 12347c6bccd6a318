"""Renders templates: the environment, and filters for times, names and text from outside."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

from jinja2 import DictLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.audit.events import Event, EventType
from core.conflicts.pulls import Span
from core.text_safety.sanitize import code_block, defuse, inline_code, one_line

MAX_SPANS = 10  # places of a file that are named in one cell
COMMENT_LIMIT = 65_000  # characters of a comment: GitHub's limit of 65,536, with room for the hidden marker


def format_share(fraction: float | None) -> str:
    """A share of 0…1 in percent, or a dash if unknown."""
    return "\u2013" if fraction is None else f"{fraction:.0%}"


def format_duration(duration: timedelta) -> str:
    """A duration as people say it: `90 s`, `10 min`, `2 h`, `1 h 30 min`."""
    seconds = int(duration.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _format_time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _until(at: datetime, now: datetime) -> str:
    return f"{_format_time(at)} (in {format_duration(max(at - now, timedelta()))})"


def _cell(text: str) -> str:
    """Text from outside, safe inside a table cell."""
    return _without_unpaired_backticks(defuse(one_line(text, 300))).replace("|", "\\|")


def _without_unpaired_backticks(line: str) -> str:
    """The line without unpaired backticks, which would pair with one in the bot's own text after it."""
    parts = re.split("(`+)", line)
    index = 1
    while index < len(parts):
        partner = next(
            (
                partner_index
                for partner_index in range(index + 2, len(parts), 2)
                if parts[partner_index] == parts[index]
            ),
            None,
        )
        if partner is None:
            parts[index] = "\u2019" * len(parts[index])
        index = (partner or index) + 2
    return "".join(parts)


def _short_cell(text: str) -> str:
    """The same of a reason that has a page of its own: its first words."""
    return _cell(one_line(text, 140))


def _format_spans(spans: Sequence[Span]) -> str:
    """Line numbers as people write them: `3, 7-9`; a dash if there are none."""
    ranges = [
        str(span.first) if span.first == span.last else f"{span.first}\u2013{span.last}" for span in spans[:MAX_SPANS]
    ]
    return ", ".join(ranges + ["…"] * (len(spans) > MAX_SPANS)) or "\u2013"


def _kind_reason(kind: str, reason: str) -> str:
    """The class of a task and its reason, which may begin with the class already."""
    sentence = reason if reason.lower().startswith(kind.lower()) else f"{kind}: {reason}"
    return sentence[:1].upper() + sentence[1:]


def _event_detail(event: Event) -> str:
    """The detail of an event besides actor and time: its reason, or the request."""
    detail = event.payload.get("reason") or event.payload.get("how") or event.payload.get("label")
    if event.type is EventType.CONFLICT_DETECTED:
        others = [f"#{number}" for number in event.payload.get("tasks", ()) if number != event.task]
        files = [inline_code(path) for path in event.payload.get("files", ())[:3]]
        detail = " ".join([str(event.payload.get("kind", "")), *others, *files])
    if event.type is EventType.COMMAND_RUN:
        detail = f"/{event.payload.get('command')} {event.payload.get('argument') or ''}".strip()
    return str(detail or "")


def _environment() -> ImmutableSandboxedEnvironment:
    files = resources.files(__package__) / "templates"
    sources = {entry.name: entry.read_text("utf-8") for entry in files.iterdir() if entry.name.endswith(".md.j2")}
    # The output is Markdown, not HTML: text from outside goes through `cell`, `defuse` or `fence`.
    environment = ImmutableSandboxedEnvironment(
        loader=DictLoader(sources),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= {
        "moment": _format_time,
        "until": _until,
        "share": format_share,
        "spoken": format_duration,
        "cell": _cell,
        "short_cell": _short_cell,
        "defuse": defuse,
        "fence": code_block,
        "code": inline_code,
        "because": _kind_reason,
        "lines": _format_spans,
        "detail": _event_detail,
        "quote": shlex.quote,
    }
    return environment


_TEMPLATES = _environment()


def render_unbounded(template: str, **values: Any) -> str:
    """The text of a template, however long it gets."""
    return _TEMPLATES.get_template(f"{template}.md.j2").render(**values).strip()


def render(template: str, **values: Any) -> str:
    """The text of a template, bounded as a comment is."""
    text = render_unbounded(template, **values) + "\n"
    return text if len(text) <= COMMENT_LIMIT else text[: COMMENT_LIMIT - 40] + "\n\n… (cut off here)\n"
