"""`queued` says what `in_line` said: whether a task is in the line."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Drop the column, with its index, and index the other."""
    op.drop_index("tasks_in_line", "tasks")
    op.drop_column("tasks", "in_line")
    op.create_index(
        "tasks_in_line",
        "tasks",
        ["repository_id", "priority", "behind", "created_at", "number"],
        unique=False,
        postgresql_where=sa.text("queued"),
    )
