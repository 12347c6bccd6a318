"""Definition of Done, and what has to be true before a pull request may be merged."""

from __future__ import annotations

from core.sanitise import defuse
from core.task import ChecksState, Pull, Task


def _criteria_gaps(task: Task) -> list[str]:
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
            return ["Checks of the head commit failed."]
        case ChecksState.PENDING:
            return ["The checks of the head commit have not all ended."]
        case _:
            return []


def done_gaps(task: Task) -> tuple[str, ...]:
    """What keeps the task from being done: merged, every check of the merged head passed, every criterion ticked."""
    if task.pull is None:
        return ("There is no pull request.", *_criteria_gaps(task))
    merged = [] if task.pull.merged else ["The pull request is not merged."]
    return (*merged, *_check_gaps(task.pull), *_criteria_gaps(task))


def review_gap(pull: Pull, required: str) -> str | None:
    """What `merge.review` (none | agent | person) still asks for; approvals count for the current head only.

    A person's approval is as good as the reviewing agent's, but not the other way round.
    """
    good = [a for a in pull.approvals.values() if a.sha == pull.head_sha and not (required == "person" and a.by_bot)]
    if required == "none" or good:
        return None
    who = "a person" if required == "person" else "the reviewing agent"
    return f"It waits for the approval of {who}."


def merge_gaps(task: Task, review: str) -> tuple[str, ...]:
    """What keeps the pull request from being merged by us. It is merged only when the task would then be done."""
    pull = task.pull
    if pull is None or not pull.open:
        return ("There is no open pull request.",)
    gaps = [*_check_gaps(pull), *_criteria_gaps(task)]
    if task.approved_digest != task.text_digest:
        # Whoever may change the criteria could tick them as well.
        gaps.append("The issue's text is by somebody without write access: a maintainer approves it with `/ready`.")
    if pull.draft:
        gaps.append("It is a draft.")
    if waiting := review_gap(pull, review):
        gaps.append(waiting)
    if pull.mergeable_sha != pull.head_sha:
        gaps.append("The merge with its base has not been tried on this commit.")
    return tuple(gaps)
