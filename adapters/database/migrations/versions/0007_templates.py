"""A repository's own task templates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column; the next look at the repository fills it."""
    op.add_column("repositories", sa.Column("templates", JSONB(), server_default=sa.text("'[]'"), nullable=False))
