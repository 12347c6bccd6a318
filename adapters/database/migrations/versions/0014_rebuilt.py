"""Up to which number our memory of a repository was made again from GitHub."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0015"


def upgrade() -> None:
    """No memory that is there was made again."""
    op.add_column(
        "repositories",
        sa.Column("rebuilt_through", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
