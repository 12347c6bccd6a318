"""Summarizes a task's conflicts from its own state."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from core.conflicts.pulls import ConflictingPull, FileConflict, Precedence
from core.task.model import Pull, Status, Task
from core.text_safety.sanitize import inline_code

MAX_LISTED_FILES = 3  # in one sentence


def conflict_reason(task: Task) -> str | None:
    """Why the task has the flag `conflict`, in one sentence; None if it does not."""
    pull = task.pull
    if pull and pull.open:
        if pull.trial_merge and pull.trial_merge.clean is False:
            return f"#{pull.number} conflicts with {inline_code(pull.base)} in {format_files(pull.trial_merge.files)}."
        if pull.blocking_pulls:
            return conflict_sentence(pull.blocking_pulls[0])
    if task.open_dependencies and task.status in (Status.IN_PROGRESS, Status.REVIEW):
        names = ", ".join(task.open_dependencies)
        return f"The task is in progress, but depends on {names}: the bot does not merge it before that is done."
    return None


def conflict_sentence(conflicting_pull: ConflictingPull) -> str:
    """One sentence about a pull request that conflicts with this one."""
    other_text = (
        f"#{conflicting_pull.pull}"
        if conflicting_pull.task is None
        else f"#{conflicting_pull.pull} (for #{conflicting_pull.task})"
    )
    summary = f"It conflicts with {other_text} in {format_files(conflicting_pull.files)}"
    if conflicting_pull.is_ignored:
        return f"{summary}; a person chose to ignore this for a day."
    match conflicting_pull.precedence:
        case Precedence.THIS:
            return f"{summary}; this pull request waits until the other is merged or closed."
        case Precedence.OTHER:
            return f"{summary}; the other pull request waits."
        case Precedence.NEITHER:
            return f"{summary}, and neither can wait: a person must decide."


def conflict_sentences(task: Task, duplicates: Collection[int] = ()) -> tuple[str, ...]:
    """One sentence for each conflict; `duplicates` are open duplicates of the task."""
    pull = task.pull
    sentences = [reason] if (reason := conflict_reason(task)) else []
    if pull and pull.open:
        sentences += [
            conflict_sentence(conflicting_pull)
            for conflicting_pull in pull.conflicting_pulls
            if conflict_sentence(conflicting_pull) not in sentences
        ]
    last_feedback = task.history[-1].feedback if task.history else None
    if task.lease is None and last_feedback and last_feedback.key.startswith("conflict:"):
        sentences.append(f"The last attempt ended with a conflict: {last_feedback.title}.")
    sentences += [f"It is a duplicate of #{number}." for number in sorted(duplicates)]
    return tuple(sentences)


def trial_merge_text(task: Task) -> str | None:
    """The result of the last trial merge of the pull request; None if no pull request is open."""
    pull = task.pull
    if pull is None or not pull.open:
        return None
    head, trial = f"#{pull.number} at `{pull.head_sha[:8]}`", pull.trial_merge
    if trial is None or pull.mergeable_sha != pull.head_sha:
        return f"{head} has had no trial merge with `{pull.base}` yet."
    if trial.clean:
        return f"{head} merges cleanly with `{pull.base}`."
    if trial.clean is False:
        return f"{head} conflicts with `{pull.base}` in {format_files(trial.files)}."
    result = f": {trial.problem}" if trial.problem else ""
    return f"The trial merge of {head} with `{pull.base}` could not be made{result}."


def blocking_pull(task: Task) -> tuple[int, ...]:
    """The tasks whose pull requests conflict with this task's and were opened before it."""
    conflicting_pulls = task.pull.conflicting_pulls if task.pull and task.pull.open else ()
    return tuple(
        conflicting_pull.task
        for conflicting_pull in conflicting_pulls
        if conflicting_pull.task is not None and conflicting_pull.is_older
    )


def is_ignored(
    conflicting_pulls: Collection[ConflictingPull], ignored_conflicts: Mapping[int, datetime], now: datetime
) -> tuple[ConflictingPull, ...]:
    """The conflicting pulls, marked if a person ignores them now; `ignored_conflicts` maps their numbers to the end."""
    return tuple(
        replace(
            conflicting_pull,
            is_ignored=conflicting_pull.pull in ignored_conflicts and ignored_conflicts[conflicting_pull.pull] > now,
        )
        for conflicting_pull in conflicting_pulls
    )


def check_fingerprint(pull: Pull, conclusion: str) -> str:
    """Identifies what the check `conflict-first` shows; it is written again if this changes.

    Neither the base's commit nor the other's head is part of it: they change all the time while the conflict stays the
    same.
    """
    base_conflicts = pull.trial_merge.files if pull.trial_merge and pull.trial_merge.clean is False else ()
    pull_conflicts = [
        (conflicting_pull.pull, conflicting_pull.precedence.value, conflicting_pull.is_ignored, conflicting_pull.files)
        for conflicting_pull in pull.conflicting_pulls
    ]
    return f"{pull.head_sha}:{conclusion}:{_hash(base_conflicts, pull_conflicts)}"


def _hash(*parts: object) -> str:
    # All parts are plain values: their `repr` is the same in every process.
    return hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()[:16]


def format_files(files: Collection[FileConflict]) -> str:
    """The first files by name, and the number of the others."""
    names = ", ".join(inline_code(file.path) for file in list(files)[:MAX_LISTED_FILES])
    remaining = len(files) - MAX_LISTED_FILES
    return f"{names} and {remaining} more" if remaining > 0 else names or "unknown files"
