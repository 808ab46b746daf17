"""Plugs over HTTP: a real server on the loopback interface that behaves, and some that do not."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

import pytest

from partition_agent.power.plug import Anchored, PlugAnswer, PlugReader, PlugSpec, parse_shelly, parse_tasmota
from partition_agent.power.plug_http import Client, Login, PlugError, digest, resolve
from partition_agent.power.reader import Reading

SHELLY = json.dumps({"id": 0, "apower": 8.9, "aenergy": {"total": 6.532, "by_minute": [45, 47, 49]}}).encode()
TASMOTA = json.dumps({"StatusSNS": {"ENERGY": {"Total": 3.185, "Power": 7}}}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Callable[[Handler], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.requests: list[tuple[str, str | None]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up on us is what these tests are about."""


class Serve(Protocol):
    """Starts a server that answers so."""

    def __call__(self, answer: Callable[[Handler], None], /) -> Server: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(answer: Callable[[Handler], None]) -> Server:
        server = Server(answer)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def port_of(server: Server) -> int:
    return int(server.server_address[1])


def ask(server: Server, kind: str = "shelly", password: str = "", user: str = "") -> PlugAnswer:
    return PlugReader(PlugSpec(kind, "127.0.0.1", port_of(server), user, password)).answer()


def guarded(password: str, algorithm: str | None = "SHA-256", qop: str = "auth") -> Callable[[Handler], None]:
    """A plug that asks for a digest login, and checks it as RFC 7616 says."""

    def answer(handler: Handler) -> None:
        text = handler.headers.get("Authorization") or ""
        given = {name: quoted or plain for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', text)}
        kind = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5

        def hashed(part: str) -> str:
            return kind(part.encode()).hexdigest()

        secret, wanted = hashed(f"admin:plug:{password}"), hashed(f"GET:{handler.path}")
        middle = f"{given.get('nc')}:{given.get('cnonce')}:auth:" if qop else ""
        if given.get("nonce") == "n1" and given.get("response") == hashed(f"{secret}:n1:{middle}{wanted}"):
            handler.reply(200, SHELLY)
            return
        challenge = 'Digest realm="plug", nonce="n1"' + (f', qop="{qop}"' if qop else "")
        handler.reply(401, WWW_Authenticate=challenge + (f", algorithm={algorithm}" if algorithm else ""))

    return answer


# --- what a plug says ------------------------------------------------------------------------------------------------


def test_a_shelly_tells_power_and_its_counter(serve: Serve) -> None:
    server = serve(lambda handler: handler.reply(200, SHELLY))
    answer = ask(server)
    assert answer.power_w == 8.9 and answer.counter_j == pytest.approx(6.532 * 3600)
    assert server.requests == [("/rpc/Switch.GetStatus?id=0", None)]


def test_a_tasmota_tells_power_and_its_counter(serve: Serve) -> None:
    server = serve(lambda handler: handler.reply(200, TASMOTA))
    answer = ask(server, "tasmota")
    assert answer.power_w == 7 and answer.counter_j == pytest.approx(3.185 * 3.6e6)
    ask(server, "tasmota", "p&q =%", "me")
    assert [path for path, _ in server.requests] == [
        "/cm?cmnd=Status%2010",
        "/cm?user=me&password=p%26q%20%3D%25&cmnd=Status%2010",
    ]


@pytest.mark.parametrize("parse", [parse_shelly, parse_tasmota])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[1, 2]",
        b"null",
        b"{}",
        b"[" * 30000,
        b'{"apower": "8", "aenergy": 3, "StatusSNS": {"ENERGY": {"Power": [1, 2], "Total": null}}}',
        b'{"apower": NaN, "aenergy": {"total": Infinity}, "StatusSNS": {"ENERGY": {"Power": NaN}}}',
        b'{"apower": true, "aenergy": {"total": -1}, "StatusSNS": {"ENERGY": {"Power": -4, "Total": true}}}',
        b'{"apower": 1e300, "aenergy": {"total": 1e300}, "StatusSNS": {"ENERGY": {"Power": 1e99, "Total": 1e99}}}',
        b'{"StatusSNS": {"ENERGY": 7}}',
        b'{"StatusSNS": 7}',
    ],
)
def test_what_is_no_measurement_is_a_clear_error(parse: Callable[[bytes], PlugAnswer], body: bytes) -> None:
    with pytest.raises(PlugError, match="plug"):
        parse(body)


