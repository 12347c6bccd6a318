"""The tasks under way, read light: of each only what tells whether another task would meet it."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from adapters.database.task_state import task_field
from core.conflicts.in_progress import InProgressTask
from core.forecast.model import PredictedFile
from core.task.model import Priority, Status

_ACTIVE_STATUSES = (Status.IN_PROGRESS.value, Status.REVIEW.value)
# `core.conflicts.in_progress.standing_of` says the same of a task that is loaded; a test compares the two.
_IN_PROGRESS = select(
    t.tasks.c.number,
    t.tasks.c.status,
    t.tasks.c.priority,
    t.tasks.c.agent,
    func.coalesce(t.in_queue, False).label("is_assignable"),
    and_(task_field("hold").astext.is_(None), task_field("issue_open").as_boolean()).label("is_unblocked"),
    task_field("flags").label("flags"),
    or_(
        func.coalesce(task_field("lease", "role").as_string() == "implement", False),
        func.jsonb_path_exists(t.tasks.c.state, text("""'$.history[*] ? (@.role == "implement")'""")),
    ).label("was_tried"),
    func.coalesce(task_field("pull", "open").as_boolean(), False).label("pull_open"),
    task_field("pull", "files").label("changed_files"),
    task_field("forecast", "files").label("predicted_files"),
).where(
    t.tasks.c.repository_id == bindparam("repository"),
    t.tasks.c.untracked.is_(False),
    or_(t.tasks.c.status.in_(_ACTIVE_STATUSES), and_(t.in_queue, t.tasks.c.attempt > 0)),
)


async def list_in_progress(connection: AsyncConnection, repository_id: int) -> list[InProgressTask]:
    """Tasks that an agent works on, and queued tasks that were tried before."""
    rows = await connection.execute(_IN_PROGRESS, {"repository": repository_id})
    return [
        InProgressTask(
            number=row.number,
            status=Status(row.status),
            priority=Priority(row.priority),
            is_assignable=row.is_assignable,
            is_unblocked=row.is_unblocked,
            flags=tuple(row.flags or ()),
            has_started=row.was_tried or row.pull_open,
            agent=row.agent,
            pull_open=row.pull_open,
            changed_files=tuple(row.changed_files or ()),
            predicted_files=tuple(PredictedFile(**file) for file in row.predicted_files or ()),
        )
        for row in rows
    ]
