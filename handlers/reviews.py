"""Reviews of pull requests."""

from __future__ import annotations

from adapters import gather
from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.errors import Gone, NotFound
from adapters.github.models import PullRequest, Review
from adapters.pull_facts import actor
from core.feedback import LineComment
from core.signals import ReviewSeen
from handlers.desk import Delivery, Desk


async def review(delivery: Delivery, desk: Desk) -> None:
    """A review was submitted or dismissed."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    told = Review.model_validate(delivery.payload["review"])
    pull = PullRequest.model_validate(delivery.payload["pull_request"])
    async with desk.work.database.autocommit() as connection:
        number = await store.task_of_pull(connection, repository.id, pull.number)
    if number is None or await desk.is_us(repository, told.user):
        return
    state = "dismissed" if delivery.action == "dismissed" else told.state.lower()
    signal = ReviewSeen(
        review_id=told.id,
        pull_number=pull.number,
        sha=told.commit_id or "",
        reviewer=actor(told.user),
        can_write=await gather.can_write(desk.github(repository), repository.full_name, told.user),
        state=state,
        body=told.body or "",
        workers=gather.workers_of(repository, told.user),
        comments=await _comments(desk, repository, pull.number, told.id) if state == "changes_requested" else (),
    )
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        await unit.apply(number, signal)


async def _comments(desk: Desk, repository: RepositoryRow, pull: int, review: int) -> tuple[LineComment, ...]:
    """What the review says on lines; the delivery has only its text."""
    try:
        said = await desk.github(repository).review_comments(repository.full_name, pull, review)
    except (NotFound, Gone):
        return ()
    return tuple(LineComment(one.path, one.line or one.original_line, one.body) for one in said)
