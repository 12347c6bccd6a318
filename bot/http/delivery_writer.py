"""Group commit: deliveries that come together are kept together, in one transaction, each answered only after it."""

from __future__ import annotations

import asyncio

import psycopg
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters.database.database import Database
from adapters.database.deliveries import LARGE_PAYLOAD_BYTES, StoredDelivery, store_deliveries
from bot.http.admission import AdmissionControl

# The database does not answer, for whatever reason; a time-out is an OSError.
AWAY = (OSError, OperationalError, PoolTimeout, psycopg.OperationalError)
GROUP = 50  # deliveries of one transaction


class DeliveryWriter:
    """Stores deliveries. While one group is being committed the next one gathers, so nobody waits for company."""

    def __init__(self, database: Database, intake: AdmissionControl) -> None:
        self._database = database
        self._intake = intake
        self._waiting: list[tuple[StoredDelivery, str, asyncio.Future[bool]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def keep(self, delivery: StoredDelivery, lock: str) -> bool:
        """Keep a delivery and ask for its job; True when it is committed, False when its GUID was here already.

        Raises one of `AWAY` when the database does not answer; then it may be there all the same.
        """
        if len(delivery.payload) > LARGE_PAYLOAD_BYTES:
            return delivery.guid in await self._store([(delivery, lock)])
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, lock, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await kept

    async def _write(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
                await self._commit(group)
        finally:
            self._writing = None
            for _, _, kept in self._waiting:  # we were stopped: nothing was promised to these
                kept.cancel()
            self._waiting.clear()

    async def _commit(self, group: list[tuple[StoredDelivery, str, asyncio.Future[bool]]]) -> None:
        try:
            new = await self._store([(delivery, lock) for delivery, lock, _ in group])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, AWAY):  # whoever is to blame is to bear it alone
                for one in group:
                    await self._commit([one])
                return
            for _, _, kept in group:
                if not kept.done():
                    kept.set_exception(error)
            return
        for delivery, _, kept in group:
            if not kept.done():
                kept.set_result(delivery.guid in new)
                new.discard(delivery.guid)  # a second one of the same GUID in this group was here already

    async def _store(self, told: list[tuple[StoredDelivery, str]]) -> set[str]:
        # Whoever is stuck with a server that does not answer must not keep the next group from another connection.
        async with asyncio.timeout(self._intake.limits.store_seconds):
            return await store_deliveries(self._database, told)
