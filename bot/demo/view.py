"""The picture of a snapshot: tasks, agents, the latest events."""

from __future__ import annotations

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bot.demo.monitor import AgentRow, Snapshot
from bot.demo.narration import AuditLine, status_note
from core.task.model import Kind, Priority, Status, Task

INTRODUCTION = (
    "This machine runs a GitHub sandbox, the orchestrator and four scripted agents: two in workflows, two outside. "
    "One of the outside agents dies at work, the other is out of credit. Alice, the maintainer, files tasks as "
    "issues; some conflict and she overlooks one. The tasks become merged pull requests without anyone copying "
    "text. Time passes eight times "
    "faster."
)
MIN_WIDE_COLUMNS = 108  # columns from which on words are written out
MIN_EVENTS, MAX_EVENTS = 2, 12

STATUS_STYLES = {
    Status.PENDING: "magenta",
    Status.READY: "cyan",
    Status.IN_PROGRESS: "yellow",
    Status.REVIEW: "blue",
    Status.DONE: "bold green",
    Status.FAILED: "bold red",
}
_STATUS_MARKS = {
    Status.PENDING: "…",
    Status.READY: "○",
    Status.IN_PROGRESS: "▶",
    Status.REVIEW: "◆",
    Status.DONE: "✓",
    Status.FAILED: "✗",
}
_PRIORITY_STYLES = {Priority.P0: "bold red", Priority.P1: "yellow", Priority.P2: "dim"}
_TONE_STYLES = {"plain": "", "good": "green", "bad": "red", "person": "magenta"}


class View:
    """A snapshot that draws itself in the room there is."""

    def __init__(self, snapshot: Snapshot, *, events: int | None = None) -> None:
        """`events` is how many of the latest events to show; as many as there is room for if None."""
        self._snapshot = snapshot
        self._events = events

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        snapshot = self._snapshot
        is_wide = options.max_width >= MIN_WIDE_COLUMNS
        fixed_lines = 7 + snapshot.expected + len(snapshot.agents)  # lines: the headline, three headers, two tables
        free_lines = console.height - fixed_lines - 1
        is_spaced = self._events is not None or free_lines >= MAX_EVENTS // 2 + 2
        events = self._events or min(MAX_EVENTS, max(MIN_EVENTS, free_lines - 2 * is_spaced))
        parts = [_task_table(snapshot, is_wide=is_wide), _agent_table(snapshot), _event_table(snapshot, events)]
        yield _headline(snapshot)
        for index, part in enumerate(parts):
            if index and is_spaced:
                yield ""
            yield part


def _headline(snapshot: Snapshot) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    done, failed = snapshot.count(Status.DONE), snapshot.count(Status.FAILED)
    state = Text.assemble(
        (f"{done} of {snapshot.expected} done", "bold green" if done == snapshot.expected else "bold")
    )
    if failed:
        state.append(f", {failed} failed", style="bold red")
    state.append(f"  {snapshot.elapsed:5.1f} s", style="dim")
    grid.add_row(Text("acme/shop", style="bold"), state)
    return grid


def _empty_table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
        border_style="dim",
        show_edge=False,
    )


def _task_table(snapshot: Snapshot, *, is_wide: bool) -> Table:
    table = _empty_table()
    table.add_column("#", justify="right", width=2)
    table.add_column("Task", ratio=4, no_wrap=True, overflow="ellipsis")
    table.add_column("", width=2)
    table.add_column("Class", width=14 if is_wide else 5, no_wrap=True)
    table.add_column("Status", width=13, no_wrap=True)
    table.add_column("Agent", width=6, no_wrap=True)
    table.add_column("PR", width=3, no_wrap=True, justify="right")
    table.add_column("", ratio=3, no_wrap=True, overflow="ellipsis")
    for task in snapshot.tasks:
        table.add_row(*_task_row(task, is_wide=is_wide))
    for _ in range(snapshot.expected - len(snapshot.tasks)):
        table.add_row()  # the picture does not jump while tasks are filed
    return table


def _task_row(task: Task, *, is_wide: bool) -> list[RenderableType]:
    kind = task.kind.value if is_wide else {Kind.FUNCTIONAL: "func", Kind.NON_FUNCTIONAL: "other"}[task.kind]
    style = STATUS_STYLES[task.status]
    holder = task.lease.agent if task.lease else task.history[-1].agent if task.history and not task.is_open else ""
    return [
        str(task.number),
        Text(task.title, style="dim" if task.status is Status.DONE else ""),
        Text(task.priority.value, style=_PRIORITY_STYLES[task.priority]),
        Text(kind, style="dim"),
        Text(f"{_STATUS_MARKS[task.status]} {task.status.value}", style=style),
        Text(holder, style="" if task.lease else "dim"),
        Text(f"#{task.pull.number}" if task.pull else "", style="dim"),
        Text(status_note(task), style="dim"),
    ]


def _agent_table(snapshot: Snapshot) -> Table:
    table = _empty_table()
    table.add_column("Agent", width=8, no_wrap=True)
    table.add_column("Can do", ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column("Working on", ratio=1, no_wrap=True)
    table.add_column("Done", width=5, justify="right")
    table.add_column("Sent back", width=10, justify="right")
    for agent in snapshot.agents:
        table.add_row(*_agent_row(agent))
    return table


def _agent_row(agent: AgentRow) -> list[RenderableType]:
    current_tasks = (
        Text(" ".join(f"#{n}" for n in agent.busy_with), style="yellow")
        if agent.busy_with
        else Text("free", style="dim")
    )
    sent_back = Text(str(agent.sent_back), style="red" if agent.sent_back else "dim")
    return [
        Text(agent.name, style="bold"),
        Text(", ".join(agent.capabilities), style="dim"),
        current_tasks,
        Text(str(agent.done), style="green" if agent.done else "dim"),
        sent_back,
    ]


def _event_table(snapshot: Snapshot, count: int) -> Table:
    table = _empty_table()
    table.add_column("", width=6, justify="right", no_wrap=True)
    table.add_column("What happened", ratio=1, no_wrap=True, overflow="ellipsis")
    latest_lines = snapshot.audit_lines[-count:]
    for audit_line in latest_lines:
        table.add_row(Text(f"{audit_line.elapsed:.1f} s", style="dim"), styled_line(audit_line))
    for _ in range(count - len(latest_lines)):
        table.add_row()
    return table


def styled_line(audit_line: AuditLine) -> Text:
    """One event in its colour."""
    return Text(audit_line.text, style=_TONE_STYLES[audit_line.tone])
