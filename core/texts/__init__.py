"""Renders every text that the bot writes, from the templates beside this file; tests keep a snapshot of each.

All functions are pure: the templates are read once, when the program starts. Text from outside was cleaned before it
got into a `Task`, and is defused or fenced here where it is shown.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from config.problems import Problem
from config.repository import RepositoryConfig
from core.commands.permissions import CommandForm
from core.conflicts.pulls import TrialMerge
from core.dead_letter import DeadLetter
from core.effects.base import Annotation, UpdateBranch
from core.escalation.model import EscalationCause
from core.handoff.feedback import FailedCheck, Feedback, LineComment
from core.review.definition_of_done import done_blockers, needs_reviewer
from core.task.deadlines import DeadlineKind, deadlines_of, learned_work_time, stall_threshold
from core.task.model import Flag, Lease, Pull, Status, Task
from core.text_safety.sanitize import defuse
from core.texts.render import COMMENT_LIMIT as COMMENT_LIMIT
from core.texts.render import format_duration as format_duration
from core.texts.render import render, render_unbounded

DONE_CHECK = "definition-of-done"
CONFIG_CHECK = "orchestrator-config"
CARD_MARKER = "<!-- orchestrator:card "
KEY_MARKER = "<!-- orchestrator:key "
SUMMARY_LIMIT = 65_535  # characters of a check's summary; GitHub's limit
MAX_FORECAST_FILES = 10  # files that `/explain` names
MAX_DEAD_LETTERS = 20  # that `/status` shows, the latest
HANDOFF_PAGE_LIMIT = 50_000  # characters of a hand-off in one comment, beside what stands around it
PACKET_CHUNK_BYTES = 40_000  # bytes of a packet in one comment; they are 53,336 characters of base64

# A heartbeat or a running check changes by the minute; the card shows only what stays true for a while, because every
# change of the card is a write to GitHub.
_SHOWN_DEADLINES = {
    DeadlineKind.ATTEMPT: "the attempt ends",
    DeadlineKind.STALL: "the task counts as stalled",
}


def card_text(task: Task, policy: RepositoryConfig, *, outdated: bool = False) -> str:
    """The task card: the task's state, what it waits for, and what can be done now.

    `outdated` says that an older configuration is active, because the present file has mistakes.
    """
    # Once the task is stalled the flag says what comes next. For an agent at work each push would be a write.
    hidden = {DeadlineKind.STALL} if Flag.STALLED in task.flags or _is_agent_working(task) else set()
    deadlines = [
        (_SHOWN_DEADLINES[deadline.kind], deadline.due_at)
        for deadline in deadlines_of(task, policy.timeouts)
        if deadline.kind in _SHOWN_DEADLINES.keys() - hidden
    ]
    return render(
        "card",
        task=task,
        dry_run=policy.dry_run,
        outdated=outdated,
        deadlines=deadlines,
        patience=_learned_timeouts(task, policy),
        commands=_suggested_commands(task),
        marker=_card_marker(task),
        max_attempts=policy.limits.max_attempts,
    )


def _learned_timeouts(task: Task, policy: RepositoryConfig) -> list[str]:
    """How much longer than configured it may take, and why."""
    learned, timeouts = task.lease.learned_timeout if task.lease else None, policy.timeouts
    sentences = []
    if learned and (learned.ack, learned.heartbeat) != (timeouts.ack, timeouts.heartbeat):
        sentence = (
            f"{format_duration(learned.ack)} to start, then {format_duration(learned.heartbeat)} without a sign of life"
        )
        sentences.append(f"{sentence} (learned from its own attempts)")
    stall_timeout = stall_threshold(task, timeouts)
    if learned_work_time(task) and stall_timeout > timeouts.stall_timeout(task.priority.value):
        sentences.append(f"{format_duration(stall_timeout)} without progress (learned from this repository's attempts)")
    return sentences


def _is_agent_working(task: Task) -> bool:
    return task.status is Status.IN_PROGRESS and task.lease is not None and task.lease.worker is not None


def _suggested_commands(task: Task) -> tuple[str, ...]:
    release_commands = (task.hold.release_command,) if task.hold else ()
    escalation = task.escalation
    is_acknowledged = escalation and escalation.acknowledged_at and escalation.cause is not EscalationCause.REQUESTED
    ack_commands = ("ack",) if Flag.NEEDS_HUMAN in task.flags and not is_acknowledged else ()
    return (*ack_commands, *release_commands, *_commands_by_status(task))


def _commands_by_status(task: Task) -> tuple[str, ...]:
    match task.status:
        case Status.PENDING:
            return ("ready", "priority P0")
        case Status.READY if task.hold or task.open_dependencies:
            return ("explain", "priority P0")
        case Status.READY:
            return ("explain", "claim", "priority P0")
        case Status.IN_PROGRESS:
            return ("explain", "release", "retry")
        case Status.REVIEW:
            return ("complete", "retry", "release")
        case Status.FAILED:
            return ("retry", "claim", "explain")
        case Status.DONE:
            return ()


def _card_marker(task: Task) -> str:
    """Hidden content of a card whose change causes a rewrite. The sender puts the sealed card state here.

    base64, so that nothing in it ends a comment.
    """
    lease, review, pull = task.lease, task.review_lease, task.pull
    state = {
        "v": 1,
        "task": task.number,
        "status": task.status,
        "priority": task.priority,
        "attempt": task.attempt,
        "lease": lease and [lease.agent, lease.branch, lease.since.isoformat(), lease.role],
        "review": review and [review.agent, review.branch, review.since.isoformat()],
        "pull": pull and [pull.number, pull.head_sha],
        "attempts": [
            [attempt.number, attempt.agent, attempt.outcome, attempt.pull, attempt.role]
            for attempt in task.history[-10:]
        ],
    }
    encoded = base64.urlsafe_b64encode(json.dumps(state, separators=(",", ":")).encode()).decode()
    return f"{CARD_MARKER}{encoded} -->"


def comment_marker(key: str) -> str:
    """The hidden line by which the bot finds its comment before a retry."""
    return f"{KEY_MARKER}{base64.urlsafe_b64encode(key.encode()).decode()} -->"


def comment_key(marker: str) -> str | None:
    """The key of the comment that ends with this line; None if the line is no marker of the bot."""
    encoded = marker.removeprefix(KEY_MARKER).removesuffix(" -->")
    try:
        return base64.urlsafe_b64decode(encoded).decode() if marker == f"{KEY_MARKER}{encoded} -->" else None
    except ValueError:
        return None


def feedback_comment(task: Task, feedback: Feedback) -> str:
    """Tells the agent and the user why the attempt failed."""
    return render("feedback", task=task, feedback=feedback)


def failed_check_details(check: FailedCheck) -> str:
    """One failed check: the step, the first error, the failing tests, the end of the log."""
    return render("failed_check", check=check).strip()


def wrong_agent_comment(task: Task, agents: Sequence[str]) -> str:
    """Says on an agent's pull request why it is not accepted as the work on the task."""
    names = " or ".join(f"`{name}`" for name in agents)
    return render("not_theirs", task=task, agents=names, holder=task.lease.agent if task.lease else None)


