"""Alembic's door into the migrations: always called with a connection of ours, never from a command line."""

from alembic import context

from adapters.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
