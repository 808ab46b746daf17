"""Links in plain text: only by the choice of who starts the studio, and told wherever the deployment is."""

import socket
from pathlib import Path

import psutil
import pytest

from partition_studio.schemas import PLAINTEXT_NOTE, DeploymentOut
from partition_studio.settings import PLAINTEXT_VARIABLE, plaintext_links
from tests.cli.conftest import call
from tests.studio import RunningStudio
from tests.system.conftest import Desk

#: A greeting of ZMTP 3.1 as far as its version: who hears a mechanism that is not his hangs up.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01"


def mechanism(port: int) -> str | None:
    """What a data socket says that it speaks; None for a port that is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
        try:
            # It speaks first; what waits to be asked is no data socket.
            said = sock.recv(64)
        except TimeoutError:
            return None
        sock.settimeout(20)
        sock.sendall(GREETING)
        while len(said) < 32:
            chunk = sock.recv(64)
            assert chunk
            said += chunk
    return said[12:32].rstrip(b"\0").decode()


def spoken_by_agents(data_dir: Path) -> list[str]:
    agents = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(word.startswith(str(data_dir)) for word in process.info["cmdline"] or [])
    ]
    ports = {c.laddr.port for agent in agents for c in agent.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    return [said for port in sorted(ports) if (said := mechanism(port)) is not None]


def deployed(studio: RunningStudio) -> tuple[Desk, DeploymentOut]:
    desk = Desk(studio)
    desk.local_devices("a", "b")
    model = desk.example()
    return desk, desk.deploy(model, desk.spread(model, "a", "b"))


def test_links_are_in_plain_text_where_the_studio_was_started_so_and_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(PLAINTEXT_VARIABLE, "1")
    with RunningStudio(tmp_path / "studio") as studio:
        assert "plaintext_links" in [record.message for record in caplog.records if record.levelname == "WARNING"]
        desk, deployment = deployed(studio)
        assert spoken_by_agents(tmp_path) == ["NULL", "NULL"]
        assert deployment.plaintext
        assert PLAINTEXT_NOTE in deployment.notes
        env = {"PARTITION_STUDIO_URL": studio.url, "PARTITION_STUDIO_TOKEN": studio.token}
        said = call("show", "latest", env=env)
        assert said.code == 0
        assert PLAINTEXT_NOTE in said.out
        assert desk.run(deployment, source="samples").lost == 0
        desk.stop(deployment)


def test_no_request_makes_them_so(desk: Desk) -> None:
    desk.local_devices("a")
    model = desk.example()
    plan = desk.spread(model, "a").model_dump(mode="json")
    document = {"model_id": model.id, "plan": plan, "plaintext": True}
    with desk.studio.http(**desk.studio.bearer) as client:
        answer = client.post("/api/deployments", json=document)
    # It is refused, not obeyed and not passed over.
    assert answer.status_code == 422
    assert "plaintext" in answer.text


def test_links_are_encrypted_without_that_choice(tmp_path: Path) -> None:
    with RunningStudio(tmp_path / "studio") as studio:
        desk, deployment = deployed(studio)
        assert spoken_by_agents(tmp_path) == ["CURVE", "CURVE"]
        assert not deployment.plaintext
        assert deployment.notes == []
        desk.stop(deployment)


@pytest.mark.parametrize(("value", "chosen"), [("1", True), ("", False), ("0", False), ("true", False), (None, False)])
def test_nothing_but_a_1_is_that_choice(monkeypatch: pytest.MonkeyPatch, value: str | None, chosen: bool) -> None:
    monkeypatch.delenv(PLAINTEXT_VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(PLAINTEXT_VARIABLE, value)
    assert plaintext_links() is chosen
