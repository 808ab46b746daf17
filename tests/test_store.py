"""The database's schema is what its migrations make, and an older database is brought forward."""

from pathlib import Path

import pytest
from alembic import command

from partition_studio.errors import StudioError
from partition_studio.store.database import migration_config, open_in


def test_the_migrations_make_exactly_the_tables(tmp_path: Path) -> None:
    database = open_in(tmp_path)
    try:
        command.check(migration_config(str(database.engine.url)))
    finally:
        database.close()


def test_the_migrations_go_back_and_forth(tmp_path: Path) -> None:
    database = open_in(tmp_path)
    database.close()
    config = migration_config(str(database.engine.url))
    command.downgrade(config, "base")
    command.upgrade(config, "head")
    command.check(config)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "studio.db"
    file.write_bytes(b"this is no database, but somebody's own file " * 50)
    with pytest.raises(StudioError) as caught:
        open_in(tmp_path)
    assert caught.value.code == "database_unusable"
    assert file.read_bytes().startswith(b"this is no database")
