"""The first tables."""

from alembic import op

from adapters.database.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables.

    The first release creates them from their description; from here on every change is a migration of its own
    with explicit statements, and this one is then written out.
    """
    metadata.create_all(op.get_bind())
