"""Commits concurrent deliveries in groups: one transaction, and each is answered only after it."""

from __future__ import annotations

import asyncio

import psycopg
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from adapters.database.database import Database
from adapters.database.deliveries import LARGE_PAYLOAD_BYTES, StoredDelivery, store_deliveries
from bot.http.admission import AdmissionControl

# The database does not answer, for whatever reason; a timeout is an OSError.
DATABASE_UNAVAILABLE = (OSError, OperationalError, PoolTimeout, psycopg.OperationalError)
MAX_BATCH_SIZE = 50  # deliveries of one transaction


class DeliveryWriter:
    """Stores deliveries. While one group is being committed the next one gathers, so no request waits for a group to
    fill.
    """

    def __init__(self, database: Database, admission: AdmissionControl) -> None:
        self._database = database
        self._admission = admission
        self._pending: list[tuple[StoredDelivery, str, asyncio.Future[bool]]] = []
        self._write_task: asyncio.Task[None] | None = None

    async def write(self, delivery: StoredDelivery, lock_key: str) -> bool:
        """Store a delivery and create its job; True when it is committed, False if its GUID was already stored.

        Raises one of `DATABASE_UNAVAILABLE` if the database does not answer; then it may still be stored.
        """
        if len(delivery.payload) > LARGE_PAYLOAD_BYTES:
            return delivery.guid in await self._store_batch([(delivery, lock_key)])
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((delivery, lock_key, stored))
        if self._write_task is None:
            self._write_task = asyncio.create_task(self._write_pending())
        return await stored

    async def _write_pending(self) -> None:
        try:
            while self._pending:
                batch, self._pending = self._pending[:MAX_BATCH_SIZE], self._pending[MAX_BATCH_SIZE:]
                await self._commit_batch(batch)
        finally:
            self._write_task = None
            for _, _, stored in self._pending:  # the writer was stopped: these were not acknowledged
                stored.cancel()
            self._pending.clear()

    async def _commit_batch(self, batch: list[tuple[StoredDelivery, str, asyncio.Future[bool]]]) -> None:
        try:
            new_guids = await self._store_batch([(delivery, lock_key) for delivery, lock_key, _ in batch])
        except Exception as error:
            if len(batch) > 1 and not isinstance(
                error, DATABASE_UNAVAILABLE
            ):  # each is stored by itself, so that only the faulty one fails
                for entry in batch:
                    await self._commit_batch([entry])
                return
            for _, _, stored in batch:
                if not stored.done():
                    stored.set_exception(error)
            return
        for delivery, _, stored in batch:
            if not stored.done():
                stored.set_result(delivery.guid in new_guids)
                new_guids.discard(delivery.guid)  # a second one of the same GUID in this group is a duplicate

    async def _store_batch(self, deliveries: list[tuple[StoredDelivery, str]]) -> set[str]:
        # A server that does not answer must not keep the next group from another connection.
        async with asyncio.timeout(self._admission.limits.store_timeout_seconds):
            return await store_deliveries(self._database, deliveries)
