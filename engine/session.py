"""Holds what one transaction has read of a repository, and what it is about to write."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.database import agents, audit_log, store
from adapters.database.pending_writes import PendingWrites
from core.assignment.agent_state import AgentStateChange, SignsOfLife
from core.audit.events import Event
from core.task.model import Task


class Session:
    """What is read once, as the transaction sees it: while it has the repository locked, no other one changes it."""

    def __init__(self, connection: AsyncConnection, repository_id: int, now: datetime, sending: int | None) -> None:
        """`sending` is the number whose effects are being sent by the job that opened the transaction."""
        self.connection = connection
        self.repository_id = repository_id
        self.writes = PendingWrites(repository_id, now, sending)
        self._tasks: dict[int, Task | None] = {}
        self._signs: dict[str, SignsOfLife] = {}  # of the agents
        self._end: tuple[int, str] | None = None  # of the audit log; None: nothing was read yet

    async def written(self) -> AsyncConnection:
        """The connection, after all that waits was written: for reads that have to see it."""
        await self.writes.flush(self.connection)
        return self.connection

    async def task(self, number: int) -> Task | None:
        """The task of this issue, if it is one. The first time the rest of the state is read along with it."""
        if number not in self._tasks:
            if self._end is None:
                state = await store.load_state(self.connection, self.repository_id, number)
                self._tasks[number], self._signs, self._end = state.task, state.signs_of_life, state.chain_end
            else:
                self._tasks[number] = await store.load_task(self.connection, self.repository_id, number)
        return self._tasks[number]

    def save_task(self, task: Task) -> None:
        """The task is as given."""
        self._tasks[task.number] = task
        self.writes.save_task(task)

    def in_error(self) -> frozenset[str]:
        """Agents that failed and have shown no life since. A task has to be read before."""
        return frozenset(name for name, signs in self._signs.items() if signs.in_error)

    async def note(self, news: AgentStateChange) -> None:
        """Keep news of an agent, if it is worth a write."""
        signs = self._signs.get(news.agent, SignsOfLife())
        if signs.changes_with(news):
            await agents.save_state_change(self.connection, self.repository_id, news)
            self._signs[news.agent] = signs.after(news)

    async def append(self, events: Sequence[Event]) -> None:
        """Append lines to the audit log."""
        if not events:
            return
        if self._end is None:
            self._end = await audit_log.load_chain_end(self.connection, self.repository_id)
        self._end = self.writes.append_events(events, self._end)
