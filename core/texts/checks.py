"""Writes the check `conflict-first`: conclusion and text."""

from __future__ import annotations

from dataclasses import dataclass

from core.conflicts.pulls import FileConflict, Precedence
from core.effects.base import Annotation
from core.task.model import Pull
from core.text_safety.sanitize import defuse, one_line
from core.texts.render import render

CONFLICT_CHECK = "conflict-first"
SUMMARY_LIMIT = 65_535  # characters of a check's summary; GitHub's limit
MAX_ANNOTATIONS = 50  # annotations that GitHub accepts in one request; more are not readable


@dataclass(frozen=True, slots=True)
class CheckText:
    """What a check shows."""

    conclusion: str
    title: str
    summary: str
    annotations: tuple[Annotation, ...] = ()


def conflict_check(pull: Pull) -> CheckText:
    """The check for a pull request after its trial merge. It fails only if the pull request must wait or be fixed."""
    trial = pull.trial_merge
    if trial is None:
        raise ValueError(f"the merge of #{pull.number} was not tried")
    summary = render("conflict_check", pull=pull)[:SUMMARY_LIMIT]
    waits, waiting_pulls = (
        pull.blocking_pulls,
        [conflicting for conflicting in pull.conflicting_pulls if conflicting.precedence is Precedence.OTHER],
    )
    if trial.clean is False:
        title = f"Conflicts with {one_line(pull.base, 60)} in {_file_count(trial.files)}"
        return CheckText("failure", title, summary, _annotations(pull))
    if waits:
        first = waits[0]
        more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
        action = "A person must decide between it and" if first.precedence is Precedence.NEITHER else "Waits for"
        title = f"{action} #{first.pull}{more}: conflict in {_file_count(first.files)}"
        return CheckText("failure", title, summary, _annotations(pull))
    if trial.clean is None:
        return CheckText("neutral", "The trial merge failed", summary)
    title = f"Merges cleanly with {one_line(pull.base, 60)}"
    if waiting_pulls:
        title += f"; {', '.join(f'#{conflicting.pull}' for conflicting in waiting_pulls[:5])} waits for it"
    return CheckText("success", title, summary)


def _file_count(files: tuple[FileConflict, ...]) -> str:
    return f"{len(files)} file{'s' if len(files) != 1 else ''}"


def _annotations(pull: Pull) -> tuple[Annotation, ...]:
    """An annotation for each conflicting place, with the lines of the pull request."""
    trial = pull.trial_merge
    annotations: list[Annotation] = []
    sides = [(trial.files, f"`{one_line(pull.base, 60)}`")] if trial and trial.clean is False else []
    sides += [
        (conflicting.files, f"#{conflicting.pull} of {one_line(conflicting.owner, 60)}")
        for conflicting in pull.blocking_pulls
    ]
    for files, other in sides:
        for file in files:
            for span, other_span in zip(
                file.own_lines, (*file.other_lines, *([None] * len(file.own_lines))), strict=False
            ):
                lines = f" (its lines {other_span.first}\u2013{other_span.last})" if other_span else ""
                text = defuse(f"{other} also changes these lines{lines}: the two conflict.")
                annotations.append(Annotation(file.path, span.first, span.last, text, "Conflict"))
    return tuple(annotations[:MAX_ANNOTATIONS])
