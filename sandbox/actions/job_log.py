"""The log of a workflow job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime


class JobLog:
    """A job's log in GitHub's format: a time stamp with seven decimals before every line."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        """Add text, one stamped line for each of its lines."""
        stamp = self._now().strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
        self.lines.extend(f"{stamp} {part}" for part in line.split("\n"))

    def group(self, title: str, *lines: str) -> None:
        """Add a folded group."""
        self.write("\n".join([f"##[group]{title}", *lines, "##[endgroup]"]))

    def error(self, message: str) -> None:
        """Add an error line."""
        self.write(f"##[error]{message}")

    @property
    def text(self) -> str:
        """The whole log."""
        return "".join(f"{line}\n" for line in self.lines)
