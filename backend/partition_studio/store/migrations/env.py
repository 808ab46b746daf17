"""Alembic's entry: runs the migrations on the URL that `database.migration_config` gave."""

from alembic import context
from sqlalchemy import create_engine

from partition_studio.store.tables import Base


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise RuntimeError("no database URL")
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            # SQLite changes a table by making it anew: batch mode.
            context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


run()
