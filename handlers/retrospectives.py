"""The issue of a retrospective: its action items are ticked there, and agents answer below it."""

from __future__ import annotations

from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor
from adapters.github.models import Comment, Issue, User
from config.labels import RETROSPECTIVE
from core.texts.retrospective import ticked_items
from engine import issue_reader, retrospectives
from handlers.context import Delivery, Desk


async def edited(delivery: Delivery, desk: Desk, repository: RepositoryRow, issue: Issue, sender: User) -> None:
    """An issue that is no task was edited: if action items were ticked by it, they become tasks.

    Only what this edit ticked counts, so that nobody answers for what somebody else ticked before.
    """
    before = (delivery.payload.get("changes") or {}).get("body", {}).get("from")
    items = ticked_items(issue.body or "") - ticked_items(str(before)) if before is not None else frozenset()
    if not items or await desk.is_us(repository, sender):
        return
    if not await issue_reader.can_write(desk.github(repository), repository.full_name, sender):
        return
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        await retrospectives.tick(unit, issue.number, items, actor(sender))


async def commented(delivery: Delivery, desk: Desk) -> None:
    """Somebody said something that is no command: below a retrospective, by an agent's account, it is its answer."""
    issue = Issue.model_validate(delivery.payload["issue"])
    if not any(name.casefold() == RETROSPECTIVE.name for name in issue.label_names):
        return
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    said = Comment.model_validate(delivery.payload["comment"])
    agents = issue_reader.workers_of(repository, said.user)
    # Whoever edits an agent's comment puts words into its mouth.
    if not agents or said.user is None or said.user.id != User.model_validate(delivery.payload["sender"]).id:
        return
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        await retrospectives.answer(unit, issue.number, agents, said.body, said.user.login)
