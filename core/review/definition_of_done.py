"""Checks the definition of done and the conditions for a merge."""

from __future__ import annotations

from core.conflicts.summary import conflict_sentence
from core.task.model import ChecksState, Pull, Status, Task
from core.text_safety.sanitize import defuse


def criteria_blockers(task: Task) -> list[str]:
    """The acceptance criteria that are not ticked, in a sentence; empty if all are ticked."""
    criteria = task.intake.criteria
    if not criteria:
        return ["The task has no acceptance criteria."]
    unticked = [criterion.text for criterion in criteria if not criterion.ticked]
    if not unticked:
        return []
    listed = "; ".join(f"“{defuse(text)}”" for text in unticked[:5])
    suffix = f"; and {len(unticked) - 5} more" if len(unticked) > 5 else ""
    return [f"{len(unticked)} of {len(criteria)} acceptance criteria are not ticked: {listed}{suffix}."]


def _check_blockers(pull: Pull) -> list[str]:
    match pull.checks:
        case ChecksState.FAILURE:
            return ["Checks failed on the head commit."]
        case ChecksState.PENDING:
            return ["The checks on the head commit have not finished."]
        case _:
            return []


def done_blockers(task: Task) -> tuple[str, ...]:
    """What the task lacks to be done: merged, all checks of the merged head passed, all criteria ticked."""
    if task.pull is None:
        return ("There is no pull request.", *criteria_blockers(task))
    blockers = [] if task.pull.merged else ["The pull request is not merged."]
    return (*blockers, *_check_blockers(task.pull), *criteria_blockers(task))


def review_blocker(pull: Pull, required: str) -> str | None:
    """What `merge.review` (none | agent | person) still requires; approvals count for the current head only.

    A person's approval can replace the reviewing agent's, but not the reverse. A bot that was not asked to review
    cannot approve.
    """
    valid_approvals = [
        approval
        for approval in pull.approvals.values()
        if approval.sha == pull.head_sha and (not approval.by_bot or (required == "agent" and approval.agent))
    ]
    if required == "none" or valid_approvals:
        return None
    reviewer = "a person" if required == "person" else "the reviewing agent"
    return f"It needs the approval of {reviewer}."


def merge_blockers(task: Task, review: str) -> tuple[str, ...]:
    """What keeps the bot from merging the pull request. It is merged only if the task would then be done."""
    pull = task.pull
    if pull is None or not pull.open:
        return ("There is no open pull request.",)
    blockers = [*_check_blockers(pull), *criteria_blockers(task)]
    if task.hold:
        blockers.append(task.hold.description)
    if task.open_dependencies:
        blockers.append(f"It depends on {', '.join(task.open_dependencies)}, which is not done.")
    blockers += [conflict_sentence(blocking_pull) for blocking_pull in pull.blocking_pulls]
    if task.approved_digest != task.text_digest:
        # A user who may change the criteria could tick them as well.
        blockers.append(
            "The issue text is by a person without write access: a maintainer must approve it with `/ready`."
        )
    if pull.draft:
        blockers.append("The pull request is a draft.")
    if blocker := review_blocker(pull, review):
        blockers.append(blocker)
    if pull.mergeable_sha != pull.head_sha:
        blockers.append("This commit has had no trial merge with its base yet.")
    return tuple(blockers)


def needs_reviewer(task: Task, review: str) -> bool:
    """Whether an agent should be asked to review the pull request now (`review`: none | agent | person).

    Only a pull request that lacks nothing but the review is worth an agent's time. The packet holds the issue's text,
    so a user with write access must have approved that text.
    """
    pull = task.pull
    if review != "agent" or task.status is not Status.REVIEW or task.review_lease is not None or pull is None:
        return False
    is_settled = (
        task.issue_open and not task.readiness_problems and not (task.open_dependencies or task.untracked or task.hold)
    )
    is_mergeable = (
        not pull.blocking_pulls
        and pull.mergeable_sha == pull.head_sha
        and pull.checks in (ChecksState.SUCCESS, ChecksState.NONE)
    )
    needs_review = pull.open and not pull.merged and not pull.draft and review_blocker(pull, review) is not None
    return is_settled and task.approved_digest == task.text_digest and is_mergeable and needs_review
