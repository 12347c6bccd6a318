"""The words of the progress digest: the page, and the one line for channels."""

from __future__ import annotations

from datetime import datetime

from core.digest import Digest, Group, Node
from core.task.deadlines import DeadlineKind
from core.text_safety.sanitize import plain
from core.texts.render import COMMENT_LIMIT, unbounded

DIGEST_TITLE = "Progress of the agents"
DIGEST_MARKER = "<!-- orchestrator:digest -->"
LINES = 60  # tasks that have a line of their own
BOXES = 30
CLASHES = 20
FOLDED = 3000  # further tasks that are named by number
_LABEL = 40  # characters of a title in the graph
_PUNCTUATION = frozenset(" .,:_-+/'")
WAITS = {
    DeadlineKind.AUTHOR: "the author must answer",
    DeadlineKind.QUEUE: "an agent must take it",
    DeadlineKind.ACK: "the agent must start",
    DeadlineKind.HEARTBEAT: "the agent must show a sign of life",
    DeadlineKind.HARD: "the attempt ends",
    DeadlineKind.POLL: "the bot asks its service",
    DeadlineKind.CI: "checks must finish",
    DeadlineKind.STALL: "counts as stalled",
    DeadlineKind.PERSON: "a person must act",
    DeadlineKind.CALL: "a person must answer the call",
    DeadlineKind.HELD: "the hold is checked",
}


def digest_text(digest: Digest) -> str:
    """The page in Markdown, at most `COMMENT_LIMIT` characters: as many tasks have a line of their own as fit."""
    for part in (1, 2, 4, 8, 1_000):
        text = _drawn(digest, LINES // part, BOXES // part, CLASHES // part, FOLDED // part)
        if len(text) <= COMMENT_LIMIT:
            return text
    return text[: COMMENT_LIMIT - len(DIGEST_MARKER) - 40] + f"\n\n… (cut off here)\n\n{DIGEST_MARKER}\n"


def _drawn(digest: Digest, lines: int, boxes: int, clashes: int, folded: int) -> str:
    names = {node.reference: f"n{at}" for at, node in enumerate(digest.nodes)}
    rest = digest.lines[lines:]
    text = unbounded(
        "digest",
        d=digest,
        lines=digest.lines[:lines],
        folded=[(group.value, [line.number for line in rest if line.group is group][:folded]) for group in Group],
        rest=len(rest),
        boxes=digest.boxes[:boxes],
        more_boxes=len(digest.boxes) - boxes,
        given_up=digest.given_up[-clashes:],
        clashes=digest.clashes[:clashes],
        more_clashes=len(digest.clashes) - clashes,
        nodes=[
            (names[node.reference], label(node), node.group.value if node.group else "elsewhere")
            for node in digest.nodes
        ],
        edges=[(names[first], names[then]) for first, then in digest.edges],
        waits=WAITS,
        ago=lambda at: ago(at, digest.at),
        marker=DIGEST_MARKER,
    )
    return f"{text}\n"


def label(node: Node) -> str:
    """What stands in a node, safe between the quotes of Mermaid: letters, digits and a few marks of each text."""
    where, _, number = node.reference.rpartition("#")
    return f"{_calm(where, 120)}#35;{_calm(number, 20)} {_calm(node.title, _LABEL)}".rstrip()


def _calm(text: str, limit: int) -> str:
    kept = "".join(sign if sign.isalnum() or sign in _PUNCTUATION else " " for sign in plain(text))
    told = " ".join(kept.split())
    return told if len(told) <= limit else f"{told[: limit - 1].rstrip()}…"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, in two units at most: `5 min`, `3 h 10 min`, `4 d 2 h`."""
    minutes = max(0, int((now - at).total_seconds() // 60))
    days, hours, left = minutes // 1440, minutes // 60 % 24, minutes % 60
    first, then = (
        (f"{days} d", f"{hours} h") if days else (f"{hours} h", f"{left} min") if hours else (f"{left} min", "")
    )
    return first if not then or then.startswith("0 ") else f"{first} {then}"


def digest_line(digest: Digest) -> str:
    """The same in one line, for channels; where the page is stands beside it."""
    counts = ", ".join(f"{digest.counts[group]} {group.value}" for group in (Group.ACTIVE, *_OTHERS))
    calling = [f"#{line.number}" for line in digest.calling]
    more = f" and {len(calling) - 5} more" if len(calling) > 5 else ""
    person = f" Needs a person: {', '.join(calling[:5])}{more}." if calling else ""
    return f"{digest.repository}: {counts}.{person}"


_OTHERS = (Group.BLOCKED, Group.WAITING, Group.FAILED)
