"""Dependencies say where they are known from; tasks say whether they are in the queue or parked before it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns; those in the queue already are in it."""
    op.add_column("dependencies", sa.Column("source", sa.Text(), server_default=sa.text("'text'"), nullable=False))
    op.add_column("tasks", sa.Column("queued", sa.Boolean(), nullable=True))
    op.execute(
        "UPDATE tasks SET queued = true"
        " WHERE status = 'ready' AND NOT withdrawn AND jsonb_array_length(state -> 'waits_for') = 0"
    )
    op.create_index(
        "tasks_queued",
        "tasks",
        ["repository_id", "priority", "created_at", "number"],
        postgresql_where=sa.text("queued IS NOT NULL"),
    )
