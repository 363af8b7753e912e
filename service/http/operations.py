"""Whether the service lives and is ready, and what it can do."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import openapi_ui_bundles
from aiohttp import hdrs
from msgspec import Struct

from service.http.context import Request
from service.http.files import answer_file, policy
from service.http.response import Response, answer

_OURS: Final = Path(__file__).parent / "static"
_SWAGGER_UI: Final = openapi_ui_bundles.swagger_ui.static_path
_ASSETS: Final = {
    "start.js": _OURS / "start.js",
    "swagger-ui.css": _SWAGGER_UI / "swagger-ui.css",
    "swagger-ui-bundle.js": _SWAGGER_UI / "swagger-ui-bundle.js",
    "favicon-32x32.png": _SWAGGER_UI / "favicon-32x32.png",
}
_HEADERS: Final = policy(style_src="'self' 'unsafe-inline'", img_src="'self' data:")


class Health(Struct, frozen=True):
    """That this process lives."""

    status: Literal["up"] = "up"


class Components(Struct, frozen=True):
    """What the service depends on."""

    redis: Literal["up", "away"]


class ReadyState(Struct, frozen=True):
    """Whether this process wants traffic, and how what it depends on is."""

    status: Literal["ready", "draining", "away"]
    components: Components


async def livez(request: Request) -> Response:  # noqa: ARG001 - a handler takes a request
    """Say that the process lives; it does not look at Redis."""
    return answer(Health())


async def readyz(request: Request) -> Response:
    """Say whether the process wants traffic.

    Not while it drains; while Redis is away only where `LEASE_READY_NEEDS_REDIS` is set: a
    sidecar's readiness is its whole Pod's.
    """
    redis_up = await request.services.ledger.ready()
    status: Literal["ready", "draining", "away"] = "ready"
    if request.services.draining:
        status = "draining"
    elif not redis_up and request.services.settings.ready_needs_redis:
        status = "away"
    body = ReadyState(status, Components("up" if redis_up else "away"))
    return answer(body, status=200 if status == "ready" else 503)


async def metrics(request: Request) -> Response:
    """Return what all workers have counted, as Prometheus or OpenMetrics text."""
    if (grant := request.grant) is not None:
        grant.allow_everything()
    exposition = request.services.observer.expose(request.headers.get(hdrs.ACCEPT, ""))
    return Response(exposition.body, headers={hdrs.CONTENT_TYPE: exposition.content_type})


async def openapi(request: Request) -> Response:
    """Return this API as an OpenAPI 3.1 document."""
    return Response(request.services.document, headers={hdrs.CONTENT_TYPE: "application/json"})


async def docs(request: Request) -> Response:
    """Show this API to a person."""
    return await answer_file(request, _OURS / "docs.html", _HEADERS)


async def docs_asset(request: Request) -> Response:
    """Return a file that `/docs` needs: nothing comes from elsewhere."""
    return await answer_file(request, _ASSETS.get(request.name), _HEADERS)
