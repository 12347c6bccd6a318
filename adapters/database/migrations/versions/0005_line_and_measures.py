"""The order of the queue in columns, and what the measures of agents need to know of an attempt."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; chains are counted when the bot starts, by its first comparison with GitHub."""
    op.add_column("tasks", sa.Column("in_line", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("tasks", sa.Column("behind", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("tasks", sa.Column("required", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False))
    op.execute(
        """
        UPDATE tasks SET
            required = coalesce(state -> 'required', '[]'),
            in_line = status = 'ready' AND NOT withdrawn
                AND state -> 'waits_for' = '[]' AND NOT coalesce(state -> 'flags', '{}') ? 'parked'
        """
    )
    op.create_index(
        "tasks_in_line",
        "tasks",
        ["repository_id", "priority", "behind", "created_at", "number"],
        unique=False,
        postgresql_where=sa.text("in_line"),
    )
    op.add_column("attempts", sa.Column("handed_in_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("attempts", sa.Column("first_checks", sa.Boolean(), nullable=True))
