"""Alembic's entry: runs the migrations on the URL that `database.migration_config` gave."""

from alembic import context
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from partition_studio.store.tables import Base


def _begin_nothing(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def run() -> None:
    """Run the migrations in one transaction."""
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise RuntimeError("no database URL")
    engine = create_engine(url)
    is_sqlite = engine.dialect.name == "sqlite"
    if is_sqlite:
        # Python's driver begins no transaction ahead of a change to tables: each would go to the disk by itself, and
        # stay where a later one fails.
        event.listen(engine, "connect", _begin_nothing)
        event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            # SQLite changes a table by making it anew: batch mode.
            context.configure(
                connection=connection,
                target_metadata=Base.metadata,
                render_as_batch=True,
                transactional_ddl=is_sqlite or None,
            )
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


run()
