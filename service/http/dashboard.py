"""The dashboard: a page for people, and the data that it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from service.errors import OpenBookingError
from service.http.keys import DASHBOARD, NOTE
from service.http.response import answer
from service.input import Id
from service.ledger.overview import Question

_PAGE: Final = Path(__file__).parent / "static" / "dashboard"
_ASSETS: Final = {path.name: path for path in _PAGE.iterdir() if path.suffix != ".html"}
_HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

_T = TypeVar("_T")


class _OfSeller(Question, frozen=True, kw_only=True):
    seller: Id


class _OfOpportunity(Struct, frozen=True):
    seller: Id
    id: Id


async def page(request: web.Request) -> web.StreamResponse:  # noqa: ARG001 - a handler takes a request
    """Show Sellers, Opportunities and leases to a person."""
    return web.FileResponse(_PAGE / "page.html", headers=_HEADERS)


async def asset(request: web.Request) -> web.StreamResponse:
    """Return a file that the page needs: nothing comes from elsewhere."""
    path = _ASSETS.get(request.match_info["asset"])
    if path is None:
        raise web.HTTPNotFound
    return web.FileResponse(path, headers=_HEADERS)


async def sellers(request: web.Request) -> web.Response:
    """Return Sellers with their first Opportunities."""
    return answer(await request.app[DASHBOARD].sellers(_asked(request, Question)))


async def lines(request: web.Request) -> web.Response:
    """Return Opportunities of one Seller."""
    asked = _asked(request, _OfSeller)
    return answer(await request.app[DASHBOARD].lines(asked.seller, asked))


async def opportunity(request: web.Request) -> web.Response:
    """Return one Opportunity with its live leases."""
    asked = _asked(request, _OfOpportunity)
    return answer(await request.app[DASHBOARD].opportunity(asked.seller, asked.id))


async def pulse(request: web.Request) -> web.Response:
    """Return what lapses next, and the conflicts of the last hour."""
    _allow(request)
    return answer(await request.app[DASHBOARD].pulse())


def _allow(request: web.Request) -> None:
    """Refuse a token that is bound: people see every Seller's Opportunities and leases here."""
    if (grant := request[NOTE].grant) is not None:
        grant.allow_everything()


def _asked(request: web.Request, kind: type[_T]) -> _T:
    _allow(request)
    try:
        return msgspec.convert(dict(request.query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise OpenBookingError(f"{error}.") from error
