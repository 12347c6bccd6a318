"""Handles the issue of a retrospective: ticked action items and agents' answers."""

from __future__ import annotations

from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor
from adapters.github.models import Comment, Issue, User
from config.labels import RETROSPECTIVE
from core.texts.retrospective import ticked_items
from engine import issue_reader, retrospectives
from handlers.context import Delivery, HandlerContext


async def on_issue_edited(
    delivery: Delivery, context: HandlerContext, repository: RepositoryRow, issue: Issue, sender: User
) -> None:
    """An issue that is no task was edited: newly ticked action items become tasks.

    Only what this edit ticked counts, so that a user is not responsible for what another user ticked before.
    """
    previous_body = (delivery.payload.get("changes") or {}).get("body", {}).get("from")
    items = (
        ticked_items(issue.body or "") - ticked_items(str(previous_body)) if previous_body is not None else frozenset()
    )
    if not items or await context.is_own_user(repository, sender):
        return
    if not await issue_reader.can_write(context.github(repository), repository.full_name, sender):
        return
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        await retrospectives.open_ticked_tasks(unit.session, issue.number, items, actor(sender))


async def on_comment(delivery: Delivery, context: HandlerContext) -> None:
    """A comment without a command: on a retrospective, by an agent's account, it is the agent's answer."""
    issue = Issue.model_validate(delivery.payload["issue"])
    if not any(name.casefold() == RETROSPECTIVE.name for name in issue.label_names):
        return
    repository = await context.repository(delivery)
    if repository is None or repository.config is None:
        return
    comment = Comment.model_validate(delivery.payload["comment"])
    agents = issue_reader.agents_of_user(repository, comment.user)
    # A user who edits an agent's comment would answer for the agent.
    if not agents or comment.user is None or comment.user.id != User.model_validate(delivery.payload["sender"]).id:
        return
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        await retrospectives.save_answer(unit.session, issue.number, agents, comment.body, comment.user.login)
