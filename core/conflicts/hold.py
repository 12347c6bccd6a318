"""A task is held back: by a person, or because it would meet another one that is under way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.text_safety.sanitize import code

SHOWN = 3  # files that a sentence names


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody holds the task back until it is lifted: it is not handed out, and its work is not merged.

    `paused` holds back the clock as well: no wait runs out. `behind` names a task of the repository, `#12`: the hold
    is over when that one is. With `files` it is ours, by forecast: both tasks are likely to change them. Such a hold
    keeps the task from being handed out, and nothing else.
    """

    by: str
    at: datetime
    reason: str = ""
    paused: bool = False
    behind: str = ""
    files: tuple[str, ...] = ()

    @property
    def foreseen(self) -> bool:
        """Whether it is ours, by forecast, and no person's."""
        return bool(self.files)

    @property
    def said(self) -> str:
        """One sentence or two: who, why, and how it is lifted."""
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
