"""Who may talk to the studio: Host allow-list, exact Origin, cookie or bearer token.

The bearer token lies in the data folder, readable by its owner only; the command line reads it there. A browser gets a
ticket in a one-time link and changes it for a cookie, so that no lasting secret stands in an address. The cookie is
`<expiry>.<nonce>.<HMAC>`, keyed by the token: nothing has to be kept for it, and a new token ends every session.
"""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from partition_studio.api.problems import answer
from partition_studio.schemas import ProblemOut

COOKIE_NAME = "partition_studio_session"
SESSION_S = 30 * 24 * 3600
TICKET_S = 15 * 60
MAX_TICKETS = 32
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def cookie_name(host: str) -> str:
    """Return the session cookie's name for a Host header: browsers keep one jar for all ports of a host.

    Two studios on one machine would sign each other out otherwise.
    """
    port = host.rpartition(":")[2]
    return f"{COOKIE_NAME}_{port}" if port.isascii() and port.isdecimal() else COOKIE_NAME


class Sessions:
    """Tickets and cookies of one token. Thread-safe."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._lock = threading.Lock()
        self._tickets: dict[str, float] = {}

    def make_ticket(self) -> str:
        """Return a ticket that opens one session, within `TICKET_S` seconds."""
        ticket = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._tickets) >= MAX_TICKETS:
                self._tickets.pop(next(iter(self._tickets)))
            self._tickets[ticket] = time.monotonic() + TICKET_S
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """Return a new cookie for a ticket that nobody has used, else None."""
        with self._lock:
            expiry = self._tickets.pop(ticket, None)
        if expiry is None or expiry < time.monotonic():
            return None
        body = f"{int(time.time()) + SESSION_S}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._sign(body)}"

    def is_session(self, cookie: str) -> bool:
        """Whether a cookie was made here and still holds."""
        body, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return False
        expiry = body.partition(".")[0]
        return expiry.isdecimal() and int(expiry) > time.time()

    def is_token(self, bearer: str) -> bool:
        """Whether a bearer token is ours."""
        return hmac.compare_digest(bearer.encode(), self._token.encode())

    def _sign(self, body: str) -> str:
        return hmac.new(self._token.encode(), b"session:" + body.encode(), hashlib.sha256).hexdigest()


def load_token(path: Path) -> str:
    """Return the token kept at `path`, made there (mode 0600) when it is not."""
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        token = ""
    if len(token) < 32:
        token = secrets.token_urlsafe(32)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(token + "\n")
    return token


def _refusal(status: int, code: str, message: str, next_step: str) -> Response:
    return answer(ProblemOut(code=code, message=message, next_step=next_step), status)


class Gate:
    """ASGI middleware in front of everything: refuses what must not come in, and adds the security headers."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions, hosts: frozenset[str]) -> None:
        """Guard `app`; `hosts` are the allowed values of the Host header, port included."""
        self._app = app
        self._sessions = sessions
        self._hosts = hosts
        self._origins = frozenset(f"{scheme}://{host}" for host in hosts for scheme in ("http", "https"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refuse(HTTPConnection(scope))
        if refusal is not None:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 4401, "reason": "not allowed"})
            else:
                await refusal(scope, receive, send)
            return

        async def send_with_headers(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                raw = message.setdefault("headers", [])
                assert isinstance(raw, list)
                raw.extend((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items())
                # Browsers answer a page that is gone back to from their cache: with a plan of long ago.
                if scope["path"].startswith("/api/") and not any(name.lower() == b"cache-control" for name, _ in raw):
                    raw.append((b"cache-control", b"no-store"))
            await send(message)

        await self._app(scope, receive, send_with_headers)  # type: ignore[arg-type]  # Send takes a MutableMapping

    def _refuse(self, request: HTTPConnection) -> Response | None:
        headers = request.headers
        if headers.get("host", "") not in self._hosts:
            return _refusal(
                403,
                "foreign_host",
                f"The studio does not answer for the host {headers.get('host', '')!r}",
                "Open the address that the studio printed, or start it with --allow-host.",
            )
        path = request.url.path
        if not path.startswith("/api/") and path not in ("/docs", "/openapi.json"):
            return None
        by_token = self._has_token(headers)
        if not self._origin_is_fine(request, by_token=by_token):
            return _refusal(
                403,
                "foreign_origin",
                f"A page of {headers.get('origin', 'an unknown origin')} may not use the studio",
                "Use the studio's own page.",
            )
        if by_token or self._sessions.is_session(request.cookies.get(cookie_name(headers["host"]), "")):
            return None
        return _refusal(
            401,
            "not_signed_in",
            "This browser or program is not signed in to the studio",
            "Run `partition-studio link` and open the one-time link that it prints, or pass the studio's token.",
        )

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._sessions.is_token(token.strip())

    def _origin_is_fine(self, request: HTTPConnection, *, by_token: bool) -> bool:
        """Exact match where something may change; a program with a token need not send one."""
        origin = request.headers.get("origin")
        if request.scope["type"] == "http" and request.scope["method"] in SAFE_METHODS:
            return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
        if origin is None:
            return by_token
        return origin in self._origins
