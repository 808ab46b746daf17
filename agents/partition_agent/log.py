"""The agent's log: one line per event, fields after it, in the file that the starter made of stderr; bounded."""

import json
import logging
import os
import stat
import sys
import time
from pathlib import Path
from typing import Optional

#: The log is moved aside when it is larger; so twice this is the most that it takes.
MAX_LOG_BYTES = 2 * 1024 * 1024

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """`time LEVEL event {"field": ...}`; control characters cannot break out of a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line, and the trace of an exception after it."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        text = f"{stamp} {record.levelname} {record.name} {record.getMessage()}"
        if fields:
            text += " " + json.dumps(fields, default=str)
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class BoundedStderr(logging.StreamHandler):  # type: ignore[type-arg]  # generic only for mypy
    """Writes to stderr; where that is the log file, starts it anew when it has grown, keeping the old one as `.1`."""

    def __init__(self, log_path: Optional[Path]) -> None:
        super().__init__(sys.stderr)
        self._log_path = log_path

    def emit(self, record: logging.LogRecord) -> None:
        """Write one event."""
        super().emit(record)
        if self._log_path is not None:
            self._bound(self._log_path)

    def _bound(self, path: Path) -> None:
        try:
            mine, there = os.fstat(self.stream.fileno()), os.stat(path)
            if not stat.S_ISREG(mine.st_mode) or mine.st_ino != there.st_ino or mine.st_size <= MAX_LOG_BYTES:
                return
            old = path.with_name(path.name + ".1")
            with open(path, "rb") as source, open(old, "wb") as target:
                os.chmod(old, 0o600)
                source.seek(mine.st_size - MAX_LOG_BYTES)
                target.write(source.read(MAX_LOG_BYTES))
            os.ftruncate(self.stream.fileno(), 0)
        except (OSError, ValueError):
            # A log that cannot be moved aside is no reason to end.
            return


def set_up(data_dir: Path) -> None:
    """Send every logger's events to the log."""
    handler = BoundedStderr(data_dir / "agent.log")
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # These tell of every handshake, with what the other side sent.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
