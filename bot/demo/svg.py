"""The picture of the demo for the README: `python -m bot.demo.svg` plays it and writes docs/demo.svg."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.terminal_theme import DIMMED_MONOKAI

from bot.demo.monitor import Snapshot
from bot.demo.run import run_demo
from bot.demo.summary import Outcome
from bot.demo.view import INTRODUCTION, View

PICTURE = Path("docs/demo.svg")
WIDTH, EVENT_LINES = 118, 11  # columns, and lines of the audit trail
TITLE = "orchestrator demo"
# Rich's picture loads its font from a web server. Ours loads none: readers of the README have a monospace font.
_REMOTE_FONT = re.compile(r"@font-face\s*\{[^}]*\}\s*")


@dataclass(slots=True)
class FrameRecorder:
    """Keeps every snapshot instead of showing it."""

    snapshots: list[Snapshot] = field(default_factory=list)

    def begin(self) -> None:
        """Nothing to see yet."""

    def update(self, snapshot: Snapshot) -> None:
        """Keep it."""
        self.snapshots.append(snapshot)

    def end(self, outcome: Outcome) -> None:
        """Say on standard error what was wrong, if anything was."""
        sys.stderr.writelines(f"{problem}\n" for problem in outcome.problems)

    def close(self) -> None:
        """Nothing was opened."""

    def best_snapshot(self) -> Snapshot:
        """The moment in which most is to be seen: many statuses at once, feedback among the latest events."""
        return max(self.snapshots, key=_interest)


def _interest(snapshot: Snapshot) -> tuple[int, int, int]:
    statuses = len({task.status for task in snapshot.tasks})
    latest_lines = snapshot.audit_lines[-EVENT_LINES:]
    feedback = any(line.tone == "bad" for line in latest_lines)
    conflict = any("conflicts with the work on" in line.text for line in latest_lines)
    pulls = sum(task.pull is not None for task in snapshot.tasks)
    return len(snapshot.tasks), statuses + feedback + 2 * conflict, pulls


def render_svg(snapshot: Snapshot) -> str:
    """The snapshot as SVG, as the terminal shows it."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Panel(INTRODUCTION, title="MCP Orchestrator", title_align="left", border_style="dim"))
    console.print(View(snapshot, events=EVENT_LINES))
    return _REMOTE_FONT.sub("", console.export_svg(title=TITLE, theme=DIMMED_MONOKAI))


def main() -> int:
    """Play the demo and write the picture; returns the exit status."""
    recorder = FrameRecorder()
    status = run_demo(output=recorder)
    if status == 0:
        PICTURE.write_text(render_svg(recorder.best_snapshot()), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
