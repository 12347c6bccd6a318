"""Reviews of pull requests."""

from __future__ import annotations

from adapters.database import store
from adapters.database.repositories import RepositoryRow
from adapters.github.convert import actor
from adapters.github.errors import Gone, NotFound
from adapters.github.models import PullRequest, Review
from core.handoff.feedback import LineComment
from core.signals.base import ReviewSeen
from engine import issue_reader
from engine.attribution import pull_seen
from handlers.context import Delivery, Desk
from handlers.ensure_task import task_meant


async def review(delivery: Delivery, desk: Desk) -> None:
    """A review was submitted or dismissed."""
    repository = await desk.repository(delivery)
    if repository is None or repository.config is None:
        return
    told = Review.model_validate(delivery.payload["review"])
    pull = PullRequest.model_validate(delivery.payload["pull_request"])
    if await desk.is_us(repository, told.user):
        return
    number = await _brought_up(desk, repository, pull, told)
    if number is None:
        return
    state = "dismissed" if delivery.action == "dismissed" else told.state.lower()
    signal = ReviewSeen(
        review_id=told.id,
        pull_number=pull.number,
        sha=told.commit_id or "",
        reviewer=actor(told.user),
        can_write=await issue_reader.can_write(desk.github(repository), repository.full_name, told.user),
        state=state,
        body=told.body or "",
        workers=issue_reader.workers_of(repository, told.user),
        submitted_at=told.submitted_at,
        pull_updated_at=pull.updated_at,
        comments=await _comments(desk, repository, pull.number, told.id) if state == "changes_requested" else (),
    )
    async with desk.work.on(repository.id, delivery.received_at) as unit:
        await unit.apply(number, signal)


async def _brought_up(desk: Desk, repository: RepositoryRow, pull: PullRequest, told: Review) -> int | None:
    """The task whose pull request it is; read anew where we know another commit, or none: its news is late."""
    number = await task_meant(desk, repository, pull)
    if number is None:
        return None
    async with desk.work.database.autocommit() as connection:
        task = await store.task(connection, repository.id, number)
    known = task.pull if task and task.pull and task.pull.number == pull.number else None
    if known is None or (known.head_sha != told.commit_id and not known.merged):
        github = desk.github(repository)
        now = await github.get_pull(repository.full_name, pull.number)
        signal = await pull_seen(github, repository, number, now)
        async with desk.work.on(repository.id) as unit:
            await unit.apply(number, signal)
    return number


async def _comments(desk: Desk, repository: RepositoryRow, pull: int, review: int) -> tuple[LineComment, ...]:
    """What the review says on lines; the delivery has only its text."""
    try:
        said = await desk.github(repository).review_comments(repository.full_name, pull, review)
    except (NotFound, Gone):
        return ()
    return tuple(LineComment(one.path, one.line or one.original_line, one.body) for one in said)
