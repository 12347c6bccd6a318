"""Conflict-first, and the merge itself."""

from __future__ import annotations

from dataclasses import replace

from core.buttons import ON_CONFLICT
from core.decide.attempts import send_back
from core.decide.draft import Draft
from core.decide.finish import ask_again, evaluate, say_done
from core.effects import CheckRun, TryMerge
from core.events import EventType
from core.feedback import Feedback
from core.sanitise import defuse, mask_secrets, one_line
from core.signals import BaseMoved, MergeRefused, MergeTried
from core.task import Flag, Pull, Status
from core.texts import CONFLICT_CHECK, conflict_check, conflict_details


def tried(draft: Draft, signal: MergeTried) -> None:
    """The head was merged with its base on the mirror. Say the result on the pull request, and act on it."""
    pull = draft.task.pull
    if pull is None or not pull.open or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if signal.touched:
        pull = draft.set_pull(files=signal.touched)
    conclusion, title, summary = conflict_check(signal, pull)
    shown = f"{pull.head_sha}:{conclusion}"
    if shown != pull.conflict_shown:
        draft.set_pull(conflict_shown=shown)
        check = CheckRun(
            draft.task.number, CONFLICT_CHECK, pull.head_sha, conclusion, title, summary, attempt=pull.attempt
        )
        draft.want(replace(check, actions=ON_CONFLICT) if signal.clean is False else check)
    if signal.clean is False:
        _conflict(draft, signal, pull)
        return
    # Where the merge could not be tried, GitHub's own refusal of conflicts is still behind us.
    draft.set_pull(mergeable_sha=pull.head_sha, tried_base_sha=signal.base_sha or None)
    if Flag.CONFLICT in draft.task.flags:
        draft.task = draft.task.unflagged(Flag.CONFLICT)
        draft.tell(EventType.CONFLICT_RESOLVED, pull=pull.number)
    evaluate(draft)


def _conflict(draft: Draft, signal: MergeTried, pull: Pull) -> None:
    draft.tell(EventType.CONFLICT_DETECTED, kind="merge", pull=pull.number, files=list(signal.files))
    if draft.task.status is not Status.REVIEW:
        draft.task = draft.task.flagged(Flag.CONFLICT, f"#{pull.number} conflicts with `{pull.base}`.")
        return
    send_back(
        draft,
        Feedback(
            key=f"conflict:{signal.head_sha}:{signal.base_sha}",
            title=f"The branch conflicts with {pull.base}",
            details=conflict_details(signal, pull),
            at=draft.now,
            sha=signal.head_sha,
        ),
        # Nobody's fault: somebody else was merged first.
        blamed=False,
        cancel=False,
    )


def base_moved(draft: Draft, signal: BaseMoved) -> None:
    """Something went into the base: what was clean before may conflict now."""
    pull = draft.task.pull
    if pull is None or not pull.open or pull.base != signal.base:
        return
    ask_again(draft)
    draft.set_pull(mergeable_sha=None, merge_requested_sha=None)
    draft.want(TryMerge(draft.task.number, pull.number, pull.branch, pull.base, pull.head_sha))


def refused(draft: Draft, signal: MergeRefused) -> None:
    """GitHub would not merge: show why. A new push, review or base lets us ask again."""
    pull = draft.task.pull
    if pull is None or pull.merged or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if pull.dod_shown is None:
        # Where nothing was missing nothing was said; but a branch may be protected by that very check.
        say_done(draft, pull)
        draft.set_pull(merge_requested_sha=None)
        evaluate(draft)
        return
    reason = defuse(one_line(mask_secrets(signal.reason), 300))
    draft.task = draft.task.flagged(Flag.BLOCKED, f"GitHub did not merge #{pull.number}: {reason}")
