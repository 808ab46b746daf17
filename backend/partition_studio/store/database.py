"""Opens the studio's database and brings it to the present schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from partition_studio.errors import StudioUnavailableError

MIGRATIONS = Path(__file__).with_name("migrations")


class DatabaseUnusableError(StudioUnavailableError):
    """The database cannot be opened or brought up to date."""

    code = "database_unusable"
    next_step = "Check the file and the disk's free space, or start with another --data-dir."


def migration_config(url: str) -> Config:
    """Return Alembic's configuration for our migrations and a database URL."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def _set_up_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=5000", "synchronous=NORMAL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class Database:
    """An engine and its sessions; usable from any thread."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(url)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _set_up_sqlite)
        self.session: sessionmaker[Session] = sessionmaker(self.engine, expire_on_commit=False)
        try:
            command.upgrade(migration_config(url), "head")
        except DatabaseError as error:
            self.engine.dispose()
            raise DatabaseUnusableError(f"The studio's database cannot be used: {error.orig}") from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_in(data_dir: Path) -> Database:
    """Open (or make) the SQLite database of a data folder."""
    return Database(f"sqlite:///{data_dir / 'studio.db'}")
