"""How often an agent failed since it last handed work in, and what a circuit breaker has to remember."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add the columns."""
    op.add_column("agents", sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.add_column("circuits", sa.Column("failed_at", _moment, nullable=True))
    op.add_column("circuits", sa.Column("probe_at", _moment, nullable=True))
