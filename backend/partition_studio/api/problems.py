"""The one place where errors become HTTP answers."""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from partition_studio.errors import (
    BadInputError,
    ConflictError,
    DeploymentError,
    DeviceError,
    NotAllowedError,
    NotFoundError,
    StudioError,
    StudioUnavailableError,
)
from partition_studio.schemas import ProblemOut

logger = logging.getLogger(__name__)

#: First match wins.
STATUS_BY_FAMILY: tuple[tuple[type[StudioError], int], ...] = (
    (BadInputError, 422),
    (NotFoundError, 404),
    (ConflictError, 409),
    (NotAllowedError, 401),
    (DeviceError, 502),
    (DeploymentError, 502),
    (StudioUnavailableError, 503),
    (StudioError, 500),
)


def answer(problem: ProblemOut, status: int) -> JSONResponse:
    """Return a problem as a response."""
    return JSONResponse(problem.model_dump(mode="json"), status_code=status)


def _studio_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StudioError)
    status = next(status for family, status in STATUS_BY_FAMILY if isinstance(error, family))
    return answer(ProblemOut.of(error), status)


def _first_fault(error: RequestValidationError | ValidationError) -> str:
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query"))
    return f"{place or 'the request'}: {fault['msg']}"


def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | ValidationError)
    return answer(
        ProblemOut(code="bad_request", message=_first_fault(error), next_step="Correct that field and try again."), 422
    )


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer(
        ProblemOut(code="http_error", message=str(error.detail), next_step="See /docs for what the studio answers."),
        error.status_code,
    )


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("request_failed", exc_info=error, extra={"path": request.url.path, "method": request.method})
    return answer(ProblemOut.of(error), 500)


def install(app: FastAPI) -> None:
    """Answer every error of our family, and what the framework raises, as a problem."""
    app.add_exception_handler(StudioError, _studio_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(ValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)