# --- login -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("algorithm", "qop"), [("SHA-256", "auth"), ("MD5", "auth"), (None, "auth"), ("MD5", "")])
def test_the_password_is_proved_by_digest_and_never_sent(serve: Serve, algorithm: str | None, qop: str) -> None:
    server = serve(guarded("se'cret", algorithm, qop))
    reader = PlugReader(PlugSpec("shelly", "127.0.0.1", port_of(server), "", "se'cret"))
    for _ in range(3):
        assert reader.answer().power_w == 8.9
    assert len(server.requests) == 4, "one round for the challenge, then none"
    assert "se'cret" not in str(server.requests)


def test_what_a_plug_wants_back_it_gets_back() -> None:
    header = digest({"realm": "r", "nonce": "n", "opaque": "xyz"}, Login("u", "p"), "/", 1)
    assert 'opaque="xyz"' in header


@pytest.mark.parametrize(("password", "told"), [("wrong", "refuses"), ("", "wants a password")])
def test_a_wrong_or_missing_password_is_told(serve: Serve, password: str, told: str) -> None:
    server = serve(guarded("right"))
    with pytest.raises(PlugError, match=told):
        ask(server, password=password)
    assert len(server.requests) <= 2


def test_a_name_that_would_break_the_header_is_refused() -> None:
    for user in ('a"b', "a\\b", "a\r\nX: y"):
        with pytest.raises(PlugError, match="quotes"):
            digest({"realm": "r", "nonce": "n"}, Login(user, "p"), "/", 1)
    with pytest.raises(PlugError, match="not known"):
        digest({"realm": "r", "nonce": "n", "algorithm": "SHA-512-256"}, Login("u", "p"), "/", 1)


def test_passwords_are_in_no_representation() -> None:
    assert "hush" not in repr(PlugSpec("shelly", "h", 80, "u", "hush")) + repr(Login("u", "hush"))


# --- servers that are no plug ----------------------------------------------------------------------------------------


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    elsewhere = serve(lambda handler: handler.reply(200, SHELLY))
    server = serve(lambda handler: handler.reply(302, Location=f"http://127.0.0.1:{port_of(elsewhere)}/"))
    with pytest.raises(PlugError, match="redirect"):
        ask(server)
    assert elsewhere.requests == []


@pytest.mark.parametrize("status", [404, 500, 204])
def test_another_status_is_told(serve: Serve, status: int) -> None:
    with pytest.raises(PlugError, match=str(status)):
        ask(serve(lambda handler: handler.reply(status)))


@pytest.mark.parametrize("declared", [True, False])
def test_an_answer_that_is_too_large_is_cut(serve: Serve, declared: bool) -> None:
    def large(handler: Handler) -> None:
        handler.send_response(200)
        if declared:
            handler.send_header("Content-Length", str(10**9))
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b" " * 10_000)

    with pytest.raises(PlugError, match="64 KiB"):
        ask(serve(large))


