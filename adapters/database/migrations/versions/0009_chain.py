"""The audit trail is a chain, and nothing in it can be changed."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"

GUARD = """
CREATE FUNCTION events_are_for_ever() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER events_stay BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION events_are_for_ever();
CREATE TRIGGER events_are_kept BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION events_are_for_ever();
"""


def upgrade() -> None:
    """Chain what is there, and begin to account for the tasks as they are now."""
    op.add_column("events", sa.Column("changes", JSONB(), server_default=sa.text("'{}'"), nullable=False))
    op.add_column("events", sa.Column("place", sa.BigInteger(), nullable=True))
    op.add_column("events", sa.Column("hash", sa.Text(), nullable=True))
    _account_for_tasks()
    _chain()
    op.alter_column("events", "place", nullable=False)
    op.alter_column("events", "hash", nullable=False)
    op.create_index("events_in_order", "events", ["repository_id", "place"], unique=True)
    op.execute(GUARD)


def _account_for_tasks() -> None:
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT repository_id, number, state, updated_at FROM tasks ORDER BY 1, 2"))
    for repository_id, number, state, at in rows.all():
        lease, review, pull = state.get("lease") or {}, state.get("review") or {}, state.get("pull") or {}
        told = {
            "status": state["status"],
            "priority": state["priority"],
            "kind": state["kind"],
            "attempt": state.get("attempt"),
            "agent": lease.get("agent"),
            "role": lease.get("role"),
            "reviewer": review.get("agent"),
            "pull": pull.get("number"),
            "merged": pull.get("merged"),
            "flags": sorted(state.get("flags") or {}),
            "held": bool(state.get("held")),
            "withdrawn": state.get("withdrawn"),
        }
        changes = {name: [None, value] for name, value in told.items() if value not in (None, False, [], 0)}
        connection.execute(
            sa.text(
                "INSERT INTO events (repository_id, type, task, payload, changes, occurred_at)"
                " VALUES (:repository, 'task_changed', :task, '{}', CAST(:changes AS jsonb), :at)"
            ),
            {"repository": repository_id, "task": number, "changes": json.dumps(changes), "at": at},
        )


def _chain() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT id, repository_id, type, task, agent, attempt, actor, payload, changes, occurred_at"
            " FROM events ORDER BY repository_id, id"
        )
    )
    home, place, previous = None, 0, ""
    for id_, repository_id, type_, task, agent, attempt, actor, payload, changes, at in rows.all():
        if repository_id != home:
            home, place, previous = repository_id, 0, ""
        place += 1
        said = {
            "previous": previous,
            "repository": repository_id,
            "type": type_,
            "task": task,
            "agent": agent,
            "attempt": attempt,
            "actor": actor,
            "payload": _plain(payload),
            "changes": _plain(changes),
            "occurred_at": round(at.timestamp() * 1_000_000),
        }
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        previous = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        connection.execute(
            sa.text("UPDATE events SET place = :place, hash = :hash WHERE id = :id"),
            {"place": place, "hash": previous, "id": id_},
        )


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
