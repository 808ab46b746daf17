"""The database's schema is what its migrations make, and an older database is brought forward."""

import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, create_engine, select, text

from partition_studio.errors import StudioError
from partition_studio.store.database import migration_config, open_in
from partition_studio.store.tables import RunRow


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


def test_a_migration_that_fails_halfway_leaves_the_database_as_it_was_and_can_be_tried_again(tmp_path: Path) -> None:
    open_in(tmp_path).close()
    url = f"sqlite:///{tmp_path / 'studio.db'}"
    command.downgrade(migration_config(url), "0001")
    engine = create_engine(url)
    with engine.begin() as connection:
        # In the way of one of the last steps.
        connection.execute(text("CREATE TABLE meter_readings (mine INTEGER)"))
        before = schema_of(connection)
    with pytest.raises(StudioError) as caught:
        open_in(tmp_path)
    assert caught.value.code == "database_unusable"
    with engine.begin() as connection:
        assert schema_of(connection) == before
        connection.execute(text("DROP TABLE meter_readings"))
    engine.dispose()
    open_in(tmp_path).close()
    command.check(migration_config(url))


def schema_of(connection: Connection) -> list[str]:
    return sorted(connection.scalars(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")))


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "studio.db"
    file.write_bytes(b"this is no database, but somebody's own file " * 50)
    with pytest.raises(StudioError) as caught:
        open_in(tmp_path)
    assert caught.value.code == "database_unusable"
    assert file.read_bytes().startswith(b"this is no database")


def test_runs_of_an_older_studio_know_what_their_deployment_tells(
    tmp_path: Path,
) -> None:
    open_in(tmp_path).close()
    url = f"sqlite:///{tmp_path / 'studio.db'}"
    command.downgrade(migration_config(url), "0002")
    engine = create_engine(url)
    told = json.dumps({"model_id": "m", "model_name": "net", "devices": [{"device": "pi-1"}, {"device": "pi-2"}]})
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO deployments VALUES ('d', 'm', 1, 'stopped', :told, '2026-01-01 00:00:00')"),
            {"told": told},
        )
        for run, deployment in (("r1", "d"), ("r2", "gone")):
            connection.execute(
                text("INSERT INTO runs VALUES (:run, :of, :document, '2026-01-01 00:00:00')"),
                {"run": run, "of": deployment, "document": json.dumps({"state": "finished"})},
            )
    engine.dispose()
    database = open_in(tmp_path)
    with database.session() as session:
        rows = {row.id: row for row in session.scalars(select(RunRow))}
    database.close()
    assert (rows["r1"].model_id, rows["r1"].devices, rows["r1"].state) == ("m", "|pi-1|pi-2|", "finished")
    assert (rows["r2"].model_id, rows["r2"].devices, rows["r2"].state) == (None, None, "finished")
