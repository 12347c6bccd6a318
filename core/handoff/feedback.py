"""What was found wrong with an attempt, as the next one gets it: already cleaned, masked and bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """One check that failed on a commit, with what an agent needs to mend it."""

    name: str
    url: str
    step: str | None = None
    first_error: str | None = None
    failing_tests: tuple[str, ...] = ()
    log_tail: str = ""


@dataclass(frozen=True, slots=True)
class LineComment:
    """What a reviewer said of one line of a file, or of the file."""

    path: str
    line: int | None  # in the file as the pull request has it; None: the whole file, or a line that is no longer there
    text: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """Why an attempt did not succeed, in the words that the next one gets."""

    key: str  # makes the comment appear once: `ci:<sha>`, `review:<id>`, `agent:<attempt>`, …
    title: str
    details: str  # Markdown, already cleaned, masked and bounded
    at: datetime
    sha: str | None = None  # the commit that was found wanting
    failed_checks: tuple[FailedCheck, ...] = ()
    comments: tuple[LineComment, ...] = ()  # of a review; `details` has them too
