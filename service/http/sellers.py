"""The policies of Sellers."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import structs

from service.errors import OpenBookingError
from service.http.context import Request
from service.http.request import read_body, the_seller
from service.http.response import Response, answer
from service.model import LeasingPolicy, SellerPolicyRequest, StepPolicy

_POLICY: Final = msgspec.json.Decoder(SellerPolicyRequest)
_NAMES: Final = msgspec.json.Decoder(dict[str, Any])

# What an Organization may have besides is not known here: only what is nearly right is misspelt.
_NEARLY: Final = 0.8
_STEPS: Final = ("anonymous", "named", "proposal")


async def put(request: Request) -> Response:
    """Replace a Seller's policy, from the next call on.

    A step that is null does not lease; what the policy leaves out comes from the settings. Leases
    that exist stay as they are. A name in `leasing` that is none of a policy's is refused.
    """
    policy = read_body(request, _POLICY)
    _check_names(request)
    seller = await the_seller(request, policy.id)
    return answer(await request.services.ledger.set_policy(seller, policy))


async def get(request: Request) -> Response:
    """Look at a Seller's policy."""
    return answer(await request.services.ledger.look_at_policy(await the_seller(request)))


def _check_names(request: Request) -> None:
    """Refuse a misspelt name: the policy would say less than its author believes."""
    given = read_body(request, _NAMES)
    _refuse_misspelt(given, _names(SellerPolicyRequest), "$", _NEARLY)
    leasing = given.get("leasing") or {}
    _refuse_misspelt(leasing, _names(LeasingPolicy), "$.leasing")
    for step in _STEPS:
        _refuse_misspelt(leasing.get(step) or {}, _names(StepPolicy), f"$.leasing.{step}")


def _refuse_misspelt(
    given: Iterable[str], known: list[str], place: str, cutoff: float = 0.0
) -> None:
    for name in given:
        # Keywords and names with a prefix are JSON-LD's, or somebody's own.
        if name in known or name.startswith("@") or ":" in name:
            continue
        for nearest in difflib.get_close_matches(name, known, 1, cutoff):
            raise OpenBookingError(
                f"{ascii(name)[1:-1]} is not a property of a policy: did you mean {nearest}?"
                f" - at `{place}`."
            )


def _names(kind: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in structs.fields(kind)]
