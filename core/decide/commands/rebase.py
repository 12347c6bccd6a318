"""Implements `/resolve rebase`: merge the base into the branch of a pull request."""

from __future__ import annotations

from core.decide.builder import DecisionBuilder
from core.decide.commands.base import CommandRejected
from core.effects.base import UpdateBranch
from core.effects.commands import RequestingCommand
from core.signals.base import CommandReceived
from core.task.model import Flag, Status


def rebase(builder: DecisionBuilder, signal: CommandReceived) -> None:
    """Request the branch update. GitHub's response says whether there was anything to merge and whether it conflicts.

    People's own pull requests are updated too, because the user asked for it. Pull requests of forks belong to no task.
    """
    task, pull = builder.task, builder.task.pull
    if pull is None or not pull.open:
        raise CommandRejected("There is no open pull request to update.")
    if builder.policy.dry_run:
        raise CommandRejected("Dry run: the bot changes no branch.")
    is_merging = pull.merge_requested_sha == pull.head_sha and Flag.BLOCKED not in task.flags
    if task.status is Status.REVIEW and is_merging:
        raise CommandRejected(f"#{pull.number} is about to be merged, so the bot does not update it.")
    builder.add_effect(
        UpdateBranch(
            task.number,
            pull.number,
            pull.branch,
            pull.base,
            pull.head_sha,
            pull.trial_base_sha or "",
            RequestingCommand(signal.number, signal.key, signal.actor.login, signal.comment_id, signal.from_button),
        )
    )
