"""Summarizes a task's conflicts from its own state."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from core.conflicts.pulls import ConflictingPull, FileConflict, Precedence
from core.task.model import Pull, Status, Task
from core.text_safety.sanitize import code

NAMED_FILES = 3  # in one sentence


def conflict_of(task: Task) -> str | None:
    """Why the task has the flag `conflict`, in one sentence; None if it does not."""
    pull = task.pull
    if pull and pull.open:
        if pull.trial and pull.trial.clean is False:
            return f"#{pull.number} conflicts with {code(pull.base)} in {named(pull.trial.files)}."
        if pull.waits_behind:
            return conflict_sentence(pull.waits_behind[0])
    if task.waits_for and task.status in (Status.IN_PROGRESS, Status.REVIEW):
        names = ", ".join(task.waits_for)
        return f"The task is in progress, but depends on {names}: the bot does not merge it before that is done."
    return None


def conflict_sentence(rival: ConflictingPull) -> str:
    """One sentence about a pull request that conflicts with this one."""
    theirs = f"#{rival.pull}" if rival.task is None else f"#{rival.pull} (for #{rival.task})"
    both = f"It conflicts with {theirs} in {named(rival.files)}"
    if rival.ignored:
        return f"{both}; a person chose to ignore this for a day."
    match rival.waits:
        case Precedence.THIS:
            return f"{both}; this pull request waits until the other is merged or closed."
        case Precedence.OTHER:
            return f"{both}; the other pull request waits."
        case Precedence.NEITHER:
            return f"{both}, and neither can wait: a person must decide."


def conflicts_of(task: Task, twins: Collection[int] = ()) -> tuple[str, ...]:
    """One sentence for each conflict; `twins` are open duplicates of the task."""
    pull = task.pull
    found = [said] if (said := conflict_of(task)) else []
    if pull and pull.open:
        found += [conflict_sentence(rival) for rival in pull.rivals if conflict_sentence(rival) not in found]
    last = task.history[-1].feedback if task.history else None
    if task.lease is None and last and last.key.startswith("conflict:"):
        found.append(f"The last attempt ended with a conflict: {last.title}.")
    found += [f"It is a duplicate of #{number}." for number in sorted(twins)]
    return tuple(found)


def trial_of(task: Task) -> str | None:
    """The result of the last trial merge of the pull request; None if no pull request is open."""
    pull = task.pull
    if pull is None or not pull.open:
        return None
    head, trial = f"#{pull.number} at `{pull.head_sha[:8]}`", pull.trial
    if trial is None or pull.mergeable_sha != pull.head_sha:
        return f"{head} has had no trial merge with `{pull.base}` yet."
    if trial.clean:
        return f"{head} merges cleanly with `{pull.base}`."
    if trial.clean is False:
        return f"{head} conflicts with `{pull.base}` in {named(trial.files)}."
    reason = f": {trial.problem}" if trial.problem else ""
    return f"The trial merge of {head} with `{pull.base}` could not be made{reason}."


def blocking_pull(task: Task) -> tuple[int, ...]:
    """The tasks whose pull requests conflict with this task's and were opened before it."""
    rivals = task.pull.rivals if task.pull and task.pull.open else ()
    return tuple(rival.task for rival in rivals if rival.task is not None and rival.first)


def is_ignored(
    rivals: Collection[ConflictingPull], ignored: Mapping[int, datetime], now: datetime
) -> tuple[ConflictingPull, ...]:
    """The conflicting pulls, marked if a person ignores them now; `ignored` maps their numbers to the end."""
    return tuple(replace(r, ignored=r.pull in ignored and ignored[r.pull] > now) for r in rivals)


def check_fingerprint(pull: Pull, conclusion: str) -> str:
    """Identifies what the check `conflict-first` shows; it is written again if this changes.

    Neither the base's commit nor the other's head is part of it: they change all the time while the conflict stays the
    same.
    """
    trial = pull.trial.files if pull.trial and pull.trial.clean is False else ()
    rivals = [(r.pull, r.waits.value, r.ignored, r.files) for r in pull.rivals]
    return f"{pull.head_sha}:{conclusion}:{_digest(trial, rivals)}"


def _digest(*parts: object) -> str:
    # All parts are plain values: their `repr` is the same in every process.
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:16]


def named(files: Collection[FileConflict]) -> str:
    """The first files by name, and the number of the others."""
    told = ", ".join(code(file.path) for file in list(files)[:NAMED_FILES])
    more = len(files) - NAMED_FILES
    return f"{told} and {more} more" if more > 0 else told or "unknown files"
