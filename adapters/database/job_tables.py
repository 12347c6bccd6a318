"""The job queue's tables: the library's own, and an index that it lacks."""

from __future__ import annotations

import procrastinate
from sqlalchemy import text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection

# The worker looks for other jobs of the same lock before it hands one out. Without an index it reads the whole queue
# for that, once for each job that may not be taken yet: a long queue would get slower and slower.
_INDEX = "CREATE INDEX orchestrator_jobs_of_a_lock ON procrastinate_jobs (lock) WHERE status IN ('todo', 'doing')"

# PostgreSQL keeps a function's plan until its tables are analyzed again. A plan made for an almost empty queue reads a
# long one from end to end, so the function is planned at each call, in less than a millisecond, and uses indexes only.
_DISABLED_PLANS = ("enable_seqscan", "enable_bitmapscan", "enable_sort", "enable_hashjoin", "enable_mergejoin")
_DISABLED = "".join(f" SET {name} = off" for name in _DISABLED_PLANS)
_PLANNER_OPTIONS = f"{_DISABLED} SET plan_cache_mode = force_custom_plan"
# Finishes a job and hands out the next one, in one statement: as the library's function does, but none of the
# repositories that have their share of the workers. The second part of a lock is the repository's id. `more`: others
# wait, or wait for a lock.
NEXT_JOB = f"""
CREATE OR REPLACE FUNCTION orchestrator_next_job(
    finished bigint, queues varchar[], worker bigint, busy varchar[], OUT job procrastinate_jobs, OUT more boolean
) LANGUAGE plpgsql{_PLANNER_OPTIONS} AS $$
BEGIN
    IF finished IS NOT NULL THEN
        DELETE FROM procrastinate_jobs WHERE id = finished AND status IN ('todo', 'doing');
    END IF;
    WITH candidate AS (
        SELECT waiting.id FROM procrastinate_jobs AS waiting
        WHERE waiting.status = 'todo' AND waiting.queue_name = ANY(queues)
            AND (waiting.scheduled_at IS NULL OR waiting.scheduled_at <= now())
            AND (waiting.lock IS NULL OR split_part(waiting.lock, ':', 2) <> ALL(busy))
            AND NOT EXISTS (
                SELECT FROM procrastinate_jobs AS other
                WHERE other.lock = waiting.lock AND (
                    other.status = 'doing' OR other.status = 'todo'
                        AND (-other.priority, other.id) < (-waiting.priority, waiting.id)
                )
            )
        ORDER BY waiting.priority DESC, waiting.id LIMIT 1
        FOR UPDATE OF waiting SKIP LOCKED
    )
    UPDATE procrastinate_jobs AS taken SET status = 'doing', worker_id = worker
    FROM candidate WHERE taken.id = candidate.id
    RETURNING taken.* INTO job;
    more := job.id IS NOT NULL
        AND EXISTS (SELECT FROM procrastinate_jobs AS j WHERE j.status = 'todo' AND j.queue_name = ANY(queues));
END $$
"""  # noqa: S608 - of constants alone

# The library writes a line for each state of each job, which no code reads: three writes for each job.
_HISTORY_TRIGGERS = ("procrastinate_trigger_status_events_insert_v1", "procrastinate_trigger_status_events_update_v1")
_DISABLE_HISTORY = "".join(f"ALTER TABLE procrastinate_jobs DISABLE TRIGGER {name};" for name in _HISTORY_TRIGGERS)
_HAS_HISTORY = text("SELECT EXISTS (SELECT FROM pg_trigger WHERE tgname = ANY(:names) AND tgenabled <> 'D')")


async def create_job_tables(connection: AsyncConnection) -> None:
    """Make what is not there yet. Raises `DisconnectionError` when the connection is lost meanwhile."""
    await _create_if_missing(connection, "procrastinate_jobs", procrastinate.schema.SchemaManager.get_schema())
    await _create_if_missing(connection, "orchestrator_jobs_of_a_lock", _INDEX)
    signature = "orchestrator_next_job(bigint,varchar[],bigint,varchar[])"
    await _create_if_missing(connection, signature, NEXT_JOB, "to_regprocedure")
    if (await connection.execute(_HAS_HISTORY, {"names": list(_HISTORY_TRIGGERS)})).scalar_one():
        await _execute(connection, _DISABLE_HISTORY)


async def _create_if_missing(
    connection: AsyncConnection, name: str, statements: str, lookup: str = "to_regclass"
) -> None:
    result = await connection.execute(text(f"SELECT {lookup}(:name)"), {"name": name})
    if result.scalar_one() is None:
        await _execute(connection, statements)


async def _execute(connection: AsyncConnection, statements: str) -> None:
    raw = await connection.get_raw_connection()
    if raw.driver_connection is None:
        raise DisconnectionError("the connection was closed while the tables were made")
    await raw.driver_connection.execute(statements)
