"""Registration, inspection and withdrawal of Opportunities."""

from __future__ import annotations

from aiohttp import web

from service.http.entries import granted_entries, read_entries
from service.http.keys import LEDGER, NOTE, SETTINGS
from service.http.request import ids_of, seller_of, the_seller
from service.http.response import answer, nothing


async def put(request: web.Request) -> web.Response:
    """Register Opportunities, in a JSON array or as NDJSON of any length.

    The body is read as a stream and each entry stands alone: the answer counts them, and says
    what is wrong with the first 100 that failed. An entry with an older `modified` than the last
    changes nothing.
    """
    seller = seller_of(request)
    entries = await read_entries(request, request.app[SETTINGS].body_limit)
    if (grant := request[NOTE].grant) is not None:
        entries = granted_entries(entries, grant, seller)
    done = await request.app[LEDGER].catalogue.register(entries, seller=seller)
    request[NOTE].spaces = done.registered + done.updated
    return answer(done)


async def get(request: web.Request) -> web.Response:
    """Look at the ledger of Opportunities, in the order of the ids asked for.

    What remains leaves nobody's lease out; ids that were never registered are left out.
    """
    return answer(
        await request.app[LEDGER].catalogue.inspect(the_seller(request), ids_of(request))
    )


async def delete(request: web.Request) -> web.Response:
    """Withdraw Opportunities: their leases end, their Orders stay."""
    ids = ids_of(request)
    await request.app[LEDGER].catalogue.withdraw(the_seller(request), ids)
    request[NOTE].spaces = len(ids)
    return nothing()
