"""Retrospectives, and a quick way to the tasks that were done since the last one."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0009"


def upgrade() -> None:
    """Make the table and the index. Tasks that are done already are looked at by the first retrospective."""
    op.create_table(
        "retrospectives",
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("state", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "key"),
    )
    op.create_index("retrospectives_by_number", "retrospectives", ["repository_id", "number"])
    op.create_index(
        "events_completed",
        "events",
        ["repository_id", "id"],
        postgresql_where=sa.text("type = 'task_completed'"),
    )
