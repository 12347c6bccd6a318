"""Writes the texts of a retrospective: issue, action items as tasks, answers to `/retro`."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from core.retro.findings import ActionItem
from core.retro.metrics import TaskMetrics
from core.retro.model import Question, Retrospective
from core.texts.render import render

ISSUE_MARKER = "<!-- orchestrator:retrospective "
MAX_CHART_TASKS = 10  # bars that can still be told apart
MAX_TABLE_TASKS = 30
MAX_AGENTS_SHOWN = 30
ANSWERS_LIMIT = 30_000  # characters of all answers together, so that the issue stays below GitHub's limit
_ITEM = re.compile(r"^\s{0,3}[-*+] \[([ xX])\] .*<!-- orchestrator:action ([a-z0-9._-]{1,80}) -->\s*$", re.MULTILINE)


def retrospective_title(retrospective: Retrospective) -> str:
    """The title of its issue."""
    count = len(retrospective.tasks)
    return f"Retrospective of {retrospective.created_at:%Y-%m-%d}: {count} task{'s' * (count != 1)} done"


def retrospective_body(retrospective: Retrospective) -> str:
    """The body of its issue, with the answers and the results of the action items so far."""
    return render(
        "retrospective",
        held=retrospective,
        tasks=retrospective.tasks[-MAX_TABLE_TASKS:],
        more=max(0, len(retrospective.tasks) - MAX_TABLE_TASKS) + retrospective.omitted_count,
        bars=[bar for task in retrospective.tasks[-MAX_CHART_TASKS:] for bar in _bars(task)],
        charted=min(len(retrospective.tasks), MAX_CHART_TASKS),
        agents=retrospective.agents[:MAX_AGENTS_SHOWN],
        questions=retrospective.questions[:MAX_AGENTS_SHOWN],
        answer_limit=ANSWERS_LIMIT // max(1, sum(bool(question.answer) for question in retrospective.questions)),
        marker=retrospective_marker(retrospective.key),
    )


def retrospective_marker(key: str) -> str:
    """The hidden last line by which the bot finds its issue before a retry."""
    return f"{ISSUE_MARKER}{base64.urlsafe_b64encode(key.encode()).decode()} -->"


def ticked_items(body: str) -> frozenset[str]:
    """The ids of the ticked action items in a body, by any editor."""
    return frozenset(match[2] for match in _ITEM.finditer(body[:70_000].replace("\r", "")) if match[1] in "xX")


def action_body(action: ActionItem, retrospective: Retrospective, marker: str) -> str:
    """The text of the task that an action item becomes, under the headings of the task form."""
    return render("retrospective_task", action=action, held=retrospective, marker=marker)


def question_comment(question: Question) -> str:
    """Asks an agent that listens to its name."""
    return render("retrospective_question", question=question)


def pending_question_text(retrospective: Retrospective, question: Question) -> str:
    """Gives an agent that fetches work the pending question."""
    introduction = f"The retrospective #{retrospective.number} has a question for `{question.agent}`"
    return f"{introduction}: {question.text} Answer in a comment there."


def retro_text(retrospective: Retrospective, *, dry_run: bool) -> str:
    """The answer to `/retro`: in a dry run the whole text, because it is written nowhere else."""
    return render("retro", held=retrospective, body=retrospective_body(retrospective) if dry_run else "")


def _bars(task: TaskMetrics) -> Sequence[tuple[str, str, int, int]]:
    """The bars of one task in the chart: section, name, begin and end in Unix seconds."""
    moments: list[tuple[str, datetime | None]] = [
        ("waits", task.created_at),
        ("work", task.assigned_at),
        ("checks", task.pull_opened_at),
        ("", task.done_at),
    ]
    starts = [(name, int(at.timestamp())) for name, at in moments if at is not None]
    spans = [(name, begin, end) for (name, begin), (_, end) in pairwise(starts) if end > begin]
    return [(f"Task {task.number}", name, begin, end) for name, begin, end in spans]
