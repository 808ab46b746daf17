"""The servers that pages come from: a studio, the built pages of the bench, and Netron where it is installed."""

import functools
import http.server
import importlib
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "frontend"
PAGES = Path(__file__).with_name("page")


def build_pages(folder: Path) -> None:
    """Build the pages of the bench with the frontend's own packages."""
    command = [ROOT / "scripts" / "node.sh", "node", PAGES / "build.mjs", FRONTEND, folder]
    subprocess.run([str(part) for part in command], check=True)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; yields its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def netron() -> ModuleType | None:
    """Return Netron, or None where it is not installed."""
    try:
        return importlib.import_module("netron")
    except ImportError:
        return None


@contextmanager
def serve_netron(file: Path) -> Iterator[str | None]:
    """Have Netron serve a network; yields its address, or None without Netron."""
    module = netron()
    if module is None:
        yield None
        return
    address = module.start(str(file), address=("127.0.0.1", None), browse=False)
    try:
        yield f"http://{address[0]}:{address[1]}"
    finally:
        module.stop(address)
