"""Who gets in."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from partition_studio.api.app import allowed_hosts
from partition_studio.api.auth import cookie_name
from tests.studio import RunningStudio


def cookie_of(studio: RunningStudio) -> str:
    return cookie_name(studio.url.removeprefix("http://"))


@contextlib.contextmanager
def signed_in(studio: RunningStudio) -> Iterator[httpx.Client]:
    with studio.http() as client:
        assert client.get(studio.ticket_link()).status_code == 303
        yield client


def test_nobody_gets_in_without_a_token(studio: RunningStudio) -> None:
    with studio.http() as client:
        for path in ("/api/models", "/api/devices", "/api/live", "/openapi.json"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
        assert client.post("/api/examples/digits", headers={"Origin": studio.url}).status_code == 401


def test_a_wrong_bearer_token_is_refused(studio: RunningStudio) -> None:
    with studio.http(Authorization="Bearer " + "x" * 43) as client:
        assert client.get("/api/models").status_code == 401


def test_a_program_with_the_token_gets_in(studio: RunningStudio) -> None:
    with studio.http(**studio.bearer) as client:
        assert client.get("/api/models").json() == []


def test_a_ticket_opens_one_session_and_no_more(studio: RunningStudio) -> None:
    link = studio.ticket_link()
    with studio.http() as first, studio.http() as second:
        assert first.get(link).headers["location"] == "/"
        assert first.get("/api/models").status_code == 200
        assert second.get(link).status_code == 401
        assert second.get("/api/models").status_code == 401


def test_the_session_cookie_is_out_of_scripts_and_other_sites_reach(studio: RunningStudio) -> None:
    with studio.http() as client:
        cookie = client.get(studio.ticket_link()).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert studio.token.lower() not in cookie


def test_studios_on_one_machine_do_not_sign_each_other_out(tmp_path: Path) -> None:
    with RunningStudio(tmp_path / "one") as one, RunningStudio(tmp_path / "two") as two, httpx.Client() as browser:
        for studio in (one, two):
            assert browser.get(studio.ticket_link()).status_code == 303
        for studio in (one, two):
            assert browser.get(f"{studio.url}/api/models").status_code == 200


def test_a_forged_or_expired_cookie_is_refused(studio: RunningStudio) -> None:
    with signed_in(studio) as client:
        value = client.cookies[cookie_of(studio)]
    expiry, nonce, signature = value.split(".")
    for forged in (f"{int(expiry) + 1}.{nonce}.{signature}", f"0.{nonce}.{signature}", "x", "", f"{expiry}.{nonce}."):
        with studio.http() as client:
            assert client.get("/api/models", headers={"Cookie": f"{cookie_of(studio)}={forged}"}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:8400", ""])
def test_a_foreign_host_header_is_refused_even_with_the_token(studio: RunningStudio, host: str) -> None:
    with studio.http(Host=host, **studio.bearer) as client:
        assert client.get("/").status_code == 403
        assert client.get("/api/models").json()["code"] == "foreign_host"


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:1", ""])
def test_a_foreign_origin_changes_nothing(studio: RunningStudio, origin: str) -> None:
    with signed_in(studio) as client:
        answer = client.post("/api/examples/squeezenet", headers={"Origin": origin})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
        assert client.get("/api/models").json() == []


def test_a_browser_that_sends_no_origin_changes_nothing(studio: RunningStudio) -> None:
    with signed_in(studio) as client:
        assert client.post("/api/examples/squeezenet").status_code == 403


def test_the_own_page_may_change_things(studio: RunningStudio) -> None:
    with signed_in(studio) as client:
        assert client.post("/api/examples/squeezenet", headers={"Origin": studio.url}, timeout=60).status_code == 201


def test_another_site_may_not_read_by_a_browser(studio: RunningStudio) -> None:
    with signed_in(studio) as client:
        assert client.get("/api/models", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_the_live_socket_needs_a_session_and_the_exact_origin(studio: RunningStudio) -> None:
    address = studio.url.replace("http", "ws") + "/api/live/ws"
    with signed_in(studio) as client:
        cookie = {"Cookie": f"{cookie_of(studio)}={client.cookies[cookie_of(studio)]}"}
    refused = [
        ({}, Origin(studio.url)),
        (cookie, None),
        (cookie, Origin("http://evil.example")),
        (cookie, Origin("null")),
    ]
    for headers, origin in refused:
        with pytest.raises((InvalidStatus, ConnectionClosed)):  # noqa: SIM117
            with connect(address, additional_headers=headers, origin=origin) as socket:
                socket.recv(timeout=5)
    with connect(address, additional_headers=cookie, origin=Origin(studio.url)) as socket:
        studio.client.post("/api/examples/squeezenet", dict)
        assert '"models"' in socket.recv(timeout=30)


def test_every_page_carries_the_security_headers(studio: RunningStudio) -> None:
    with studio.http() as client:
        headers = client.get("/").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


def test_the_token_is_readable_by_its_owner_only(studio: RunningStudio) -> None:
    assert studio.data_dir.token.stat().st_mode & 0o777 == 0o600
    assert studio.data_dir.path.stat().st_mode & 0o777 == 0o700


def test_no_path_leads_out_of_the_pages_folder(studio: RunningStudio) -> None:
    with studio.http() as client:
        for path in ("/../pyproject.toml", "/%2e%2e/%2e%2e/errors.py", "/..%2f..%2ferrors.py", "//etc/passwd"):
            answer = client.get(path)
            assert "StudioError" not in answer.text
            assert "root:" not in answer.text


def test_a_name_that_was_allowed_is_allowed_without_a_port_too() -> None:
    assert {"board.example:8400", "board.example", "127.0.0.1:8400"} <= allowed_hosts(
        "127.0.0.1", 8400, ["board.example"]
    )
    assert "127.0.0.1" not in allowed_hosts("127.0.0.1", 8400)
    assert "127.0.0.1" in allowed_hosts("127.0.0.1", 80)
