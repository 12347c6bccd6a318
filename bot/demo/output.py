"""Three ways to show a demo: a live picture in a terminal, lines in a file or pipe, nothing but JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot.demo.monitor import Snapshot
from bot.demo.summary import Outcome
from bot.demo.view import INTRODUCTION, View

MAX_WIDTH = 120  # columns; longer lines are hard to read
NEXT_STEPS = (
    ("README.md", "what this is, and how to run it for your own repository"),
    ("docs/running.md", "register the GitHub App and start the bot: make run"),
    ("docs/configuration.md", "agents, priorities, merging: .github/orchestrator.yml"),
    ("bot/demo/scenario.py", "the scenario you have just seen; change it and run it again"),
)


class Output(Protocol):
    """What a demo tells, in this order: it begins, it goes on, it ends."""

    def begin(self) -> None:
        """Everything is about to start."""
        ...

    def update(self, snapshot: Snapshot) -> None:
        """Things stand like this now."""
        ...

    def end(self, outcome: Outcome) -> None:
        """It is over."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was; also after a failure."""
        ...


class JsonOutput:
    """One JSON object on standard output; what went wrong on standard error."""

    def begin(self) -> None:
        """Say nothing."""

    def update(self, snapshot: Snapshot) -> None:
        """Say nothing."""

    def end(self, outcome: Outcome) -> None:
        """Print the summary in one line."""
        for problem in outcome.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - this is the command's output
        print(json.dumps(outcome.figures), flush=True)  # noqa: T201 - this is the command's output

    def close(self) -> None:
        """Nothing was opened."""


class LineOutput:
    """A line for each event."""

    def __init__(self, console: Console) -> None:
        """`console` need not be a terminal."""
        self._console = console
        self._printed_count = 0

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self) -> None:
        """Say what is going to happen."""
        self._print(INTRODUCTION)
        self._print("Starting the sandbox, the database and the bot …")

    def update(self, snapshot: Snapshot) -> None:
        """Print what is new."""
        for line in snapshot.audit_lines[self._printed_count :]:
            self._print(f"{line.elapsed:6.1f} s  {line.text}")
        self._printed_count = len(snapshot.audit_lines)

    def end(self, outcome: Outcome) -> None:
        """Print the summary."""
        self._console.print(summary_table(outcome))
        self._print(summary_line(outcome))

    def close(self) -> None:
        """Nothing was opened."""


class LiveOutput:
    """The picture, kept up to date in place."""

    def __init__(self, console: Console) -> None:
        """`console` is a terminal."""
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="ellipsis")

    def begin(self) -> None:
        """Say what is going to happen."""
        self._console.print(Panel(INTRODUCTION, title="MCP Orchestrator", title_align="left", border_style="dim"))
        self._live.start()
        self._live.update(Text("Starting the sandbox, the database and the bot …", style="dim"), refresh=True)

    def update(self, snapshot: Snapshot) -> None:
        """Draw it again."""
        self._live.update(View(snapshot), refresh=True)

    def end(self, outcome: Outcome) -> None:
        """Leave the last picture, and print the summary below it."""
        self._live.stop()
        self._console.print(summary_table(outcome))
        self._console.print(summary_line(outcome), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Restore the cursor."""
        self._live.stop()


def choose_output(*, as_json: bool) -> Output:
    """The way that suits where standard output goes."""
    if as_json:
        return JsonOutput()
    console = Console()
    if not console.is_terminal:
        return LineOutput(console)
    return LiveOutput(Console(width=min(console.width, MAX_WIDTH)))


def summary_table(outcome: Outcome) -> Group:
    """What came of it: the proof or the problems, the figures, and where to go next."""
    figures = outcome.figures
    calls = figures["github_calls"]
    latency = figures["assignment_latency_ms"]
    feedback_rounds = figures["feedback_rounds"]
    verdict_table = Table.grid(padding=(0, 1))
    for text in outcome.proof if outcome.is_success else ():
        verdict_table.add_row(Text("✓", style="bold green"), Text(text))
    for text in outcome.problems:
        verdict_table.add_row(Text("✗", style="bold red"), Text(text))
    metrics_table = Table.grid(padding=(0, 2))
    metrics_table.add_row("From ready to started", f"{latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms")
    metrics_table.add_row("Sent back with feedback", f"{feedback_rounds} time{'' if feedback_rounds == 1 else 's'}")
    reassignments = figures["reassignments"]
    metrics_table.add_row(
        "Given to another agent",
        f"{reassignments} time{'' if reassignments == 1 else 's'}, within {figures['failover_seconds_max']:.1f} s",
    )
    conflicts = figures["conflicts"]
    metrics_table.add_row(
        "Conflicts found",
        f"{conflicts['before_work']} before work, {conflicts['during_work']} during work, "
        f"{conflicts['at_merge']} at the merge",
    )
    metrics_table.add_row("Retrospectives", f"{figures['retrospectives']}")
    metrics_table.add_row(
        "Alice was notified",
        f"{figures['nudges']} reminders, {figures['calls_answered']} calls; {figures['digests']} progress digests",
    )
    metrics_table.add_row("Calls to GitHub", f"{sum(calls.values())} of {len(calls)} kinds")
    metrics_table.add_row("Writes per task", f"{figures['content_writes_per_task']}")
    next_steps_table = Table.grid(padding=(0, 2))
    for name, description in NEXT_STEPS:
        next_steps_table.add_row(Text(name, style="bold"), Text(description, style="dim"))
    parts: list[RenderableType] = [
        verdict_table,
        Text("\nMeasured", style="bold dim"),
        metrics_table,
        Text("\nWhere to go next", style="bold dim"),
        next_steps_table,
    ]
    return Group(Padding(Group(*parts), (1, 0)))


def summary_line(outcome: Outcome) -> str:
    """Everything in a line of plain words."""
    figures = outcome.figures
    merged = "done and merged into main" if outcome.is_success else "done"
    counts = f"{figures['done']} {merged}, {figures['failed']} failed, {figures['lost']} lost"
    return f"{figures['tasks']} tasks: {counts}, in {figures['seconds']:.1f} s."
