"""Commands that somebody gave on GitHub, by whatever door: who gives them is asked about, and the rules decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.database.deliveries import mark_delivery
from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor
from adapters.github.models import User
from core.commands.registry import COMMANDS, at_least
from core.signals.base import CommandGiven, IssueFacts
from engine import issue_reader
from handlers.context import Delivery, Desk


@dataclass(frozen=True, slots=True)
class Order:
    """One command: its name, its argument, and the key by which its answer is written once."""

    name: str
    argument: str
    key: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands were given: the issue or pull request that the answer goes to, and what is known of it."""

    number: int
    comment_id: int | None = None
    issue: IssueFacts | None = None  # only of an issue
    at: datetime | None = None  # when they were given, by GitHub's clock; None: now
    pressed: bool = False  # by a button of a check


async def carry_out(
    delivery: Delivery,
    desk: Desk,
    repository: RepositoryRow,
    task: int,
    who: User,
    orders: Sequence[Order],
    at: Place,
    role: str | None = None,
) -> None:
    """Ask GitHub what this person may do at this moment, read what the commands speak of, and let the rules decide.

    `role` is what GitHub has just said of the person, where it was asked already.
    """
    github = desk.github(repository)
    role = role or await issue_reader.role_of(github, repository.full_name, who)
    looks = any(order.name == "agents" and not order.argument for order in orders)
    probed = await desk.probes.of(repository) if looks else {}
    named = {}
    for order in orders:
        if order.name == "depends" and at_least(role, COMMANDS["depends"].role):
            issues = await issue_reader.named_issues(desk.work.database, github, repository, order.argument)
            named[order.key] = issues
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        for order in orders:
            await unit.apply(
                task,
                CommandGiven(
                    number=at.number,
                    name=order.name,
                    argument=order.argument,
                    actor=actor(who),
                    permission=role,
                    key=order.key,
                    comment_id=at.comment_id,
                    workers=issue_reader.workers_of(repository, who),
                    probed=probed,
                    issues=named.get(order.key, {}),
                    issue=at.issue if order.name == "task" else None,
                    at=at.at,
                    pressed=at.pressed,
                ),
            )
        # In the same transaction: of all news a command is the one that must not be taken in twice.
        await mark_delivery(unit.connection, delivery.guid, handled_at=unit.now, error=None)
