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

WIDEST = 120  # columns; longer lines are hard to read
NEXT = (
    ("README.md", "what this is, and how to run it for your own repository"),
    ("docs/running.md", "register the GitHub App and start the bot: make run"),
    ("docs/configuration.md", "agents, priorities, merging: .github/orchestrator.yml"),
    ("bot/demo/scenario.py", "the scenario you have just seen; change it and run it again"),
)


class Show(Protocol):
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


class JsonShow:
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


class LineShow:
    """A line for each event."""

    def __init__(self, console: Console) -> None:
        """`console` need not be a terminal."""
        self._console = console
        self._told = 0

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self) -> None:
        """Say what is going to happen."""
        self._say(INTRODUCTION)
        self._say("Starting the sandbox, the database and the bot …")

    def update(self, snapshot: Snapshot) -> None:
        """Print what is new."""
        for happening in snapshot.happenings[self._told :]:
            self._say(f"{happening.elapsed:6.1f} s  {happening.text}")
        self._told = len(snapshot.happenings)

    def end(self, outcome: Outcome) -> None:
        """Print the summary."""
        self._console.print(summary(outcome))
        self._say(last_line(outcome))

    def close(self) -> None:
        """Nothing was opened."""


class LiveShow:
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
        self._console.print(summary(outcome))
        self._console.print(last_line(outcome), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Give the cursor back."""
        self._live.stop()


def show_for(*, as_json: bool) -> Show:
    """The way that suits where standard output goes."""
    if as_json:
        return JsonShow()
    console = Console()
    if not console.is_terminal:
        return LineShow(console)
    return LiveShow(Console(width=min(console.width, WIDEST)))


def summary(outcome: Outcome) -> Group:
    """What came of it: the proof or the problems, the figures, and where to go next."""
    figures = outcome.figures
    calls = figures["github_calls"]
    latency = figures["assignment_latency_ms"]
    rounds = figures["feedback_rounds"]
    verdict = Table.grid(padding=(0, 1))
    for text in outcome.proof if outcome.well else ():
        verdict.add_row(Text("✓", style="bold green"), Text(text))
    for text in outcome.problems:
        verdict.add_row(Text("✗", style="bold red"), Text(text))
    measured = Table.grid(padding=(0, 2))
    measured.add_row("From ready to started", f"{latency['p50']:.0f} ms, p95 {latency['p95']:.0f} ms")
    measured.add_row("Sent back with feedback", f"{rounds} time{'' if rounds == 1 else 's'}")
    others = figures["reassignments"]
    measured.add_row(
        "Given to another agent",
        f"{others} time{'' if others == 1 else 's'}, within {figures['failover_seconds_max']:.1f} s",
    )
    met = figures["conflicts"]
    measured.add_row(
        "Conflicts found",
        f"{met['before_work']} before work, {met['during_work']} during work, {met['at_merge']} at the merge",
    )
    measured.add_row("Retrospectives", f"{figures['retrospectives']}")
    measured.add_row(
        "Alice was notified",
        f"{figures['nudges']} reminders, {figures['calls_answered']} calls; {figures['digests']} progress digests",
    )
    measured.add_row("Calls to GitHub", f"{sum(calls.values())} of {len(calls)} kinds")
    measured.add_row("Writes per task", f"{figures['content_writes_per_task']}")
    onward = Table.grid(padding=(0, 2))
    for name, why in NEXT:
        onward.add_row(Text(name, style="bold"), Text(why, style="dim"))
    parts: list[RenderableType] = [
        verdict,
        Text("\nMeasured", style="bold dim"),
        measured,
        Text("\nWhere to go next", style="bold dim"),
        onward,
    ]
    return Group(Padding(Group(*parts), (1, 0)))


def last_line(outcome: Outcome) -> str:
    """Everything in a line of plain words."""
    f = outcome.figures
    merged = "done and merged into main" if outcome.well else "done"
    return f"{f['tasks']} tasks: {f['done']} {merged}, {f['failed']} failed, {f['lost']} lost, in {f['seconds']:.1f} s."