def handoff_text(packet: dict[str, Any]) -> str:
    """The hand-off packet as Markdown, for people and for agents that are addressed in comments."""
    return render("handoff", p=packet)


def handoff_pages(packet: dict[str, Any], limit: int = HANDOFF_PAGE_LIMIT) -> tuple[str, ...]:
    """The complete hand-off for agents that read comments: in separate comments if it is over `limit` characters.

    Empty if it is not: then it is part of the text that starts the agent.
    """
    text = render_unbounded("handoff", p=packet)
    if len(text) <= limit:
        return ()
    chunks, rest = [], text
    while rest:
        lines = rest[:HANDOFF_PAGE_LIMIT].rpartition("\n")[0] if len(rest) > HANDOFF_PAGE_LIMIT else rest
        chunk = lines or rest[:HANDOFF_PAGE_LIMIT]
        chunks.append(chunk)
        rest = rest[len(chunk) :].lstrip("\n")
    return tuple(
        render("handoff_page", p=packet, text=chunk, part=part, total=len(chunks))
        for part, chunk in enumerate(chunks, 1)
    )


def mention_comment(packet: dict[str, Any], name: str, pages: Sequence[str] = ()) -> str:
    """The comment that starts an agent on its task; `pages` are the addresses of a hand-off in separate comments."""
    return render("mention", p=packet, mention=name, pages=pages, handoff=handoff_text(packet) if not pages else "")


def instructions_text(packet: dict[str, Any], pages: Sequence[str] = ()) -> str:
    """The hand-off for an agent that is assigned to the issue."""
    return render("instructions", p=packet, pages=pages, handoff=handoff_text(packet) if not pages else "")


def addressed_text(name: str, text: str) -> str:
    """Feedback for an agent that listens to its name; the text comes from elsewhere and mentions no user."""
    return f"{name} {defuse(text)}"


def changes_requested_message(feedback: Feedback, lease: Lease) -> str:
    """Tells a working agent which changes are requested of its draft."""
    return render("asked_meanwhile", feedback=feedback, lease=lease)


