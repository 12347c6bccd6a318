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
    context: RepositoryContext, writer: IssueOperations, author_id: int, number: int, key: str, text: str
) -> Comment:
    """The comment with this key; written if it does not exist.

    Any user can write the bot's marker, so only the author's own comments count, and only their last line: quotes of
    others are above it.
    """
    marker = comment_marker(key)
    for comment in await writer.list_comments(context.repository, number):
        if comment.user and comment.user.id == author_id and comment.body.rstrip().endswith(marker):
            return comment
    return await writer.create_comment(context.repository, number, f"{text.rstrip()}\n{marker}")


async def write_handoff_pages(
    context: RepositoryContext, packet: dict[str, object], number: int, attempt: int, limit: int
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
        (
            await write_once(
                context, context.github, context.bot_id, number, f"handoff:{number}:{attempt}:{part}", text
            )
        ).html_url
        for part, text in enumerate(pages, 1)
    ]


def message_key(number: int, attempt: int, text: str) -> str:
    """The key of a message to a working agent: the same message is sent once."""
    return f"steer:{number}:{attempt}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def truncate_to_second(moment: datetime) -> datetime:
    """The whole second in which it was: GitHub's times have no fractions."""
    return moment.astimezone(UTC).replace(microsecond=0)


async def list_agent_pulls(
    context: RepositoryContext, account_id: int, number: int, created_after: datetime
) -> list[PullRequest]:
    """The open pull requests for the issue that this account opened since then, the newest first."""
    pulls = [
        pull
        for pull in await context.github.list_pulls(context.repository)
        if pull.user
        and pull.user.id == account_id
        and not pull.is_from_fork
        and pull.created_at >= truncate_to_second(created_after)
        and (
            branch_issue_number(pull.head.ref) == number
            or number in closing_references(pull.body or "", context.repository, context.server_url)
        )
    ]
    return sorted(pulls, key=lambda pull: pull.number, reverse=True)
