"""Writes the progress digest: the page, and the one-line summary for alert channels."""

from __future__ import annotations

from datetime import datetime

from core.digest import Digest, Node, TaskGroup
from core.task.deadlines import DeadlineKind
from core.text_safety.sanitize import normalize_text
from core.texts.render import COMMENT_LIMIT, render_unbounded

DIGEST_TITLE = "Progress of the agents"
DIGEST_MARKER = "<!-- orchestrator:digest -->"
MAX_TASK_ROWS = 60  # tasks that have a line of their own
MAX_CHECKBOXES = 30
MAX_CONFLICTS = 20
MAX_FOLDED_TASKS = 3000  # further tasks that are named by number
_MAX_LABEL_LENGTH = 40  # characters of a title in the graph
_PUNCTUATION = frozenset(" .,:_-+/'")
WAIT_NAMES = {
    DeadlineKind.AUTHOR: "the author must answer",
    DeadlineKind.QUEUE: "an agent must take it",
    DeadlineKind.ACK: "the agent must start",
    DeadlineKind.HEARTBEAT: "the agent must show a sign of life",
    DeadlineKind.ATTEMPT: "the attempt ends",
    DeadlineKind.POLL: "the bot asks its service",
    DeadlineKind.CI: "checks must finish",
    DeadlineKind.STALL: "counts as stalled",
    DeadlineKind.PERSON: "a person must act",
    DeadlineKind.ESCALATION: "a person must answer the call",
    DeadlineKind.HOLD: "the hold is checked",
}


def digest_text(digest: Digest) -> str:
    """The page in Markdown, at most `COMMENT_LIMIT` characters: as many tasks as fit have their own line."""
    for divisor in (1, 2, 4, 8, 1_000):
        text = _render_digest(
            digest,
            MAX_TASK_ROWS // divisor,
            MAX_CHECKBOXES // divisor,
            MAX_CONFLICTS // divisor,
            MAX_FOLDED_TASKS // divisor,
        )
        if len(text) <= COMMENT_LIMIT:
            return text
    return text[: COMMENT_LIMIT - len(DIGEST_MARKER) - 40] + f"\n\n… (cut off here)\n\n{DIGEST_MARKER}\n"


def _render_digest(digest: Digest, max_rows: int, max_checkboxes: int, max_conflicts: int, max_folded: int) -> str:
    names = {node.reference: f"n{at}" for at, node in enumerate(digest.nodes)}
    rest = digest.task_rows[max_rows:]
    text = render_unbounded(
        "digest",
        d=digest,
        lines=digest.task_rows[:max_rows],
        folded=[(group.value, [row.number for row in rest if row.group is group][:max_folded]) for group in TaskGroup],
        rest=len(rest),
        boxes=digest.checkboxes[:max_checkboxes],
        more_boxes=len(digest.checkboxes) - max_checkboxes,
        given_up=digest.dead_letters[-max_conflicts:],
        clashes=digest.conflicts[:max_conflicts],
        more_clashes=len(digest.conflicts) - max_conflicts,
        nodes=[
            (names[node.reference], node_label(node), node.group.value if node.group else "elsewhere")
            for node in digest.nodes
        ],
        edges=[(names[source], names[target]) for source, target in digest.edges],
        waits=WAIT_NAMES,
        ago=lambda at: format_age(at, digest.created_at),
        marker=DIGEST_MARKER,
    )
    return f"{text}\n"


def node_label(node: Node) -> str:
    """The label of a node, safe between Mermaid's quotes: only letters, digits and a few marks."""
    repository, _, number = node.reference.rpartition("#")
    reference = f"{_mermaid_text(repository, 120)}#35;{_mermaid_text(number, 20)}"
    return f"{reference} {_mermaid_text(node.title, _MAX_LABEL_LENGTH)}".rstrip()


def _mermaid_text(text: str, limit: int) -> str:
    cleaned = "".join(char if char.isalnum() or char in _PUNCTUATION else " " for char in normalize_text(text))
    result = " ".join(cleaned.split())
    return result if len(result) <= limit else f"{result[: limit - 1].rstrip()}…"


def format_age(at: datetime, now: datetime) -> str:
    """How long ago, in two units at most: `5 min`, `3 h 10 min`, `4 d 2 h`."""
    minutes = max(0, int((now - at).total_seconds() // 60))
    days, hours, remaining = minutes // 1440, minutes // 60 % 24, minutes % 60
    larger, smaller = (
        (f"{days} d", f"{hours} h")
        if days
        else (f"{hours} h", f"{remaining} min")
        if hours
        else (f"{remaining} min", "")
    )
    return larger if not smaller or smaller.startswith("0 ") else f"{larger} {smaller}"


def digest_summary(digest: Digest) -> str:
    """The summary in one line, for alert channels, which show the page's address beside it."""
    counts = ", ".join(f"{digest.counts[group]} {group.value}" for group in (TaskGroup.ACTIVE, *_OTHER_GROUPS))
    escalated = [f"#{row.number}" for row in digest.needing_human]
    more = f" and {len(escalated) - 5} more" if len(escalated) > 5 else ""
    person = f" Needs a person: {', '.join(escalated[:5])}{more}." if escalated else ""
    return f"{digest.repository}: {counts}.{person}"


_OTHER_GROUPS = (TaskGroup.BLOCKED, TaskGroup.WAITING, TaskGroup.FAILED)
