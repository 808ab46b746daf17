"""The studio's web application."""

import functools
import gzip
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.middleware import Middleware
from starlette.responses import JSONResponse

import partition_studio
from partition_studio.api import (
    deployments,
    devices,
    jobs,
    links,
    live,
    models,
    planner,
    plans,
    power,
    problems,
    profiles,
    runs,
)
from partition_studio.api.auth import SESSION_S, Gate, Sessions, cookie_name
from partition_studio.api.deps import ServicesDep
from partition_studio.api.openapi import describe
from partition_studio.errors import NotFoundError
from partition_studio.schemas import StudioOut
from partition_studio.services import Services

STATIC = Path(partition_studio.__file__).with_name("static")

USED_LINK_PAGE = """<!doctype html><meta charset="utf-8"><title>Partition Studio</title>
<body style="font: 16px/1.5 system-ui; max-width: 34em; margin: 15vh auto; padding: 0 1em">
<h1 style="font-size: 1.3em">This link has been used</h1>
<p>It opens the studio once, within fifteen minutes. For a new one, run <code>partition-studio link</code>
on the machine where the studio runs.</p>"""

PAGE_MISSING = """<!doctype html><meta charset="utf-8"><title>Partition Studio</title>
<body style="font: 16px/1.5 system-ui; max-width: 34em; margin: 15vh auto; padding: 0 1em">
<h1 style="font-size: 1.3em">The browser part has not been built</h1>
<p>Run <code>make frontend</code> in the project's folder. The REST API and the command line work without it.</p>"""


def allowed_hosts(host: str, port: int, extra: Sequence[str] = ()) -> frozenset[str]:
    """Return the values of the Host header that the studio answers to."""
    names = ["127.0.0.1", "localhost", "[::1]", *([] if host in ("0.0.0.0", "::") else [host]), *extra]  # noqa: S104
    with_port = {name if name in extra and ":" in name else f"{name}:{port}" for name in names}
    # Browsers leave the port out where it is the usual one: here on port 80, and behind a proxy that has the name.
    return frozenset({*with_port, *extra, *(names if port == 80 else [])})


@functools.cache
def _packed(file: Path) -> bytes:
    """Return a built file as gzip; there are some dozens, which do not change."""
    return gzip.compress(file.read_bytes(), 6)


def _asset(file: Path, takes_gzip: bool) -> Response:
    headers = {"Cache-Control": "max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if not takes_gzip or file.suffix not in (".js", ".css"):
        return FileResponse(file, headers=headers)
    kind = mimetypes.guess_type(file.name)[0]
    return Response(_packed(file), media_type=kind, headers={**headers, "Content-Encoding": "gzip"})


def make_routes() -> FastAPI:
    """Return the application's routes, with nothing behind them yet."""
    app = FastAPI(
        title="Partition Studio",
        version=partition_studio.__version__,
        description="Split a convolutional network over several devices, deploy it and watch it run.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        default_response_class=JSONResponse,
    )
    problems.install(app)
    for module in (models, plans, planner, devices, power, profiles, links, jobs, deployments, runs, live):
        app.include_router(module.router, prefix="/api")

    @app.get("/api/studio", tags=["studio"])
    def studio(services: ServicesDep) -> StudioOut:
        """Tell who answers."""
        return StudioOut(version=partition_studio.__version__, demo_model_id=services.demo_model_id)

    return app


def create_app(services: Services, sessions: Sessions, hosts: frozenset[str]) -> FastAPI:
    """Return the whole application over `services`, which are the caller's to close."""
    app = make_routes()
    app.state.services = services
    app.user_middleware.append(Middleware(Gate, sessions=sessions, hosts=hosts))

    @app.post("/api/tickets", include_in_schema=False, status_code=201)
    def make_ticket() -> dict[str, str]:
        return {"ticket": sessions.make_ticket()}

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        return JSONResponse(describe(app))

    @app.get("/login", include_in_schema=False)
    def login(request: Request, ticket: str = "") -> Response:
        cookie = sessions.redeem(ticket)
        if cookie is None:
            return HTMLResponse(USED_LINK_PAGE, status_code=401)
        response = RedirectResponse("/", status_code=303)
        name = cookie_name(request.headers["host"])
        response.set_cookie(name, cookie, max_age=SESSION_S, httponly=True, samesite="strict")
        return response

    @app.get("/{path:path}", include_in_schema=False)
    def page(request: Request, path: str) -> Response:
        if path.startswith("api/"):
            raise NotFoundError(f"The studio has no /{path}", next_step="See /openapi.json for what there is.")
        try:
            file = (STATIC / path).resolve()
            is_page = file.is_file() and file.is_relative_to(STATIC.resolve())
        except (OSError, ValueError):
            # A path that no file can have.
            is_page = False
        if is_page and path.startswith("assets/"):
            # Built files carry a digest in their name; the page that names them must not be kept.
            return _asset(file, "gzip" in request.headers.get("accept-encoding", ""))
        if is_page:
            return FileResponse(file, headers={"Cache-Control": "no-cache"})
        if path.startswith("assets/"):
            # A page of before an update must not take another one for its part.
            raise NotFoundError(f"The studio has no /{path}", next_step="Reload the page.")
        index = STATIC / "index.html"
        if not index.is_file():
            return HTMLResponse(PAGE_MISSING, status_code=503)
        return FileResponse(index, headers={"Cache-Control": "no-cache"})

    return app
