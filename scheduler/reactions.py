"""Reactions to a call for a person. GitHub sends no deliveries of them, so they are read before the next call."""

from __future__ import annotations

import structlog

from adapters.database import repositories, store
from adapters.github import GitHubClient
from adapters.github.convert import actor
from adapters.github.errors import GitHubError
from core.signals.base import PersonAnswered
from engine import issue_reader
from engine.unit_of_work import Work

log = structlog.get_logger()

SEEN = frozenset({"+1", "eyes", "heart", "hooray", "rocket", "laugh"})  # by which people tell that they saw it
LOOKED_AT = 10  # people whose permission is asked for


async def reactions(work: Work, client: GitHubClient, repository_id: int, number: int) -> list[PersonAnswered]:
    """Who reacted to the latest calls of a task, if its call is open. What cannot be read is no answer."""
    async with work.database.autocommit() as connection:
        row = await repositories.repository(connection, repository_id)
        task = await store.task(connection, repository_id, number)
    call = task.escalation if task else None
    if row is None or not row.active or row.config is None or call is None or call.acknowledged_at:
        return []
    github = client.installation(row.installation_id)
    found: dict[int, PersonAnswered] = {}
    try:
        for comment in reversed(call.comments):
            for reaction in await github.comment_reactions(row.full_name, comment):
                who = reaction.user
                if reaction.content not in SEEN or who is None or who.id in found or who.type == "Bot":
                    continue
                if len(found) == LOOKED_AT or issue_reader.workers_of(row, who) is not None:
                    continue
                role = "none" if call.has_called(who.login) else await issue_reader.role_of(github, row.full_name, who)
                found[who.id] = PersonAnswered(actor(who), role, "reaction")
    except GitHubError as error:
        log.warning("reactions_fetch_failed", issue=number, error=str(error))  # the next call goes out all the same
    return list(found.values())
