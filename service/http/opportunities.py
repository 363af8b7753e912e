"""Registration, inspection and withdrawal of Opportunities."""

from __future__ import annotations

from aiohttp import web

from service.http.entries import read_entries
from service.http.keys import LEDGER, SETTINGS, SPACES
from service.http.request import DEFAULT, ids_of, seller_of
from service.http.response import answer, nothing


async def put(request: web.Request) -> web.Response:
    """Register Opportunities, in a JSON array or as NDJSON of any length.

    The body is read as a stream and each entry stands alone: the answer counts them, and says
    what is wrong with the first 100 that failed. An entry with an older `modified` than the last
    changes nothing.
    """
    seller = seller_of(request)
    entries = await read_entries(request, request.app[SETTINGS].body_limit)
    done = await request.app[LEDGER].register(entries, seller=seller)
    request[SPACES] = done.registered + done.updated
    return answer(done)


async def get(request: web.Request) -> web.Response:
    """Look at the ledger of Opportunities, in the order of the ids asked for.

    What remains leaves nobody's lease out; ids that were never registered are left out.
    """
    seller = seller_of(request) or DEFAULT
    return answer(await request.app[LEDGER].inspect(seller, ids_of(request)))


async def delete(request: web.Request) -> web.Response:
    """Withdraw Opportunities: their leases end, their Orders stay."""
    ids = ids_of(request)
    await request.app[LEDGER].withdraw(seller_of(request) or DEFAULT, ids)
    request[SPACES] = len(ids)
    return nothing()
