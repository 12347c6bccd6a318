"""Conflict-first, and the merge itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from core.audit.events import EventType
from core.conflicts.pulls import Rival, Turn
from core.conflicts.summary import conflict_of, let_pass, said_of, shown_by
from core.decide.attempts import send_back
from core.decide.builder import Draft
from core.decide.completion import ask_again, conflict_said, evaluate, say_done
from core.decide.escalation import call_person
from core.escalation.model import Cause
from core.handoff.feedback import Feedback
from core.signals.base import BaseMoved, MergeRefused, MergeTried
from core.task.model import Flag, Pull, Status
from core.text_safety.sanitize import defuse, mask_secrets, one_line
from core.texts import conflict_details
from core.texts.checks import conflict_check

LET_PASS_FOR = timedelta(days=1)  # that is how long a person lets a conflict pass
FILES_TOLD = 50  # names of files that one line of the audit trail holds


def tried(draft: Draft, signal: MergeTried) -> None:
    """The head was merged with its base and the others. Say the result on the pull request, and act on it."""
    pull = draft.task.pull
    if pull is None or not pull.open or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if pull.base_sha not in (None, signal.base_sha) and signal.base_sha:
        if pull.base_sha not in signal.past:
            return  # the base moved while it was tried: the comparison that this asked for is on its way
        pull = draft.set_pull(base_sha=signal.base_sha)  # the news of where it was came late
    known, flagged = {rival.pull: rival.waits for rival in pull.waits_behind}, Flag.CONFLICT in draft.task.flags
    rivals = pull.rivals if signal.rivals is None else signal.rivals
    before = pull.trial
    pull = draft.set_pull(
        trial=signal.trial,
        rivals=let_pass(rivals, draft.task.ignored, draft.now),
        files=signal.touched or pull.files,
    )
    say_conflicts(draft, pull)
    if signal.clean is False:
        if before is None or before.clean is not False or before.files != signal.files:
            _tell_conflict(draft, signal, pull)
        _send_back(draft, signal, pull)
        return
    # Where the merge could not be tried, GitHub's own refusal of conflicts is still behind us.
    pull = draft.set_pull(mergeable_sha=pull.head_sha, tried_base_sha=signal.base_sha or None)
    _tell_new(draft, pull, [rival for rival in pull.waits_behind if known.get(rival.pull) is not rival.waits])
    if flagged and conflict_of(draft.task) is None:
        draft.tell(EventType.CONFLICT_RESOLVED, pull=pull.number)
    evaluate(draft)


def say_conflicts(draft: Draft, pull: Pull) -> None:
    """Write the check `conflict-first`; only when it says something new, because every write costs."""
    shown = shown_by(pull, conflict_check(pull).conclusion)
    if shown == pull.conflict_shown:
        return
    # That all is well calls nobody. Where something was wrong, somebody may be waiting for just that.
    was_well = pull.conflict_shown is None or pull.conflict_shown.split(":")[1] == "success"
    draft.set_pull(conflict_shown=shown)
    check = conflict_said(draft.task.number, pull)
    draft.want(replace(check, may_wait=was_well and check.conclusion == "success"))


def let_be(draft: Draft, who: str) -> tuple[Rival, ...]:
    """A person lets the pull requests be behind which this one waits, for a day; gives which."""
    task, pull = draft.task, draft.task.pull
    rivals = pull.waits_behind if pull and pull.open else ()
    if pull is None or not rivals:
        return ()
    until = draft.now + LET_PASS_FOR
    draft.set(ignored={**task.ignored, **{rival.pull: until for rival in rivals}})
    say_conflicts(draft, draft.set_pull(rivals=let_pass(pull.rivals, draft.task.ignored, draft.now)))
    draft.tell(EventType.CONFLICT_RESOLVED, actor=who, how="ignore", pulls=[rival.pull for rival in rivals])
    return rivals


def _tell_new(draft: Draft, pull: Pull, rivals: Collection[Rival]) -> None:
    """Rivals behind which it did not wait before: a line in the trail for each, and a person where neither can wait."""
    for rival in rivals:
        undecided = rival.waits is Turn.NOBODY
        draft.tell(
            EventType.CONFLICT_DETECTED,
            kind="branches",
            tasks=[number for number in (draft.task.number, rival.task) if number],
            pulls=[pull.number, rival.pull],
            agents=[draft.task.lease.agent if draft.task.lease else pull.author.login, rival.who],
            files=[file.path for file in rival.files[:FILES_TOLD]],
            severity="high" if undecided else "medium",
            waits=None if undecided else pull.number,
        )
        # Of two tasks the later one calls, so that nobody is called twice.
        if undecided and (rival.task is None or rival.first):
            call_person(draft, said_of(rival), Cause.RIVALS, topic=f"rivals:{pull.number}:{rival.pull}")


def _tell_conflict(draft: Draft, signal: MergeTried, pull: Pull) -> None:
    lease = draft.task.lease
    draft.tell(
        EventType.CONFLICT_DETECTED,
        kind="base",
        tasks=[draft.task.number],
        pulls=[pull.number],
        agents=[lease.agent] if lease else [],
        files=[file.path for file in signal.files[:FILES_TOLD]],
        severity="high",
    )


def _send_back(draft: Draft, signal: MergeTried, pull: Pull) -> None:
    if draft.task.status is not Status.REVIEW:
        return  # its agent is still at work on it
    send_back(
        draft,
        Feedback(
            key=f"conflict:{signal.head_sha}:{signal.base_sha}",
            title=f"The branch conflicts with {pull.base}",
            details=conflict_details(signal.trial, pull),
            at=draft.now,
            sha=signal.head_sha,
        ),
        # Nobody's fault: somebody else was merged first.
        blamed=False,
        cancel=False,
    )


def base_moved(draft: Draft, signal: BaseMoved) -> None:
    """Something went into the base: what was clean before may conflict now. All branches are compared anew."""
    pull = draft.task.pull
    if pull is None or not pull.open or pull.base != signal.base:
        return
    if pull.tried_base_sha == signal.sha and pull.mergeable_sha == pull.head_sha:
        draft.set_pull(base_sha=signal.sha)
        return  # it was tried with that already
    ask_again(draft)
    draft.set_pull(mergeable_sha=None, merge_requested_sha=None, base_sha=signal.sha)


def refused(draft: Draft, signal: MergeRefused) -> None:
    """GitHub would not merge: show why. A new push, review or base lets us ask again."""
    pull = draft.task.pull
    if pull is None or pull.merged or (pull.number, pull.head_sha) != (signal.pull_number, signal.head_sha):
        return
    if pull.dod_shown is None or pull.dod_waits:
        # What goes without saying was not said yet; but a branch may be protected by that very check.
        say_done(draft, pull)
        draft.set_pull(merge_requested_sha=None)
        evaluate(draft)
        return
    reason = defuse(one_line(mask_secrets(signal.reason), 300))
    draft.task = draft.task.flagged(Flag.BLOCKED, f"GitHub did not merge #{pull.number}: {reason}")
