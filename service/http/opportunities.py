"""Registration, inspection and withdrawal of Opportunities."""

from __future__ import annotations

from service.http.context import Request
from service.http.entries import granted_entries, read_entries
from service.http.request import ids_of, seller_of, the_seller
from service.http.response import Response, answer, nothing


async def put(request: Request) -> Response:
    """Register Opportunities, in a JSON array or as NDJSON of any length.

    The body is read as a stream and each entry stands alone: the answer counts them, and says
    what is wrong with the first 100 that failed. An entry with an older `modified` than the last
    changes nothing.
    """
    seller = seller_of(request)
    entries = await read_entries(request, request.services.settings.body_limit)
    if (grant := request.grant) is not None:
        entries = granted_entries(entries, grant, seller)
    done = await request.services.ledger.register(entries, seller=seller)
    request.spaces = done.registered + done.updated
    return answer(done)


async def get(request: Request) -> Response:
    """Look at the ledger of Opportunities, in the order of the ids asked for.

    What remains leaves nobody's lease out; ids that were never registered are left out.
    """
    ids = ids_of(request)
    return answer(await request.services.ledger.inspect(await the_seller(request), ids))


async def delete(request: Request) -> Response:
    """Withdraw Opportunities: their leases end, their Orders stay."""
    ids = ids_of(request)
    await request.services.ledger.withdraw(await the_seller(request), ids)
    request.spaces = len(ids)
    return nothing()
