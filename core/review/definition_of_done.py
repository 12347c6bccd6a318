"""Checks the definition of done and the conditions for a merge."""

from __future__ import annotations

from core.conflicts.summary import conflict_sentence
from core.task.model import ChecksState, Pull, Status, Task
from core.text_safety.sanitize import defuse


def criteria_gaps(task: Task) -> list[str]:
    """The acceptance criteria that are not ticked, in a sentence; empty if all are ticked."""
    criteria = task.intake.criteria
    if not criteria:
        return ["The task has no acceptance criteria."]
    open_ones = [c.text for c in criteria if not c.ticked]
    if not open_ones:
        return []
    named = "; ".join(f"“{defuse(text)}”" for text in open_ones[:5])
    more = f"; and {len(open_ones) - 5} more" if len(open_ones) > 5 else ""
    return [f"{len(open_ones)} of {len(criteria)} acceptance criteria are not ticked: {named}{more}."]


def _check_gaps(pull: Pull) -> list[str]:
    match pull.checks:
        case ChecksState.FAILURE:
            return ["Checks failed on the head commit."]
        case ChecksState.PENDING:
            return ["The checks on the head commit have not finished."]
        case _:
            return []


def done_gaps(task: Task) -> tuple[str, ...]:
    """What the task lacks to be done: merged, all checks of the merged head passed, all criteria ticked."""
    if task.pull is None:
        return ("There is no pull request.", *criteria_gaps(task))
    merged = [] if task.pull.merged else ["The pull request is not merged."]
    return (*merged, *_check_gaps(task.pull), *criteria_gaps(task))


def review_gap(pull: Pull, required: str) -> str | None:
    """What `merge.review` (none | agent | person) still requires; approvals count for the current head only.

    A person's approval can replace the reviewing agent's, but not the reverse. A bot that was not asked to review
    cannot approve.
    """
    good = [
        approval
        for approval in pull.approvals.values()
        if approval.sha == pull.head_sha and (not approval.by_bot or (required == "agent" and approval.agent))
    ]
    if required == "none" or good:
        return None
    who = "a person" if required == "person" else "the reviewing agent"
    return f"It needs the approval of {who}."


def merge_gaps(task: Task, review: str) -> tuple[str, ...]:
    """What keeps the bot from merging the pull request. It is merged only if the task would then be done."""
    pull = task.pull
    if pull is None or not pull.open:
        return ("There is no open pull request.",)
    gaps = [*_check_gaps(pull), *criteria_gaps(task)]
    if task.held:
        gaps.append(task.held.said)
    if task.waits_for:
        gaps.append(f"It depends on {', '.join(task.waits_for)}, which is not done.")
    gaps += [conflict_sentence(rival) for rival in pull.waits_behind]
    if task.approved_digest != task.text_digest:
        # A user who may change the criteria could tick them as well.
        gaps.append("The issue text is by a person without write access: a maintainer must approve it with `/ready`.")
    if pull.draft:
        gaps.append("The pull request is a draft.")
    if waiting := review_gap(pull, review):
        gaps.append(waiting)
    if pull.mergeable_sha != pull.head_sha:
        gaps.append("This commit has had no trial merge with its base yet.")
    return tuple(gaps)


def wants_reviewer(task: Task, review: str) -> bool:
    """Whether an agent should be asked to review the pull request now (`review`: none | agent | person).

    Only a pull request that lacks nothing but the review is worth an agent's time. The packet holds the issue's text,
    so a user with write access must have approved that text.
    """
    pull = task.pull
    if review != "agent" or task.status is not Status.REVIEW or task.review is not None or pull is None:
        return False
    settled = task.issue_open and not task.missing and not (task.waits_for or task.withdrawn or task.held)
    mergeable = (
        not pull.waits_behind
        and pull.mergeable_sha == pull.head_sha
        and pull.checks in (ChecksState.SUCCESS, ChecksState.NONE)
    )
    waiting = pull.open and not pull.merged and not pull.draft and review_gap(pull, review) is not None
    return settled and task.approved_digest == task.text_digest and mergeable and waiting
