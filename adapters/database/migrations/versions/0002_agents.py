"""Agents change while the bot runs, cool down, and are measured; circuit breakers; leases name a session."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add columns and tables, and rename what a lease calls the work of its agent."""
    op.add_column("agents", sa.Column("settings", postgresql.JSONB(), nullable=True))
    op.add_column("agents", sa.Column("mode", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("changed_by", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("changed_at", _moment, nullable=True))
    op.add_column("agents", sa.Column("cooling_until", _moment, nullable=True))
    op.add_column("agents", sa.Column("cooling_reason", sa.Text(), nullable=True))
    op.add_column("agents", sa.Column("seen_at", _moment, nullable=True))
    op.add_column("agents", sa.Column("failed_at", _moment, nullable=True))
    op.add_column("agents", sa.Column("failed_reason", sa.Text(), nullable=True))
    op.create_table(
        "circuits",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("open_until", _moment, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "attempts",
        sa.Column("repository_id", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("capabilities", postgresql.JSONB(), nullable=False),
        sa.Column("started_at", _moment, nullable=False),
        sa.Column("acknowledged_at", _moment, nullable=True),
        sa.Column("ended_at", _moment, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("blamed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("longest_silence", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("repository_id", "task", "attempt"),
    )
    op.create_index("attempts_of_agent", "attempts", ["repository_id", "agent", "started_at"], unique=False)
    op.execute(
        """
        UPDATE tasks SET state = jsonb_set(
            state, '{lease}',
            (state -> 'lease') - 'run_id' - 'run_url'
                || jsonb_build_object('session', state #>> '{lease,run_id}', 'session_url', state #>> '{lease,run_url}')
        )
        WHERE jsonb_typeof(state -> 'lease') = 'object'
        """
    )
    op.execute(
        """
        UPDATE outbox
        SET payload = payload - 'run_id' || jsonb_build_object('session', payload ->> 'run_id')
        WHERE payload ? 'run_id'
        """
    )
