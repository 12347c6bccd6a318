"""Writes answers to commands that list much: agents, queue, audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.assignment.agent_state import HealthResult
from core.assignment.stats import AttemptStats
from core.audit.events import Event
from core.signals.base import BranchUpdateDone
from core.task.model import AssignmentDecision, Lease, Task
from core.text_safety.sanitize import mask_secrets
from core.texts.render import format_duration, render

ONE_COMMAND_TEXT = (
    "The bot ran only the first command of this comment, because you have no role in this repository. "
    "Write another comment for the next one."
)


def budget_used_text(count: int, next_at: datetime, now: datetime) -> str:
    """Tells a person without a role that no more commands are answered for now."""
    until = f"{next_at:%Y-%m-%d %H:%M} UTC (in {format_duration(next_at - now)})"
    return (
        f"The bot did not run this command, because it answers {count} comments an hour of a person without a role in "
        f"the repository. Try again after {until}; it ignores your commands until then."
    )


@dataclass(frozen=True, slots=True)
class TeamRow:
    """One agent as `/agents` shows it. `by` and `at` belong to its last change at run time."""

    name: str
    kind: str
    capabilities: tuple[str, ...]
    roles: tuple[str, ...]
    in_hand: int
    max_tasks: int
    state: str
    source: str  # file | service | run time
    by: str | None = None
    at: datetime | None = None
    changes: tuple[tuple[str, str, str], ...] = ()  # key, what counts, what the file says
    problem: str | None = None  # why a change does not apply
    removed: bool = False
    probed: HealthResult | None = None  # what its adapter last said; None when that is not known
    measures: Mapping[str, AttemptStats] = field(
        default_factory=dict
    )  # of its latest attempts: `""` all, by capability


def team_text(rows: Sequence[TeamRow]) -> str:
    """The answer to `/agents`."""
    return render("agents", rows=rows)


def history_text(events: Sequence[Event], has_more: bool) -> str:
    """The answer to `/history`: the end of the audit trail, oldest first; `more` when there is more."""
    return render("history", events=events, more=has_more)


def explain_attempt_text(event: Event, choice: AssignmentDecision | None) -> str:
    """The answer to `/explain 2`: why that attempt went to its agent; no choice if a person took the task."""
    return render("explain", event=event, choice=choice, forecast=(), patience="")


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One task at the head of the queue, as `/next` shows it."""

    number: int
    title: str
    priority: str
    place: str  # why it has this place
    goes_to: str


def next_text(rows: Sequence[QueueRow], total: int, agent: str, next_number: int | None) -> str:
    """The answer to `/next`. `mine` is the task that the agent `who` would get, 0 for none; None if no agent asks."""
    return render("next", rows=rows, total=total, who=agent, mine=next_number)


def task_text(
    *,
    status: str = "",
    template: str = "",
    is_own_template: bool = False,
    headings: Sequence[str] = (),
    suggested: Sequence[str] = (),
    broken: Mapping[str, str] | None = None,
    dry_run: bool = False,
) -> str:
    """The answer to `/task`; empty if 🚀 is enough.

    `status` is that of an issue that was already a task; `headings` are those that the `template` filled in (`own`: it
    is the repository's); `offered` are names of templates; `broken` are invalid files, with reasons.
    """
    text = render(
        "task",
        status=status,
        name=template,
        own=is_own_template,
        headings=headings,
        offered=suggested,
        broken=broken or {},
        dry_run=dry_run,
    )
    return text.strip()


def prep_text(handoff_text: str, reason: str, waits: Sequence[str]) -> str:
    """The answer to `/prep`: the hand-off before assignment."""
    return render("prep", handoff=handoff_text.strip(), reason=reason, waits=waits)


def stale_button(login: str, sha: str, task: Task) -> str:
    """Tells the user who pressed a button on an earlier commit that it had no effect, and what to do."""
    pull = task.pull
    now = (
        f"Use the buttons on the check of the current commit, `{pull.head_sha[:8]}`, or the commands."
        if pull and pull.open
        else f"Task #{task.number} has no open pull request; comment `/status` to see its state."
    )
    return f"@{login}: That button belongs to an earlier commit, `{sha[:8]}`, so the bot did nothing. {now}"


def update_text(signal: BranchUpdateDone, lease: Lease | None, *, is_sent_back: bool) -> str:
    """Tells the user who asked for it why the base was not merged into the branch.

    For a conflict: who was notified, or whether the task goes back.
    """
    effect = signal.effect
    text = render(
        "update",
        outcome=signal.outcome,
        branch=effect.branch,
        base=effect.base,
        files=[file.path for file in signal.trial_merge.files] if signal.trial_merge else (),
        agent=lease.agent if lease and signal.trial_merge else "",
        back=is_sent_back and signal.trial_merge is not None,
        reason=mask_secrets(signal.reason),
    )
    return text.strip()
