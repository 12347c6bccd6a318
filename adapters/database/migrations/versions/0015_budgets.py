"""What is left of GitHub's limits, for all replicas together."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0016"


def upgrade() -> None:
    """Make the table; every budget begins full, and GitHub's next answer says what is left."""
    op.create_table(
        "budgets",
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("sender"),
    )
