"""Writes comments for agents once, recognised by a hidden marker at the end."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from adapters.agents.base import CannotStart, RepositoryContext
from adapters.github.issues import IssueOperations
from adapters.github.models import Comment, PullRequest
from config.identities import branch_issue_number
from core.intake.references import closing_references
from core.texts import comment_marker, handoff_pages

MAX_PAGES = 20  # comments of one hand-off; no agent reads more than a million characters


async def write_once(
    site: RepositoryContext, writer: IssueOperations, author_id: int, number: int, key: str, text: str
) -> Comment:
    """The comment with this key; written if it does not exist.

    Any user can write the bot's marker, so only the author's own comments count, and only their last line: quotes of
    others are above it.
    """
    marker = comment_marker(key)
    for comment in await writer.list_comments(site.repository, number):
        if comment.user and comment.user.id == author_id and comment.body.rstrip().endswith(marker):
            return comment
    return await writer.create_comment(site.repository, number, f"{text.rstrip()}\n{marker}")


async def write_pages(
    site: RepositoryContext, packet: dict[str, object], number: int, attempt: int, limit: int
) -> list[str]:
    """The addresses of the comments that hold a hand-off too long for one text; none for a shorter one.

    Raises CannotStart if it is too long to read.
    """
    pages = handoff_pages(packet, limit)
    if len(pages) > MAX_PAGES:
        raise CannotStart(
            f"The hand-off needs {len(pages)} comments, more than the limit of {MAX_PAGES}: shorten the issue, "
            "or file the "
            "rest as a new issue."
        )
    return [
        (await write_once(site, site.github, site.bot_id, number, f"handoff:{number}:{attempt}:{part}", text)).html_url
        for part, text in enumerate(pages, 1)
    ]


def steering_key(number: int, attempt: int, text: str) -> str:
    """The key of a message to a working agent: the same message is sent once."""
    return f"steer:{number}:{attempt}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def second(moment: datetime) -> datetime:
    """The whole second in which it was: GitHub's times have no fractions."""
    return moment.astimezone(UTC).replace(microsecond=0)


async def pulls_of(site: RepositoryContext, account: int, number: int, since: datetime) -> list[PullRequest]:
    """The open pull requests for the issue that this account opened since then, the newest first."""
    found = [
        pull
        for pull in await site.github.list_pulls(site.repository)
        if pull.user
        and pull.user.id == account
        and not pull.is_from_fork
        and pull.created_at >= second(since)
        and (
            branch_issue_number(pull.head.ref) == number
            or number in closing_references(pull.body or "", site.repository, site.server_url)
        )
    ]
    return sorted(found, key=lambda pull: pull.number, reverse=True)
