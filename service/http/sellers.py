"""The policies of Sellers."""

from __future__ import annotations

import difflib
from typing import Final

import msgspec
from msgspec import Raw, Struct, structs

from service.errors import OpenBookingError
from service.http.context import Request
from service.http.decoding import decode
from service.http.request import read_body, the_seller
from service.http.response import Response, answer
from service.model import LeasingPolicy, SellerPolicyRequest, StepPolicy

_POLICY: Final = msgspec.json.Decoder(SellerPolicyRequest)
_NAMES: Final = msgspec.json.Decoder(dict[str, Raw] | None)

# What an Organization may have besides is not known here: only what is nearly right is misspelt.
_NEARLY: Final = 0.8
_STEPS: Final = ("anonymous", "named", "proposal")
_TERMS: Final = {field.encode_name for field in structs.fields(LeasingPolicy)}
_NOTHING: Final = b"null"


async def put(request: Request) -> Response:
    """Replace a Seller's policy, from the next call on.

    A step that is null does not lease; what the policy leaves out comes from the settings. Leases
    that exist stay as they are. A name in `leasing` that is none of a policy's is refused.
    """
    policy = read_body(request, _POLICY)
    _refuse_misspelt(request.body)
    seller = await the_seller(request, policy.id)
    return answer(await request.services.ledger.set_policy(seller, policy))


async def get(request: Request) -> Response:
    """Look at a Seller's policy."""
    return answer(await request.services.ledger.look_at_policy(await the_seller(request)))


def _refuse_misspelt(policy: bytes) -> None:
    """Refuse a policy with a name that is none: it would say less than its author believes."""
    given = _checked(policy, SellerPolicyRequest, "$", _NEARLY)
    steps = _checked(given.get("leasing", _NOTHING), LeasingPolicy, "$.leasing")
    for step in _STEPS:
        _checked(steps.get(step, _NOTHING), StepPolicy, f"$.leasing.{step}")


def _checked(
    given: bytes | Raw, kind: type[Struct], place: str, cutoff: float = 0.0
) -> dict[str, Raw]:
    """Return the properties of an object, of which none is misspelt."""
    properties = decode(bytes(given), _NAMES) or {}
    known = [field.encode_name for field in structs.fields(kind)]
    for name in properties:
        # Keywords and names with a prefix are JSON-LD's, or somebody's own.
        if name in known or name.startswith("@") or ":" in name:
            continue
        lower = {each.lower(): each for each in known}
        for nearest in difflib.get_close_matches(name.lower(), lower, 1, cutoff):
            raise OpenBookingError(
                f"A policy has no {name!a}: did you mean `{lower[nearest]}`? - at `{place}`."
            )
        if kind is SellerPolicyRequest and name in _TERMS:
            raise OpenBookingError(f"`{name}` belongs into `leasing` - at `{place}`.")
    return properties
