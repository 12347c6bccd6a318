"""`/resolve rebase`: a person asks for the base to be merged into the branch of a pull request."""

from __future__ import annotations

from core.decide.builder import Draft
from core.decide.commands.base import Refused
from core.effects.base import UpdateBranch
from core.effects.commands import Asked
from core.signals.base import CommandGiven
from core.task.model import Flag, Status


def rebase(draft: Draft, signal: CommandGiven) -> None:
    """Ask GitHub for it. Whether there is anything to bring in, and whether it conflicts, GitHub's answer tells.

    A person's own pull request as well: asked for is asked for. Those of forks are no task's.
    """
    task, pull = draft.task, draft.task.pull
    if pull is None or not pull.open:
        raise Refused("There is no open pull request to update.")
    if draft.policy.dry_run:
        raise Refused("Dry run: the bot changes no branch.")
    on_its_way = pull.merge_requested_sha == pull.head_sha and Flag.BLOCKED not in task.flags
    if task.status is Status.REVIEW and on_its_way:
        raise Refused(f"#{pull.number} is about to be merged, so the bot does not update it.")
    draft.want(
        UpdateBranch(
            task.number,
            pull.number,
            pull.branch,
            pull.base,
            pull.head_sha,
            pull.tried_base_sha or "",
            Asked(signal.number, signal.key, signal.actor.login, signal.comment_id, signal.pressed),
        )
    )
