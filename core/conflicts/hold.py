"""Describes a hold on a task: by a person, or by forecast of a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.text_safety.sanitize import inline_code

MAX_LISTED_FILES = 3  # files that a sentence names


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on a task until it is lifted: the task is not assigned, and its work is not merged.

    `paused` stops the task's deadlines as well. `behind` names a task of the repository, `#12`: the hold ends when that
    task is over. With `files` the hold is by forecast: both tasks will probably change these files. Such a hold only
    prevents the assignment.
    """

    held_by: str
    held_at: datetime
    reason: str = ""
    is_paused: bool = False
    blocker: str = ""
    files: tuple[str, ...] = ()

    @property
    def is_forecast(self) -> bool:
        """Whether the hold is by forecast and not by a person."""
        return bool(self.files)

    @property
    def description(self) -> str:
        """One or two sentences: who, why, and how to lift it."""
        if self.is_forecast:
            files = _format_files(self.files)
            return (
                f"Waiting for {self.blocker}: both will probably change {files}. To start anyway, comment `/unblock`."
            )
        if self.blocker:
            return (
                f"Waiting for {self.blocker}: {self.held_by} queued this task until {self.blocker} is over. To "
                "continue anyway, comment `/unblock`."
            )
        suffix = f": {self.reason.rstrip('.')}" if self.reason else ""
        state = "Paused" if self.is_paused else "Blocked"
        return f"{state} by {self.held_by}{suffix}. To continue, comment `/{self.release_command}`."

    @property
    def release_command(self) -> str:
        """The command that lifts it."""
        return "resume" if self.is_paused else "unblock"


def _format_files(files: tuple[str, ...]) -> str:
    names = [inline_code(path) for path in files[:MAX_LISTED_FILES]]
    if len(files) > MAX_LISTED_FILES:
        names.append(f"{len(files) - MAX_LISTED_FILES} more")
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
