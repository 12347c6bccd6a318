"""Runs commands from comments, buttons and checkboxes after reading the user's permission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.database.deliveries import update_delivery
from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor
from adapters.github.models import User
from core.commands.permissions import has_role
from core.decide.commands.base import Need
from core.decide.commands.registry import COMMANDS, needs_of_command
from core.signals.base import CommandReceived, IssueFacts
from engine import issue_reader
from handlers.context import Delivery, HandlerContext


@dataclass(frozen=True, slots=True)
class CommandInvocation:
    """One command: its name, its argument, and the key by which its answer is written once."""

    name: str
    argument: str
    key: str


@dataclass(frozen=True, slots=True)
class CommandOrigin:
    """Where commands were given: the issue or pull request for the answer, and what is known of it."""

    number: int
    comment_id: int | None = None
    issue: IssueFacts | None = None  # only for an issue
    given_at: datetime | None = None  # when they were given, by GitHub's clock; None: now
    by_button: bool = False  # by a button on a check
    note: str = ""  # to be added to the answer


async def run_commands(
    delivery: Delivery,
    context: HandlerContext,
    repository: RepositoryRow,
    task_number: int,
    user: User,
    invocations: Sequence[CommandInvocation],
    origin: CommandOrigin,
    role: str | None = None,
) -> None:
    """Read the user's permission from GitHub and what the commands refer to, then let the rules decide.

    `role` is the permission if it was just read.
    """
    github = context.github(repository)
    role = role or await issue_reader.get_role(github, repository.full_name, user)
    needs = {invocation.key: needs_of_command(invocation.name) for invocation in invocations}
    needs_health = any(Need.HEALTH in needs[invocation.key] and not invocation.argument for invocation in invocations)
    health = await context.health_checks.check_all(repository) if needs_health else {}
    referenced_issues = {}
    for invocation in invocations:
        if Need.REFERENCED_ISSUES in needs[invocation.key] and has_role(role, COMMANDS[invocation.name].role):
            issues = await issue_reader.resolve_references(
                context.work.database, github, repository, invocation.argument
            )
            referenced_issues[invocation.key] = issues
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        for invocation in invocations:
            await unit.apply(
                task_number,
                CommandReceived(
                    number=origin.number,
                    name=invocation.name,
                    argument=invocation.argument,
                    actor=actor(user),
                    permission=role,
                    key=invocation.key,
                    comment_id=origin.comment_id,
                    agent_names=issue_reader.agents_of_user(repository, user),
                    health=health,
                    referenced_issues=referenced_issues.get(invocation.key, {}),
                    issue=origin.issue if Need.ISSUE in needs[invocation.key] else None,
                    occurred_at=origin.given_at,
                    from_button=origin.by_button,
                    note=origin.note,
                ),
            )
        # In the same transaction: a command must not be applied twice.
        await update_delivery(unit.session.connection, delivery.guid, handled_at=unit.session.now, error=None)
