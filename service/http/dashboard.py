"""The dashboard: a page for people, and the data that it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from service.errors import OpenBookingError
from service.http.context import Request
from service.http.files import answer_file, policy
from service.http.response import Response, answer
from service.ledger.dashboard import Question
from service.model import Id

_PAGE: Final = Path(__file__).parent / "static" / "dashboard"
_ASSETS: Final = {path.name: path for path in _PAGE.iterdir() if path.suffix != ".html"}
_HEADERS: Final = policy(
    style_src="'self'", img_src="'self'", require_trusted_types_for="'script'"
)

_T = TypeVar("_T")


class _OfSeller(Question, frozen=True, kw_only=True):
    seller: Id


class _OfOpportunity(Struct, frozen=True):
    seller: Id
    id: Id


async def page(request: Request) -> Response:
    """Show Sellers, Opportunities and leases to a person."""
    return await answer_file(request, _PAGE / "page.html", _HEADERS)


async def asset(request: Request) -> Response:
    """Return a file that the page needs: nothing comes from elsewhere."""
    return await answer_file(request, _ASSETS.get(request.name), _HEADERS)


async def sellers(request: Request) -> Response:
    """Return Sellers with their first Opportunities."""
    return answer(await request.services.dashboard.sellers(_asked(request, Question)))


async def lines(request: Request) -> Response:
    """Return Opportunities of one Seller."""
    asked = _asked(request, _OfSeller)
    return answer(await request.services.dashboard.lines(asked.seller, asked))


async def opportunity(request: Request) -> Response:
    """Return one Opportunity with its live leases."""
    asked = _asked(request, _OfOpportunity)
    return answer(await request.services.dashboard.opportunity(asked.seller, asked.id))


async def pulse(request: Request) -> Response:
    """Return what lapses next, and the conflicts of the last hour."""
    _allow(request)
    return answer(await request.services.dashboard.pulse())


def _allow(request: Request) -> None:
    """Refuse a token that is bound: people see every Seller's Opportunities and leases here."""
    if (grant := request.grant) is not None:
        grant.allow_everything()


def _asked(request: Request, kind: type[_T]) -> _T:
    _allow(request)
    try:
        return msgspec.convert(dict(request.query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise OpenBookingError(f"{error}.") from error
