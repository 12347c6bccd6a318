"""Handles reviews of pull requests."""

from __future__ import annotations

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor
from adapters.github.errors import Gone, NotFound
from adapters.github.models import PullRequest, Review
from core.handoff.feedback import LineComment
from core.signals.base import ReviewSeen
from engine import issue_reader
from engine.attribution import read_pull_seen
from handlers.context import Delivery, HandlerContext
from handlers.ensure_task import resolve_task


async def on_review(delivery: Delivery, context: HandlerContext) -> None:
    """A review was submitted or dismissed."""
    repository = await context.repository(delivery)
    if repository is None or repository.config is None:
        return
    review = Review.model_validate(delivery.payload["review"])
    pull = PullRequest.model_validate(delivery.payload["pull_request"])
    if await context.is_own_user(repository, review.user):
        return
    number = await _update_pull(context, repository, pull, review)
    if number is None:
        return
    state = "dismissed" if delivery.action == "dismissed" else review.state.lower()
    signal = ReviewSeen(
        review_id=review.id,
        pull_number=pull.number,
        sha=review.commit_id or "",
        reviewer=actor(review.user),
        can_write=await issue_reader.can_write(context.github(repository), repository.full_name, review.user),
        state=state,
        body=review.body or "",
        agent_names=issue_reader.agents_of_user(repository, review.user),
        submitted_at=review.submitted_at,
        pull_updated_at=pull.updated_at,
        comments=await _comments(context, repository, pull.number, review.id) if state == "changes_requested" else (),
    )
    async with context.work.begin(repository.id, delivery.received_at) as unit:
        await unit.apply(number, signal)


async def _update_pull(
    context: HandlerContext, repository: RepositoryRow, pull: PullRequest, review: Review
) -> int | None:
    """The task of the pull request. It is read again if its stored head differs, because its event is late."""
    number = await resolve_task(context, repository, pull)
    if number is None:
        return None
    async with context.work.database.autocommit() as connection:
        task = await store.load_task(connection, repository.id, number)
    stored_pull = task.pull if task and task.pull and task.pull.number == pull.number else None
    if stored_pull is None or (stored_pull.head_sha != review.commit_id and not stored_pull.merged):
        github = context.github(repository)
        current_pull = await github.get_pull(repository.full_name, pull.number)
        signal = await read_pull_seen(github, repository, number, current_pull)
        async with context.work.begin(repository.id) as unit:
            await unit.apply(number, signal)
    return number


async def _comments(
    context: HandlerContext, repository: RepositoryRow, pull_number: int, review_id: int
) -> tuple[LineComment, ...]:
    """The review's line comments; the delivery has only its text."""
    try:
        comments = await context.github(repository).list_review_comments(repository.full_name, pull_number, review_id)
    except (NotFound, Gone):
        return ()
    return tuple(LineComment(comment.path, comment.line or comment.original_line, comment.body) for comment in comments)
