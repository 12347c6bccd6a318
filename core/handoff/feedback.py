"""Describes what was wrong with an attempt, cleaned, masked and bounded for the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """One check that failed on a commit, with what an agent needs to fix it."""

    name: str
    url: str
    step: str | None = None
    first_error: str | None = None
    failing_tests: tuple[str, ...] = ()
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class LineComment:
    """A reviewer's comment on one line of a file, or on the file."""

    path: str
    line: int | None  # in the pull request's version; None: the whole file, or a line that no longer exists
    text: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """Why an attempt failed, as text for the next attempt."""

    key: str  # makes the comment appear once: `ci:<sha>`, `review:<id>`, `agent:<attempt>`, …
    title: str
    details: str  # Markdown, already cleaned, masked and bounded
    created_at: datetime
    sha: str | None = None  # the rejected commit
    failed_checks: tuple[FailedCheck, ...] = ()
    comments: tuple[LineComment, ...] = ()  # of a review; `details` has them too
