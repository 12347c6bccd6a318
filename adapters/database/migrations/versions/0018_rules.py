"""By which rules every task of a repository was last looked at."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0014"


def upgrade() -> None:
    """By none that are known: the next start looks at all."""
    op.add_column("repositories", sa.Column("rules", sa.Text(), server_default=sa.text("''"), nullable=False))
