"""The check `conflict-first`: what it concludes, and what it says to people."""

from __future__ import annotations

from dataclasses import dataclass

from core.conflicts.pulls import FileConflict, Turn
from core.effects.base import Annotation
from core.task.model import Pull
from core.text_safety.sanitize import defuse, one_line
from core.texts.render import render

CONFLICT_CHECK = "conflict-first"
SUMMARY_LIMIT = 65_535  # characters of a check's summary; GitHub's limit
REMARKS = 50  # annotations that GitHub takes in one request; nobody reads more


@dataclass(frozen=True, slots=True)
class Shown:
    """What a check shows."""

    conclusion: str
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()


def conflict_check(pull: Pull) -> Shown:
    """The check for a pull request whose merge was tried. Only what has to wait, or be mended, fails."""
    trial = pull.trial
    if trial is None:
        raise ValueError(f"the merge of #{pull.number} was not tried")
    summary = render("conflict_check", pull=pull)[:SUMMARY_LIMIT]
    waits, behind = pull.waits_behind, [r for r in pull.rivals if r.waits is Turn.OTHER]
    if trial.clean is False:
        title = f"Conflicts with {one_line(pull.base, 60)} in {_count(trial.files)}"
        return Shown("failure", title, summary, _remarks(pull))
    if waits:
        first = waits[0]
        more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
        says = "A person must decide between it and" if first.waits is Turn.NOBODY else "Waits for"
        title = f"{says} #{first.pull}{more}: conflict in {_count(first.files)}"
        return Shown("failure", title, summary, _remarks(pull))
    if trial.clean is None:
        return Shown("neutral", "The trial merge failed", summary)
    title = f"Merges cleanly with {one_line(pull.base, 60)}"
    if behind:
        title += f"; {', '.join(f'#{r.pull}' for r in behind[:5])} waits for it"
    return Shown("success", title, summary)


def _count(files: tuple[FileConflict, ...]) -> str:
    return f"{len(files)} file{'s' if len(files) != 1 else ''}"


def _remarks(pull: Pull) -> tuple[Annotation, ...]:
    """A remark on each conflicting place, as it stands in the pull request."""
    trial = pull.trial
    found: list[Annotation] = []
    sides = [(trial.files, f"`{one_line(pull.base, 60)}`")] if trial and trial.clean is False else []
    sides += [(r.files, f"#{r.pull} of {one_line(r.who, 60)}") for r in pull.waits_behind]
    for files, other in sides:
        for file in files:
            for place, there in zip(file.here, (*file.there, *([None] * len(file.here))), strict=False):
                lines = f" (its lines {there.first}\u2013{there.last})" if there else ""
                text = defuse(f"{other} also changes these lines{lines}: the two conflict.")
                found.append(Annotation(file.path, place.first, place.last, text, "Conflict"))
    return tuple(found[:REMARKS])
