"""`orchestrator dead-letters`: what was given up on its way into the world, and sending it again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import select, update

from adapters.database import tables as t
from adapters.database.database import Database
from adapters.database.queue import SEND, JobQueue, send_lock
from bot.app import database_url
from config.settings import Settings
from core.effects import Notify, StartAgent
from core.sanitise import one_line

# A start that was given up ended its attempt with it: to send it now would wake an agent that nobody waits for.
_NEVER_AGAIN = (StartAgent.__name__,)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An effect that was given up."""

    id: int
    repository: str
    kind: str
    what: str  # a message's channel and title; the key of anything else
    tries: int
    error: str
    created_at: datetime


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Database, JobQueue]]:
    async with AsyncExitStack() as stack:
        url = await database_url(settings, stack)
        database = Database(url, 2)
        stack.push_async_callback(database.close)
        await database.migrate()
        jobs = JobQueue(url, pool_size=2)
        await stack.enter_async_context(jobs.app.open_async())
        yield database, jobs


async def dead_letters(settings: Settings) -> list[DeadLetter]:
    """All that was given up, oldest first."""
    o = t.outbox.c
    query = (
        select(o.id, t.repositories.c.full_name, o.kind, o.key, o.payload, o.tries, o.error, o.created_at)
        .join(t.repositories, t.repositories.c.id == o.repository_id)
        .where(o.state == "parked")
        .order_by(o.id)
    )
    async with _opened(settings) as (database, _), database.transaction() as connection:
        return [
            DeadLetter(id_, name, kind, _what(kind, key, payload), tries, error or "", created_at)
            for id_, name, kind, key, payload, tries, error, created_at in await connection.execute(query)
        ]


def _what(kind: str, key: str, payload: dict[str, str]) -> str:
    return f"{payload['channel']}: {payload['title']}" if kind == Notify.__name__ else key


async def resend(settings: Settings, id_: int | None = None) -> int:
    """Let them be sent again by the running bot: one, or all messages on channels; gives how many.

    Raises LookupError for one that is not there, or that is never sent again.
    """
    o = t.outbox.c
    which = (o.id == id_, o.kind.not_in(_NEVER_AGAIN)) if id_ is not None else (o.kind == Notify.__name__,)
    # A try is counted already, so that the next one looks first whether it is in the world after all.
    again = (
        update(t.outbox)
        .where(o.state == "parked", *which)
        .values(state="waiting", tries=1, not_before=None, error=None)
        .returning(o.repository_id, o.number)
    )
    async with _opened(settings) as (database, jobs), database.transaction() as connection:
        rows = (await connection.execute(again)).all()
        for repository_id, number in sorted({(row.repository_id, row.number) for row in rows}):
            lock = send_lock(repository_id, number)
            await jobs.defer(connection, SEND, lock, repository_id=repository_id, number=number)
    if id_ is not None and not rows:
        raise LookupError(
            f"There is no dead letter {id_} that can be sent again; `orchestrator dead-letters` lists them."
        )
    return len(rows)


def line_of(letter: DeadLetter, *, as_json: bool = False) -> str:
    """One of them as a line for people, or as JSON."""
    if as_json:
        return json.dumps({**asdict(letter), "created_at": letter.created_at.isoformat()})
    when = f"{letter.created_at:%Y-%m-%d %H:%M}"
    told = f"{letter.id}  {when}  {letter.repository}  {letter.what}  ({letter.tries} tries): {letter.error}"
    return one_line(told, 500)
