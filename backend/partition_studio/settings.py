"""Where the studio keeps its things, and how it is told."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from partition_studio.errors import StudioUnavailableError

#: Environment variables that the studio and its command line read.
DATA_DIR_VARIABLE = "PARTITION_STUDIO_DATA_DIR"
URL_VARIABLE = "PARTITION_STUDIO_URL"
TOKEN_VARIABLE = "PARTITION_STUDIO_TOKEN"  # noqa: S105  # the variable's name, not a token
#: Set to 1, links between devices are not encrypted: for measuring what that costs, on a network of one's own.
PLAINTEXT_VARIABLE = "PARTITION_STUDIO_PLAINTEXT_LINKS"

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8400


class DataDirError(StudioUnavailableError):
    """The data folder cannot be used."""

    code = "data_dir_unusable"
    next_step = "Give another folder with --data-dir."


@dataclass(frozen=True, slots=True)
class DataDir:
    """The studio's folder (mode 0700): database, models, known host keys, wheels, local devices, token."""

    path: Path

    @property
    def token(self) -> Path:
        """The bearer token, readable by its owner only."""
        return self.path / "token"

    @property
    def address(self) -> Path:
        """The running studio's URL, for the command line."""
        return self.path / "url"

    @property
    def lock(self) -> Path:
        """Held by the studio that runs on this folder."""
        return self.path / "lock"

    @property
    def log(self) -> Path:
        """The studio's log."""
        return self.path / "studio.log"

    @property
    def known_hosts(self) -> Path:
        """Host keys that the person has accepted."""
        return self.path / "known_hosts"

    @property
    def wheelhouse(self) -> Path:
        """Wheels fetched for devices."""
        return self.path / "wheelhouse"

    @property
    def local_devices(self) -> Path:
        """A folder for each device on this machine."""
        return self.path / "local"


def plaintext_links() -> bool:
    """Return whether whoever started this process chose links in plain text."""
    return os.environ.get(PLAINTEXT_VARIABLE) == "1"


def default_data_dir() -> Path:
    """Return the folder given by the environment, else the user's usual place for such data."""
    given = os.environ.get(DATA_DIR_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_data_dir("partition-studio"))


def demo_data_dir() -> Path:
    """Return the folder of `partition-studio demo`, apart from the person's own studio."""
    return default_data_dir() / "demo"


def open_data_dir(path: Path | None = None) -> DataDir:
    """Make the data folder where it is missing. Raises DataDirError."""
    path = (path or default_data_dir()).expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise DataDirError(f"The data folder {path} cannot be used: {error.strerror}", path=str(path)) from error
    return DataDir(path)
