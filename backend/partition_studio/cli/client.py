"""The command line's way to the running studio: its REST API."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from partition_studio.errors import (
    BadInputError,
    ConflictError,
    DeploymentError,
    NotAllowedError,
    NotFoundError,
    StudioError,
    StudioUnavailableError,
)
from partition_studio.schemas import ProblemOut
from partition_studio.settings import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    TOKEN_VARIABLE,
    URL_VARIABLE,
    DataDir,
    default_data_dir,
    demo_data_dir,
)

#: Requests that check or stop devices may take this long.
TIMEOUT_S = 180.0

T = TypeVar("T")

FAMILY_BY_STATUS: dict[int, type[StudioError]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    409: ConflictError,
    422: BadInputError,
    502: DeploymentError,
    503: StudioUnavailableError,
}


class StudioNotRunningError(StudioUnavailableError):
    """Nobody answers where the studio should be."""

    code = "studio_not_running"


@dataclass(frozen=True, slots=True)
class StudioAddress:
    """Where the studio is, and the token that opens it."""

    url: str
    token: str


def find_studio(url: str | None, data_dir: Path | None) -> StudioAddress:
    """Return the studio's address: from the options, the environment, else the data folder of a running studio.

    Raises NotAllowedError when no token is found.
    """
    folder = DataDir(data_dir) if data_dir is not None else _running_folder()
    url = url or os.environ.get(URL_VARIABLE) or _first_line(folder.address)
    token = os.environ.get(TOKEN_VARIABLE) or _first_line(folder.token)
    if token is not None and not token.isascii():
        raise NotAllowedError("The token has characters that no token has")
    if token is None:
        raise StudioNotRunningError(
            f"No studio has run with the data folder {folder.path}, and {TOKEN_VARIABLE} is not set"
        )
    return StudioAddress((url or f"http://{DEFAULT_HOST}:{DEFAULT_PORT}").rstrip("/"), token)


def _running_folder() -> DataDir:
    """Return the default folder, or that of the demo when only a demo runs."""
    default, demo = DataDir(default_data_dir()), DataDir(demo_data_dir())
    return demo if demo.address.exists() and not default.address.exists() else default


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


class StudioClient:
    """Calls the REST API and gives answers as our schemas, errors as our family."""

    def __init__(self, address: StudioAddress) -> None:
        self.url = address.url
        self._http = httpx.Client(
            base_url=address.url,
            headers={"Authorization": f"Bearer {address.token}"},
            timeout=httpx.Timeout(TIMEOUT_S, connect=5.0),
            trust_env=False,
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str, schema: type[T], **params: object) -> T:
        """GET `path` and return its answer as `schema`."""
        return self._parse(self._send("GET", path, params=params), schema)

    def post(self, path: str, schema: type[T], body: BaseModel | None = None) -> T:
        """POST a document and return the answer as `schema`."""
        content = None if body is None else body.model_dump_json()
        return self._parse(
            self._send("POST", path, content=content, headers={"Content-Type": "application/json"}), schema
        )

    def put(self, path: str, schema: type[T], body: BaseModel) -> T:
        """PUT a document and return the answer as `schema`."""
        headers = {"Content-Type": "application/json"}
        return self._parse(self._send("PUT", path, content=body.model_dump_json(), headers=headers), schema)

    def patch(self, path: str, schema: type[T], body: BaseModel) -> T:
        """PATCH with a document and return the answer as `schema`."""
        headers = {"Content-Type": "application/json"}
        return self._parse(self._send("PATCH", path, content=body.model_dump_json(), headers=headers), schema)

    def post_form(
        self, path: str, schema: type[T], data: dict[str, str], files: Sequence[tuple[str, tuple[str, Any]]]
    ) -> T:
        """POST a form with files and return the answer as `schema`."""
        if not files:
            return self._parse(self._send("POST", path, data=data), schema)
        return self._parse(self._send("POST", path, data=data, files=list(files)), schema)

    def delete(self, path: str) -> None:
        """DELETE `path`."""
        self._send("DELETE", path)

    def remove(self, path: str, schema: type[T]) -> T:
        """DELETE `path` and return what is said of it as `schema`."""
        return self._parse(self._send("DELETE", path), schema)

    def get_bytes(self, path: str) -> bytes:
        """GET `path` and return its bytes."""
        return self._send("GET", path).content

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.TimeoutException as error:
            raise StudioUnavailableError(f"The studio at {self.url} did not answer in time") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise StudioNotRunningError(f"No studio answers at {self.url} ({error})") from error
        if response.is_success:
            return response
        family = FAMILY_BY_STATUS.get(response.status_code, StudioError)
        try:
            problem = ProblemOut.model_validate_json(response.content)
        except ValidationError:
            raise family(f"The studio at {self.url} answered {response.status_code}") from None
        failure = family(problem.message, next_step=problem.next_step, **problem.details)
        failure.code = problem.code
        raise failure

    @staticmethod
    def _parse(response: httpx.Response, schema: type[T]) -> T:
        try:
            return TypeAdapter(schema).validate_json(response.content)
        except ValidationError:
            raise StudioUnavailableError(
                f"What answers at {response.url.host}:{response.url.port} is no Partition Studio, or another version"
            ) from None
