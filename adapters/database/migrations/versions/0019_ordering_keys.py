"""One job handles all deliveries that wait under the same ordering key."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Deliveries that wait go on each by itself."""
    op.add_column("deliveries", sa.Column("ordering_key", sa.Text(), nullable=True))
    op.execute("UPDATE deliveries SET ordering_key = 'delivery:' || guid")
    op.alter_column("deliveries", "ordering_key", nullable=False)
    op.create_index(
        "deliveries_in_order",
        "deliveries",
        ["ordering_key", "received_at"],
        postgresql_where=sa.text("handled_at IS NULL"),
    )
    # The jobs of the program before this one were told a GUID.
    if op.get_bind().execute(sa.text("SELECT to_regclass('procrastinate_jobs')")).scalar_one():
        op.execute(
            "UPDATE procrastinate_jobs SET args = jsonb_build_object('key', 'delivery:' || (args->>'guid'))"
            " WHERE task_name = 'delivery' AND args ? 'guid'"
        )