def base_update_message(effect: UpdateBranch, lease: Lease, trial: TrialMerge | None = None) -> str:
    """Tells a working agent that the base was merged into its branch, or (`trial`) conflicts with it."""
    return render("base_meanwhile", branch=effect.branch, base=effect.base, lease=lease, trial=trial).strip()


def stop_comment(name: str, number: int, attempt: int) -> str:
    """Asks an agent to stop."""
    return render("stop", mention=name, number=number, attempt=attempt)


def has_key_marker(body: str) -> bool:
    """Whether a comment ends with the bot's marker: the bot wrote it, even under a person's name (or another user
    pretends so).
    """
    return body.rstrip().rpartition("\n")[2].startswith(KEY_MARKER)


def packet_comments(packet: dict[str, Any], agent: str, attempt: int) -> tuple[str, ...]:
    """A packet that is too large for a dispatch, as comments: a sentence for people, and a hidden part of its JSON.

    The parts are base64, because the packet holds other people's words and nothing in it may end a comment. Decoded and
    joined in order they are the packet's JSON in UTF-8, byte for byte.
    """
    data = json.dumps(packet, ensure_ascii=False, separators=(",", ":")).encode()
    chunks = [data[offset : offset + PACKET_CHUNK_BYTES] for offset in range(0, len(data), PACKET_CHUNK_BYTES)]
    return tuple(
        render(
            "packet_comment",
            agent=agent,
            attempt=attempt,
            part=part,
            total=len(chunks),
            data=base64.urlsafe_b64encode(chunk).decode(),
        )
        for part, chunk in enumerate(chunks, 1)
    )


def help_text(forms: Sequence[CommandForm]) -> str:
    """The answer to `/help`: all forms of the commands."""
    return render("help", uses=forms)


def no_task_text() -> str:
    """The answer if there is no task."""
    return render("how_to_begin")


def no_configuration_text(problems: Sequence[str] = ()) -> str:
    """The answer to any command in a repository without a valid configuration."""
    return render("no_configuration", problems=problems)


def explain_text(task: Task, learned_timeouts: str = "") -> str:
    """The answer to `/explain`: the table of candidates, the files that it is likely to change, its `patience`."""
    forecast = task.forecast.likely[:MAX_FORECAST_FILES] if task.forecast and task.is_open else ()
    return render("explain", task=task, choice=task.choice, event=None, forecast=forecast, patience=learned_timeouts)


def status_text(
    task: Task, policy: RepositoryConfig, problems: Sequence[str] = (), dead_letters: Sequence[DeadLetter] = ()
) -> str:
    """The answer to `/status`, for the present task; `problems` are those of a rejected configuration."""
    is_waiting = task.is_assignable or needs_reviewer(task, policy.merge.review)
    choice = task.choice if is_waiting else None
    gaps = done_blockers(task) if task.pull else ()
    return render(
        "status", task=task, choice=choice, gaps=gaps, problems=problems, given_up=dead_letters[-MAX_DEAD_LETTERS:]
    )


def done_check(task: Task, gaps: tuple[str, ...]) -> tuple[str, str, str]:
    """Conclusion, title and summary of the check `definition-of-done`."""
    if not gaps:
        return "success", "Nothing is missing", render("done_check", gaps=(), task=task)
    count = f"{len(gaps)} thing{'s' if len(gaps) > 1 else ''} missing"
    return "action_required", count, render("done_check", gaps=gaps, task=task)[:SUMMARY_LIMIT]


def config_check(path: str, problems: Sequence[Problem]) -> tuple[str, str, str, tuple[Annotation, ...]]:
    """Conclusion, title, summary and annotations of the check `orchestrator-config`."""
    count = f"{len(problems)} error{'s' if len(problems) > 1 else ''}"
    title = f"{count} in {path}" if problems else "The configuration is valid"
    summary = render("config_check", path=path, problems=problems)[:SUMMARY_LIMIT]
    annotations = tuple(
        Annotation(path, problem.line, problem.line, defuse(str(problem)), problem.key_path[:255])
        for problem in problems
    )
    return "failure" if problems else "success", title, summary, annotations


def review_details(
    text: str, comments: Sequence[LineComment], *, is_truncated: bool = False, limit: int = 40_000
) -> str:
    """The review as text for the next attempt, in `limit` characters; text and comments are cleaned already."""
    details = render("review_details", text=text, comments=comments, more=is_truncated).strip()
    while comments and len(details) > limit:
        comments, is_truncated = comments[:-1], True
        details = render("review_details", text=text, comments=comments, more=is_truncated).strip()
    return details


def conflict_details(trial: TrialMerge, pull: Pull) -> str:
    """The conflict with the base as text for the next attempt."""
    return render("conflict_details", trial=trial, pull=pull).strip()