def test_headers_without_end_are_cut(serve: Serve) -> None:
    def endless(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        with contextlib.suppress(OSError):
            for number in range(100_000):
                handler.wfile.write(b"X-%d: y\r\n" % number)

    with pytest.raises(PlugError):
        ask(serve(endless))


def raw(talk: Callable[[socket.socket], None]) -> int:
    """A server that accepts one connection and talks no HTTP; return its port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listening, contextlib.suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                talk(connection)

    threading.Thread(target=run, daemon=True).start()
    return int(listening.getsockname()[1])


def send(text: bytes, connection: socket.socket) -> None:
    connection.sendall(text)


def test_garbage_is_told() -> None:
    for text in (b"SSH-2.0-OpenSSH_9\r\n", b"\0" * 100, b"", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"):
        with pytest.raises(PlugError):
            PlugReader(PlugSpec("shelly", "127.0.0.1", raw(functools.partial(send, text)))).answer()


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_who_answers_drop_by_drop_is_given_up_on(begin: bytes) -> None:
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(begin)
        while not ended.wait(0.05):
            connection.sendall(b" ")

    begin_s = time.monotonic()
    with pytest.raises(PlugError, match="too long"):
        Client("127.0.0.1", raw(drip), None, timeout_s=0.3).get("/")
    assert time.monotonic() - begin_s < 3.0
    ended.set()


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(PlugError, match="cannot be reached"):
        Client("127.0.0.1", port, None).get("/")


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.1.2",
        "fe80::1",
        "[fe80::1]",
        "224.0.0.251",
        "ff02::1",
        "0.0.0.0",  # noqa: S104
        "::",
        "255.255.255.255",
        "100.100.100.200",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        # What C libraries take for an address too.
        "0xa9fea9fe",
        "2852039166",
        "0251.0376.0251.0376",
    ],
)
def test_addresses_that_are_never_a_plugs_are_refused(host: str) -> None:
    with pytest.raises(PlugError) as refused:
        resolve(host, 80)
    assert "never a plug's" in str(refused.value) or "not known" in str(refused.value)


@pytest.mark.parametrize("host", ["", "-h", "a b", "a\r\nHost: b", "plug/../x", "user@plug", "http://plug", "a" * 300])
def test_what_is_no_host_is_refused_before_anything_is_asked(host: str) -> None:
    with pytest.raises(PlugError, match="no host"):
        resolve(host, 80)
    with pytest.raises(PlugError, match="no host"):
        resolve("127.0.0.1", 0)


def test_a_plug_in_the_own_network_may_be_reached() -> None:
    assert [resolve(host, 80) for host in ("192.168.1.40", "10.0.0.7", "127.0.0.1", "[fd12::7]")] == [
        "192.168.1.40",
        "10.0.0.7",
        "127.0.0.1",
        "fd12::7",
    ]


# --- energy ----------------------------------------------------------------------------------------------------------


def followed(answers: Sequence[tuple[float, float | None, float | None]]) -> list[float]:
    energy = Anchored()
    return [energy.add(PlugAnswer(power_w, counter_j), at_s, 5.0) for at_s, power_w, counter_j in answers]


def test_between_the_steps_of_a_coarse_counter_the_energy_goes_on_by_the_power() -> None:
    # 10 W, a counter in steps of 100 J, first seen in the middle of a step.
    answers = [(float(second), 10.0, (second + 3) // 10 * 100.0) for second in range(60)]
    energies = followed(answers)
    assert energies == pytest.approx([10.0 * second for second in range(60)], abs=10.1)
    assert energies == sorted(energies)


def test_in_the_long_run_the_counter_is_right() -> None:
    # The power is told 20 % too high; the counter is right.
    answers = [(float(second), 12.0, second // 10 * 100.0) for second in range(600)]
    energies = followed(answers)
    assert energies[-1] == pytest.approx(10.0 * 599, abs=130)
    assert energies == sorted(energies)


def test_a_counter_tells_of_the_time_when_the_plug_was_not_reached() -> None:
    energies = followed([(0.0, 10.0, 0.0), (1.0, 10.0, 0.0), (601.0, 10.0, 6000.0), (602.0, 10.0, 6000.0)])
    assert energies[-1] == pytest.approx(6010.0)


def test_a_counter_that_was_set_back_takes_nothing_away() -> None:
    energies = followed([(0.0, 10.0, 900.0), (1.0, 10.0, 1000.0), (2.0, 10.0, 0.0), (3.0, 10.0, 0.0)])
    assert energies == pytest.approx([0.0, 10.0, 20.0, 30.0])


def newest(reader: PlugReader) -> Reading | None:
    return reader.read(None)


def until(is_so: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 15
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_plug_is_asked_in_a_thread_of_its_own_and_its_loss_is_logged_once(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    there = threading.Event()
    server = serve(lambda handler: handler.reply(200, SHELLY) if there.is_set() else handler.reply(500))

    class Hasty(PlugReader):
        def pause_s(self, answered: bool) -> float:
            return 0.02

    caplog.set_level(logging.INFO)
    reader = Hasty(PlugSpec("shelly", "127.0.0.1", port_of(server)))
    assert newest(reader) is None
    until(lambda: len(server.requests) >= 3)
    assert newest(reader) is None and reader.problem is not None and "500" in reader.problem
    there.set()
    until(lambda: newest(reader) is not None)
    reading = newest(reader)
    reader.close()
    assert reading is not None and reading.power_w == 8.9 and reading.energy_j is not None
    assert [record.message for record in caplog.records] == ["plug_lost", "plug_back"]
    assert reader.uncertainty(8.9) == pytest.approx(0.02) and reader.uncertainty(1.0) == pytest.approx(0.1)


def test_a_plug_that_counts_nothing_is_sampled(serve: Serve) -> None:
    server = serve(lambda handler: handler.reply(200, b'{"apower": 4.5}'))
    reader = PlugReader(PlugSpec("shelly", "127.0.0.1", port_of(server)))
    assert reader.ask() == Reading(4.5)
    assert reader.method == "sampled"
