"""Calls for a person, and whose files are whose."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table; the next reading of the configuration fills in the code owners."""
    op.add_column("repositories", sa.Column("codeowners", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_table(
        "escalations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("tried", JSONB(), nullable=False),
        sa.Column("steps", JSONB(), nullable=False),
        sa.Column("called", JSONB(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("how", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("escalations_of_task", "escalations", ["repository_id", "task", "raised_at"])
    op.create_index("escalations_open", "escalations", ["raised_at"], postgresql_where=sa.text("ended_at IS NULL"))
