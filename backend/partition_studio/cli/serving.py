"""Runs the studio's web server in the foreground, for `serve` and `demo`."""

import logging
import logging.handlers
import signal
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import uvicorn

from partition_studio.api.app import allowed_hosts, create_app
from partition_studio.api.auth import Sessions, load_token
from partition_studio.cli.output import complaints
from partition_studio.errors import BadInputError, StudioUnavailableError
from partition_studio.services import Services
from partition_studio.settings import PLAINTEXT_VARIABLE, open_data_dir, plaintext_links

logger = logging.getLogger(__name__)

LOG_BYTES = 5 * 1024**2
LOG_FILES = 3

#: Browsers' open WebSockets are given this long when the studio ends.
GOODBYE_S = 3

#: What every log record has by itself; the rest of it is what our code added.
PLAIN_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class PortTakenError(StudioUnavailableError):
    """Something else listens where the studio should."""

    code = "port_taken"
    next_step = "Choose another port with --port, or stop what uses it."


class OpenToAllError(BadInputError):
    """The studio would answer to other machines without having been told their name for it."""

    code = "open_to_all"
    next_step = "Add --allow-host NAME[:PORT] for each name under which other machines reach the studio."


class FieldFormatter(logging.Formatter):
    """Writes a record's event and the fields that were given with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `time level logger event field=value ...`."""
        fields = {key: value for key, value in record.__dict__.items() if key not in PLAIN_FIELDS}
        return " ".join([super().format(record), *(f"{key}={value!r}" for key, value in fields.items())])


def log_to(path: Path) -> None:
    """Write our log to a file of bounded size."""
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    handler.setFormatter(FieldFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # paramiko tells of every channel at this level; of a lost connection we tell ourselves, once.
    logging.getLogger("paramiko").setLevel(logging.WARNING)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def listen(host: str, port: int) -> socket.socket:
    """Take a port. Raises PortTakenError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits for an acknowledgement of
    # its head, which comes 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # From now on nobody else can take the port; whoever asks already waits until all is prepared.
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise PortTakenError(
            f"The studio cannot listen on {host}:{port}: {error.strerror}", host=host, port=port
        ) from error
    return listener


def run_studio(
    *,
    host: str,
    port: int,
    data_dir: Path | None,
    allow_hosts: Sequence[str],
    prepare: Callable[[Services], None],
    announce: Callable[[str, str], None],
) -> None:
    """Serve until interrupted.

    `prepare` is called before the first request; `announce` with the studio's address and a one-time link.
    Raises PortTakenError, OpenToAllError, DataDirError, DataDirInUseError, DatabaseUnusableError.
    """
    if host not in LOOPBACK and not allow_hosts:
        raise OpenToAllError(f"--host {host} opens the studio to other machines")
    folder = open_data_dir(data_dir)
    listener = listen(host, port)
    port = listener.getsockname()[1]
    try:
        log_to(folder.log)
        services = Services(folder)
    except BaseException:
        listener.close()
        raise
    # uvicorn ends gracefully, then raises the signal that ended it again: both come here as KeyboardInterrupt.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        prepare(services)
        sessions = Sessions(load_token(folder.token))
        app = create_app(services, sessions, allowed_hosts(host, port, allow_hosts))
        name = host if host in LOOPBACK else allow_hosts[0].partition(":")[0]
        url = f"http://{f'[{name}]' if ':' in name else name}:{port}"
        folder.address.write_text(url + "\n")
        if plaintext_links():
            complaints.print(
                f"[bold red]warning:[/] {PLAINTEXT_VARIABLE}=1: links between devices are in plain text, to measure by"
            )
        announce(url, f"{url}/login?ticket={sessions.make_ticket()}")
        # No access log: it would hold the one-time links.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=GOODBYE_S, ws="websockets-sansio"
        )
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        logger.info("studio_told_to_end")
    finally:
        folder.address.unlink(missing_ok=True)
        services.close()
        listener.close()
