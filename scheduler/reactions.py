"""Reads reactions to an escalation before the next notification, because GitHub sends no events for them."""

from __future__ import annotations

import structlog

from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.convert import actor
from adapters.github.errors import GitHubError
from adapters.github.models import User
from core.commands.permissions import has_role
from core.signals.base import EscalationAnswered
from engine import issue_reader
from engine.unit_of_work import UnitOfWorkFactory

log = structlog.get_logger()

ACKNOWLEDGING_REACTIONS = frozenset(
    {"+1", "eyes", "heart", "hooray", "rocket", "laugh"}
)  # reactions that count as an answer
MAX_PEOPLE = 30  # people whose permission is read, of those who were not notified


async def read_reactions(
    work: UnitOfWorkFactory, client: GitHubClient, repository_id: int, number: int
) -> list[EscalationAnswered]:
    """People who reacted to the latest notifications of an open escalation; unreadable reactions are ignored."""
    async with work.database.autocommit() as connection:
        row = await repositories.load_repository(connection, repository_id)
        task = await store.load_task(connection, repository_id, number)
    escalation = task.escalation if task else None
    if row is None or not row.active or row.config is None or escalation is None or escalation.acknowledged_at:
        return []
    github = client.installation(row.installation_id)
    answers: dict[int, EscalationAnswered] = {}
    others: dict[int, User] = {}  # people who were not notified, and may be strangers
    try:
        for comment in reversed(escalation.comment_ids):
            for reaction in await github.list_comment_reactions(row.full_name, comment):
                user = reaction.user
                if (
                    reaction.content not in ACKNOWLEDGING_REACTIONS
                    or user is None
                    or user.type == "Bot"
                    or user.login.casefold() == escalation.requested_by.casefold()
                    or issue_reader.agents_of_user(row, user) is not None
                ):
                    continue
                if escalation.has_notified(user.login):
                    answers.setdefault(user.id, EscalationAnswered(actor(user), "none", "reaction"))
                else:
                    others.setdefault(user.id, user)
        # Reading a role costs a request, and anyone can react: those who were notified need none.
        for user in list(others.values())[:MAX_PEOPLE] if not answers else ():
            role = await issue_reader.get_role(github, row.full_name, user)
            if has_role(role, "write"):
                answers[user.id] = EscalationAnswered(actor(user), role, "reaction")
                break
    except GitHubError as error:
        log.warning("reactions_fetch_failed", issue=number, error=str(error))  # the next notification is sent anyway
    return list(answers.values())
