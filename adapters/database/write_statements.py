"""Composes the statement that writes what a transaction has decided.

Each table has a common table expression that takes its rows as JSON; those with rows are joined into one statement.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Integer, Text, TextClause, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from adapters.database.jobs import ALERTS, CHANNEL, DEFER, GIT, MAIN, PRIORITIES, SEND, URGENT, URGENT_SEND, WAKE
from core.task.deadlines import TargetKind

_TASK_COLUMNS: Final = (
    *("status", "priority", "agent", "attempt", "fingerprint", "untracked", "required_capabilities"),
    *("pull_number", "head_sha", "queue_state", "updated_at", "state"),
)
_TASKS: Final = f"""
new_tasks AS (
    SELECT * FROM jsonb_to_recordset(:tasks) AS r(
        number integer, created_at timestamptz, status text, priority text, agent text, attempt integer,
        fingerprint text, untracked boolean, required_capabilities jsonb, pull_number integer, head_sha text,
        queue_state text, updated_at timestamptz, state jsonb
    )
),
saved_tasks AS (
    INSERT INTO tasks (repository_id, number, created_at, {", ".join(_TASK_COLUMNS)})
    SELECT :repository, number, created_at, {", ".join(_TASK_COLUMNS)} FROM new_tasks
    ON CONFLICT (repository_id, number) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _TASK_COLUMNS)}
),
linked_pulls AS (
    INSERT INTO pulls (repository_id, number, task)
    SELECT :repository, pull_number, number FROM new_tasks WHERE pull_number IS NOT NULL
    ON CONFLICT DO NOTHING
)
"""  # noqa: S608 - of constants alone

# Of each of these the first that was reported stays.
FIRST_VALUE_COLUMNS: Final = ("acknowledged_at", "pull_opened_at", "first_checks_passed", "ended_at", "outcome")
ATTEMPT_COLUMNS: Final = (
    *("task", "attempt", "agent", "role", "capabilities", "started_at", "acknowledged_at"),
    *("pull_opened_at", "ended_at", "outcome", "counts_against_agent", "first_checks_passed"),
    "longest_silence_seconds",
)
_ATTEMPTS: Final = f"""
saved_attempts AS (
    INSERT INTO attempts (repository_id, {", ".join(ATTEMPT_COLUMNS)})
    SELECT :repository, {", ".join(ATTEMPT_COLUMNS)} FROM jsonb_to_recordset(:attempts) AS r(
        task integer, attempt integer, agent text, role text, capabilities jsonb, started_at timestamptz,
        acknowledged_at timestamptz, pull_opened_at timestamptz, ended_at timestamptz, outcome text,
        counts_against_agent boolean, first_checks_passed boolean, longest_silence_seconds double precision
    )
    ON CONFLICT (repository_id, task, attempt) DO UPDATE SET
        {", ".join(f"{name} = coalesce(attempts.{name}, excluded.{name})" for name in FIRST_VALUE_COLUMNS)},
        counts_against_agent = excluded.counts_against_agent,
        longest_silence_seconds = greatest(attempts.longest_silence_seconds, excluded.longest_silence_seconds)
)
"""  # noqa: S608 - of constants alone

# The deadlines of a target are exactly these. What was put off stays put off (`scheduler.downtime`): by the state of
# the task it was over long ago.
_REPLACE_DEADLINES: Final = """
removed_deadlines AS (
    DELETE FROM deadlines
    USING jsonb_to_recordset(:targets) AS r(target_kind text, target_id text, kinds jsonb)
    WHERE deadlines.repository_id = :repository AND deadlines.target_kind = r.target_kind
        AND deadlines.target_id = r.target_id AND NOT r.kinds ? deadlines.kind
),
replaced_deadlines AS (
    INSERT INTO deadlines (repository_id, target_kind, target_id, kind, due_at, attempt)
    SELECT :repository, target_kind, target_id, kind, due_at, attempt
    FROM jsonb_to_recordset(:replaced) AS r(
        target_kind text, target_id text, kind text, due_at timestamptz, attempt integer
    )
    ON CONFLICT (repository_id, target_kind, target_id, kind) DO UPDATE SET
        due_at = CASE WHEN excluded.due_at <= :now AND deadlines.attempt = excluded.attempt
            THEN greatest(deadlines.due_at, excluded.due_at) ELSE excluded.due_at END,
        attempt = excluded.attempt
    WHERE (deadlines.due_at, deadlines.attempt) IS DISTINCT FROM (excluded.due_at, excluded.attempt)
)
"""
_SET_DEADLINES: Final = """
set_deadlines AS (
    INSERT INTO deadlines (repository_id, target_kind, target_id, kind, due_at, attempt, payload)
    SELECT repository_id, target_kind, target_id, kind, due_at, attempt, payload
    FROM jsonb_to_recordset(:waits) AS r(
        repository_id bigint, target_kind text, target_id text, kind text, due_at timestamptz, attempt integer,
        payload jsonb
    )
    ON CONFLICT (repository_id, target_kind, target_id, kind) DO UPDATE SET
        due_at = excluded.due_at, attempt = excluded.attempt, payload = excluded.payload
)
"""

# A state effect replaces the pending one; a once effect stays what it was. A row keeps its issue or channel, so that
# one job sends it, behind one lock, whichever task asks.
_EFFECTS: Final = f"""
new_effects AS (
    SELECT * FROM jsonb_to_recordset(:effects) AS r(
        place integer, issue_number integer, channel text, key text, kind text, payload jsonb, not_before timestamptz,
        state boolean, urgent boolean
    )
),
once_effects AS (
    INSERT INTO outbox (repository_id, issue_number, channel, key, kind, payload, created_at, not_before)
    SELECT :repository, issue_number, channel, key, kind, payload, :now, not_before
    FROM new_effects WHERE NOT state ORDER BY place
    ON CONFLICT (repository_id, key) DO NOTHING
    RETURNING id, issue_number, channel, key, not_before
),
state_effects AS (
    INSERT INTO outbox (repository_id, issue_number, channel, key, kind, payload, created_at, not_before)
    SELECT :repository, issue_number, channel, key, kind, payload, :now, not_before
    FROM new_effects WHERE state ORDER BY place
    ON CONFLICT (repository_id, key) DO UPDATE SET
        payload = excluded.payload,
        version = outbox.version + 1,
        state = 'pending',
        -- After a send whose fate is unknown the next one looks first, whatever it is to write.
        attempts = CASE WHEN outbox.state = 'done' THEN 0 ELSE least(outbox.attempts, 1) END,
        -- A pending effect goes when it would have gone, and earlier if the new one may wait less. While one is being
        -- sent, the new one waits its own time.
        not_before = CASE
            WHEN excluded.not_before IS NULL THEN NULL
            WHEN outbox.state = 'pending' AND outbox.not_before > :now
                THEN least(outbox.not_before, excluded.not_before)
            WHEN outbox.state = 'pending' AND outbox.attempts = 0 THEN outbox.not_before
            ELSE excluded.not_before
        END,
        error = NULL,
        created_at = CASE WHEN outbox.state = 'pending' THEN outbox.created_at ELSE excluded.created_at END,
        done_at = NULL
    RETURNING id, issue_number, channel, key, not_before
),
saved_effects AS (
    SELECT saved.id, saved.issue_number, saved.channel, saved.not_before, new_effects.urgent
    FROM (SELECT * FROM once_effects UNION ALL SELECT * FROM state_effects) AS saved JOIN new_effects USING (key)
),
effect_deadlines AS (
    INSERT INTO deadlines (repository_id, target_kind, target_id, kind, due_at, payload)
    SELECT :repository, '{TargetKind.EFFECT}', id::text, CASE WHEN urgent THEN '{URGENT_SEND}' ELSE '{SEND}' END,
        not_before, jsonb_build_object('issue_number', issue_number, 'channel', channel)
    FROM saved_effects WHERE not_before IS NOT NULL
    ON CONFLICT (repository_id, target_kind, target_id, kind) DO UPDATE SET
        due_at = excluded.due_at, payload = excluded.payload
)
"""  # noqa: S608 - of constants alone
# A job for each issue or channel that has something to send now, but not for the one whose job is running: that job
# looks again.
_SEND_JOBS: Final = f"""
wanted AS (
    SELECT row_number() OVER (ORDER BY issue_number NULLS FIRST, channel) AS place,
        CASE WHEN channel IS NULL THEN '{MAIN}' WHEN channel = '{GIT}' THEN '{GIT}' ELSE '{ALERTS}' END AS queue,
        '{SEND}' AS task,
        CASE WHEN urgent THEN {URGENT} ELSE {PRIORITIES[SEND]} END AS priority,
        CASE WHEN channel IS NULL THEN 'send:' || :repository || ':' || issue_number
            WHEN channel = '{GIT}' THEN '{GIT}:' || :repository
            ELSE '{CHANNEL}' || channel END AS lock,
        jsonb_build_object('repository_id', :repository, 'issue_number', issue_number, 'channel', channel) AS args
    FROM (
        SELECT issue_number, channel, bool_or(urgent) AS urgent FROM saved_effects
        WHERE (not_before IS NULL OR not_before <= :now)
            AND (issue_number, channel) IS DISTINCT FROM (:sending_issue, :sending_channel)
        GROUP BY issue_number, channel
    ) AS unsent
)
"""  # noqa: S608 - of constants alone

_EVENTS: Final = """
new_events AS (
    INSERT INTO events (
        repository_id, type, task, agent, attempt, actor, payload, changes, occurred_at, seq, hash
    )
    SELECT :repository, type, task, agent, attempt, actor, payload, changes, occurred_at, seq, hash
    FROM jsonb_to_recordset(:events) AS r(
        type text, task integer, agent text, attempt integer, actor text, payload jsonb, changes jsonb,
        occurred_at timestamptz, seq bigint, hash text
    )
    ORDER BY seq
)
"""

PARTS: Final = {
    "tasks": (_TASKS,),
    "attempts": (_ATTEMPTS,),
    "targets": (_REPLACE_DEADLINES,),
    "waits": (_SET_DEADLINES,),
    "events": (_EVENTS,),
    "effects": (_EFFECTS, _SEND_JOBS, DEFER),
}
_JSON_PARAMETERS: Final = ("tasks", "attempts", "targets", "replaced", "waits", "effects", "events")


@cache
def statement_for(parts: tuple[str, ...]) -> TextClause:
    """The statement that writes these parts, a subset of `PARTS` in its order; its parameters are JSON arrays."""
    sql = ",".join(expression for part in parts for expression in PARTS[part])
    statement = text(f"WITH {sql} {WAKE if 'effects' in parts else 'SELECT'}")
    types: dict[str, Any] = {name: JSONB() for name in _JSON_PARAMETERS}
    types |= {"repository": BigInteger(), "now": DateTime(timezone=True)}
    types |= {"sending_issue": Integer(), "sending_channel": Text()}
    return statement.bindparams(
        *(bindparam(name, type_=type_) for name, type_ in types.items() if name in statement._bindparams)
    )
