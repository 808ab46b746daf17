"""One small GET from a plug in the network: no redirects, at most 3 s and 64 KiB, to an address that was looked at.

The address is a person's input, and the device may stand in a network where other things answer. So the name is
resolved once for each connection, the address is checked, and exactly that address is connected to.
"""

import hashlib
import http.client
import io
import ipaddress
import os
import re
import socket
import time
from typing import Any, Dict, NamedTuple, Optional

TIMEOUT_S = 3.0
MAX_BYTES = 64 * 1024

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[?[0-9A-Fa-f:.]{2,45}\]?")
_CHALLENGE = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,"]+))')
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

#: Where clouds keep their machines' secrets and link-local does not say so.
_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")))


class PlugError(Exception):
    """The plug did not answer as a plug does; the message is for the person. `final`: asking again will not help."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Login(NamedTuple):
    """Name and password for a plug that asks for them (digest authentication)."""

    user: str
    password: str

    def __repr__(self) -> str:
        """Hide the password from logs."""
        return f"Login({self.user!r})"


def _allowed(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return _allowed(str(inner))
    refused = address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA
    return not (refused or str(address) == "255.255.255.255")


def resolve(host: str, port: int) -> str:
    """Return the address to connect to. Raises PlugError for a host that is none, or must not be reached."""
    if not _HOST.fullmatch(host) or not 0 < port < 65536:
        raise PlugError(f"{host!r} is no host name or address", final=True)
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PlugError(f"the plug's name {host!r} is not known in the device's network: {error}") from error
    for entry in found:
        if not _allowed(str(entry[4][0])):
            raise PlugError(f"{host!r} is {entry[4][0]}, an address that is never a plug's", final=True)
    return str(found[0][4][0])


class _Limited(io.RawIOBase):
    """Reads from a socket until a deadline and up to a number of bytes."""

    def __init__(self, connection: socket.socket, deadline_s: float) -> None:
        self._connection, self._deadline_s, self._left = connection, deadline_s, MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        _limit(self._connection, self._deadline_s)
        count = self._connection.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise PlugError(f"the plug answers with more than {MAX_BYTES // 1024} KiB")
        return count


class _Source:
    """What `http.client` wants of a socket."""

    def __init__(self, connection: socket.socket, deadline_s: float) -> None:
        self._raw = _Limited(connection, deadline_s)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(self._raw, 4096)


def _limit(connection: socket.socket, deadline_s: float) -> None:
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise PlugError("the plug takes too long to answer")
    connection.settimeout(left_s)


class Client:
    """Asks one host; keeps the challenge of the last answer, so that a login costs one round."""

    def __init__(self, host: str, port: int, login: Optional[Login], timeout_s: float = TIMEOUT_S) -> None:
        self._host, self._port, self._login, self._timeout_s = host, port, login, timeout_s
        self._challenge: Optional[Dict[str, str]] = None
        self._uses = 0

    def get(self, path: str) -> bytes:
        """Return the body of the answer to a GET of a fixed path. Raises PlugError."""
        status, headers, body = self._ask(path)
        if status == 401 and self._login is not None:
            self._challenge, self._uses = _challenge(headers), 0
            status, headers, body = self._ask(path)
            if status == 401:
                self._challenge = None
        if status in (401, 403):
            raise PlugError("the plug refuses the user or password" if self._login else "the plug wants a password")
        if 300 <= status < 400:
            raise PlugError("the plug answers with a redirect, which is not followed")
        if status != 200:
            raise PlugError(f"the plug answers with HTTP status {status}")
        return body

    def _ask(self, path: str) -> "tuple[int, http.client.HTTPMessage, bytes]":
        address = resolve(self._host, self._port)
        deadline_s = time.monotonic() + self._timeout_s
        lines = [f"GET {path} HTTP/1.1", f"Host: {self._host}", "Accept: application/json", "Connection: close"]
        if self._challenge is not None and self._login is not None:
            self._uses += 1
            lines.append("Authorization: " + digest(self._challenge, self._login, path, self._uses))
        try:
            with socket.create_connection((address, self._port), self._timeout_s) as connection:
                connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("utf-8"))
                # It asks nothing of a socket but the file.
                response = http.client.HTTPResponse(_Source(connection, deadline_s))  # type: ignore[arg-type]
                with response:
                    response.begin()
                    return response.status, response.headers, response.read(MAX_BYTES)
        except OSError as error:
            if time.monotonic() >= deadline_s:
                raise PlugError("the plug takes too long to answer") from None
            raise PlugError(f"the plug at {self._host} cannot be reached: {error}") from error
        except (http.client.HTTPException, ValueError) as error:
            raise PlugError(f"what answers at {self._host} speaks no HTTP: {type(error).__name__}") from error


def _challenge(headers: http.client.HTTPMessage) -> Optional[Dict[str, str]]:
    for text in headers.get_all("WWW-Authenticate") or []:
        kind, _, rest = text.partition(" ")
        if kind.lower() == "digest":
            return {name.lower(): quoted or plain for name, quoted, plain in _CHALLENGE.findall(rest)}
    return None


def digest(challenge: Dict[str, str], login: Login, path: str, uses: int) -> str:
    """Return the header by which the password is proved without being sent (RFC 7616). Raises PlugError."""
    name = challenge.get("algorithm", "MD5").upper()
    if name not in ("MD5", "SHA-256"):
        raise PlugError(f"the plug asks for a login by {name!r}, which is not known", final=True)

    def hashed(text: str) -> str:
        # MD5 is what plugs of older firmware ask for; nothing rests on it but their own login.
        made = hashlib.sha256() if name == "SHA-256" else hashlib.md5()  # noqa: S324
        made.update(text.encode("utf-8"))
        return made.hexdigest()

    realm, nonce = challenge.get("realm", ""), challenge.get("nonce", "")
    secret, wanted = hashed(f"{login.user}:{realm}:{login.password}"), hashed(f"GET:{path}")
    fields = {"username": login.user, "realm": realm, "nonce": nonce, "uri": path}
    tail = f", algorithm={name}"
    if "auth" in re.split(r"[\s,]+", challenge.get("qop", "")):
        own, count = os.urandom(8).hex(), f"{uses:08x}"
        fields["response"] = hashed(f"{secret}:{nonce}:{count}:{own}:auth:{wanted}")
        fields["cnonce"] = own
        tail += f", qop=auth, nc={count}"
    else:
        fields["response"] = hashed(f"{secret}:{nonce}:{wanted}")
    if "opaque" in challenge:
        fields["opaque"] = challenge["opaque"]
    if any(ord(character) < 32 or character in '"\\' for value in fields.values() for character in value):
        raise PlugError("the user's name for the plug must not hold quotes or control characters", final=True)
    return "Digest " + ", ".join(f'{key}="{value}"' for key, value in fields.items()) + tail
