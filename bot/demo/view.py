"""The picture of a snapshot: tasks, agents, the latest events."""

from __future__ import annotations

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from bot.demo.monitor import AgentRow, Snapshot
from bot.demo.narration import AuditLine, note
from core.task.model import Kind, Priority, Status, Task

INTRODUCTION = (
    "This machine runs a GitHub sandbox, the orchestrator and four scripted agents: two in workflows, two outside. "
    "One of the outside agents dies at work, the other is out of credit. Alice, the maintainer, files tasks as "
    "issues; some conflict and she overlooks one. The tasks become merged pull requests without anyone copying "
    "text. Time passes eight times "
    "faster."
)
WIDE = 108  # columns from which on words are written out
FEWEST_EVENTS, MOST_EVENTS = 2, 12

STATUS_STYLES = {
    Status.PENDING: "magenta",
    Status.READY: "cyan",
    Status.IN_PROGRESS: "yellow",
    Status.REVIEW: "blue",
    Status.DONE: "bold green",
    Status.FAILED: "bold red",
}
_MARKS = {
    Status.PENDING: "…",
    Status.READY: "○",
    Status.IN_PROGRESS: "▶",
    Status.REVIEW: "◆",
    Status.DONE: "✓",
    Status.FAILED: "✗",
}
_PRIORITY_STYLES = {Priority.P0: "bold red", Priority.P1: "yellow", Priority.P2: "dim"}
_TONES = {"plain": "", "good": "green", "bad": "red", "person": "magenta"}


class View:
    """A snapshot that draws itself in the room there is."""

    def __init__(self, snapshot: Snapshot, *, events: int | None = None) -> None:
        """`events` is how many of the latest events to show; as many as there is room for if None."""
        self._snapshot = snapshot
        self._events = events

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        shown = self._snapshot
        wide = options.max_width >= WIDE
        fixed = 7 + shown.expected + len(shown.agents)  # lines: the headline, three headers, two tables
        room = console.height - fixed - 1
        airy = self._events is not None or room >= MOST_EVENTS // 2 + 2
        events = self._events or min(MOST_EVENTS, max(FEWEST_EVENTS, room - 2 * airy))
        parts = [_tasks(shown, wide=wide), _agents(shown), _latest(shown, events)]
        yield _headline(shown)
        for number, part in enumerate(parts):
            if number and airy:
                yield ""
            yield part


def _headline(shown: Snapshot) -> RenderableType:
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    done, failed = shown.count(Status.DONE), shown.count(Status.FAILED)
    state = Text.assemble((f"{done} of {shown.expected} done", "bold green" if done == shown.expected else "bold"))
    if failed:
        state.append(f", {failed} failed", style="bold red")
    state.append(f"  {shown.elapsed:5.1f} s", style="dim")
    grid.add_row(Text("acme/shop", style="bold"), state)
    return grid


def _table() -> Table:
    return Table(
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="dim",
        border_style="dim",
        show_edge=False,
    )


def _tasks(shown: Snapshot, *, wide: bool) -> Table:
    table = _table()
    table.add_column("#", justify="right", width=2)
    table.add_column("Task", ratio=4, no_wrap=True, overflow="ellipsis")
    table.add_column("", width=2)
    table.add_column("Class", width=14 if wide else 5, no_wrap=True)
    table.add_column("Status", width=13, no_wrap=True)
    table.add_column("Agent", width=6, no_wrap=True)
    table.add_column("PR", width=3, no_wrap=True, justify="right")
    table.add_column("", ratio=3, no_wrap=True, overflow="ellipsis")
    for task in shown.tasks:
        table.add_row(*_row(task, wide=wide))
    for _ in range(shown.expected - len(shown.tasks)):
        table.add_row()  # the picture does not jump while tasks are filed
    return table


def _row(task: Task, *, wide: bool) -> list[RenderableType]:
    kind = task.kind.value if wide else {Kind.FUNCTIONAL: "func", Kind.NON_FUNCTIONAL: "other"}[task.kind]
    style = STATUS_STYLES[task.status]
    holder = task.lease.agent if task.lease else task.history[-1].agent if task.history and not task.is_open else ""
    return [
        str(task.number),
        Text(task.title, style="dim" if task.status is Status.DONE else ""),
        Text(task.priority.value, style=_PRIORITY_STYLES[task.priority]),
        Text(kind, style="dim"),
        Text(f"{_MARKS[task.status]} {task.status.value}", style=style),
        Text(holder, style="" if task.lease else "dim"),
        Text(f"#{task.pull.number}" if task.pull else "", style="dim"),
        Text(note(task), style="dim"),
    ]


def _agents(shown: Snapshot) -> Table:
    table = _table()
    table.add_column("Agent", width=8, no_wrap=True)
    table.add_column("Can do", ratio=2, no_wrap=True, overflow="ellipsis")
    table.add_column("Working on", ratio=1, no_wrap=True)
    table.add_column("Done", width=5, justify="right")
    table.add_column("Sent back", width=10, justify="right")
    for agent in shown.agents:
        table.add_row(*_agent(agent))
    return table


def _agent(agent: AgentRow) -> list[RenderableType]:
    holds = (
        Text(" ".join(f"#{n}" for n in agent.busy_with), style="yellow")
        if agent.busy_with
        else Text("free", style="dim")
    )
    back = Text(str(agent.sent_back), style="red" if agent.sent_back else "dim")
    return [
        Text(agent.name, style="bold"),
        Text(", ".join(agent.capabilities), style="dim"),
        holds,
        Text(str(agent.done), style="green" if agent.done else "dim"),
        back,
    ]


def _latest(shown: Snapshot, count: int) -> Table:
    table = _table()
    table.add_column("", width=6, justify="right", no_wrap=True)
    table.add_column("What happened", ratio=1, no_wrap=True, overflow="ellipsis")
    latest = shown.happenings[-count:]
    for happening in latest:
        table.add_row(Text(f"{happening.elapsed:.1f} s", style="dim"), line(happening))
    for _ in range(count - len(latest)):
        table.add_row()
    return table


def line(happening: AuditLine) -> Text:
    """One event in its colour."""
    return Text(happening.text, style=_TONES[happening.tone])
