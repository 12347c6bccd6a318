"""Describes a hold on a task: by a person, or by forecast of a conflict."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.text_safety.sanitize import code

SHOWN = 3  # files that a sentence names


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on a task until it is lifted: the task is not assigned, and its work is not merged.

    `paused` stops the task's deadlines as well. `behind` names a task of the repository, `#12`: the hold ends when that
    task is over. With `files` the hold is by forecast: both tasks will probably change these files. Such a hold only
    prevents the assignment.
    """

    by: str
    at: datetime
    reason: str = ""
    paused: bool = False
    behind: str = ""
    files: tuple[str, ...] = ()

    @property
    def foreseen(self) -> bool:
        """Whether the hold is by forecast and not by a person."""
        return bool(self.files)

    @property
    def said(self) -> str:
        """One or two sentences: who, why, and how to lift it."""
        if self.foreseen:
            files = _named(self.files)
            return f"Waiting for {self.behind}: both will probably change {files}. To start anyway, comment `/unblock`."
        if self.behind:
            return (
                f"Waiting for {self.behind}: {self.by} queued this task until {self.behind} is over. To "
                "continue anyway, comment `/unblock`."
            )
        why = f": {self.reason.rstrip('.')}" if self.reason else ""
        return f"{'Paused' if self.paused else 'Blocked'} by {self.by}{why}. To continue, comment `/{self.lifted_by}`."

    @property
    def lifted_by(self) -> str:
        """The command that lifts it."""
        return "resume" if self.paused else "unblock"


def _named(files: tuple[str, ...]) -> str:
    shown = [code(path) for path in files[:SHOWN]]
    if len(files) > SHOWN:
        shown.append(f"{len(files) - SHOWN} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
