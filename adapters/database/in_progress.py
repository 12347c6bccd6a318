"""The tasks under way, read light: of each only what tells whether another task would meet it."""

from __future__ import annotations

from sqlalchemy import and_, bindparam, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import tables as t
from core.conflicts.in_progress import InProgressTask
from core.forecast.model import PredictedFile
from core.task.model import Priority, Status

_state = t.tasks.c.state
_ACTIVE_STATUSES = (Status.IN_PROGRESS.value, Status.REVIEW.value)
# `core.conflicts.in_progress.standing_of` says the same of a task that is loaded; a test compares the two.
_IN_PROGRESS = select(
    t.tasks.c.number,
    t.tasks.c.status,
    t.tasks.c.priority,
    t.tasks.c.agent,
    func.coalesce(t.in_queue, False).label("in_line"),
    and_(_state["held"].astext.is_(None), _state["issue_open"].as_boolean()).label("free"),
    _state["flags"].label("flags"),
    or_(
        func.coalesce(_state["lease"]["role"].as_string() == "implement", False),
        func.jsonb_path_exists(_state, text("""'$.history[*] ? (@.role == "implement")'""")),
    ).label("tried"),
    func.coalesce(_state["pull"]["open"].as_boolean(), False).label("pull_open"),
    _state["pull"]["files"].label("touched"),
    _state["forecast"]["files"].label("foreseen"),
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
            in_line=row.in_line,
            free=row.free,
            flags=tuple(row.flags or ()),
            begun=row.tried or row.pull_open,
            agent=row.agent,
            pull_open=row.pull_open,
            touched=tuple(row.touched or ()),
            foreseen=tuple(PredictedFile(**file) for file in row.foreseen or ()),
        )
        for row in rows
    ]
