"""Alembic runs this: migrations over the connection that `store.database` has opened."""

from alembic import context

from media_server.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
