"""A Seller's policy, between the standard's words and the fields of the Seller's hash."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec
from msgspec import UNSET

from service.model import (
    LeasingPolicy,
    SellerPolicy,
    SellerPolicyRequest,
    StepPolicy,
    whole_seconds,
)

# Names in the Seller's hash, by what the contract calls them.
_FIELDS: Final = {
    "anonymous": "anonymous",
    "named": "named",
    "proposal": "proposal",
    "maximumHold": "maximum_hold",
    "paymentWindow": "payment_window",
    "maximumSpaces": "maximum_spaces",
    "maximumLeases": "maximum_leases",
}
_STEPS: Final = ("anonymous", "named", "proposal")
_LENGTHS: Final = ("maximumHold", "paymentWindow")


def stored_policy(policy: SellerPolicy | SellerPolicyRequest) -> dict[str, int | str]:
    """Return a policy as the Seller's hash has it: seconds, counts and the tax mode.

    What the policy leaves out is left out, and so is what is null; but a step that is null leases
    for 0 seconds, not at all.
    """
    stored: dict[str, int | str] = {}
    for field in _FIELDS.values():
        match getattr(policy.leasing, field, UNSET):
            case None if field in _STEPS:
                stored[field] = 0
            case StepPolicy(duration=length):
                stored[field] = whole_seconds(length)
            case timedelta() as length:
                stored[field] = whole_seconds(length)
            case int() as limit:
                stored[field] = limit
    if policy.tax_mode:
        stored["tax_mode"] = policy.tax_mode
    return stored


def described_policy(seller: str, stored: Mapping[str, str]) -> SellerPolicy:
    """Return a stored policy as it was given, the lengths in ISO 8601."""
    leasing: dict[str, object] = {}
    for name, field in _FIELDS.items():
        if field not in stored:
            continue
        number = int(stored[field])
        if name in _STEPS:
            leasing[name] = {"duration": timedelta(seconds=number)} if number else None
        else:
            leasing[name] = timedelta(seconds=number) if name in _LENGTHS else number
    policy: dict[str, object] = {"@id": seller, "leasing": msgspec.convert(leasing, LeasingPolicy)}
    if "tax_mode" in stored:
        policy["taxMode"] = stored["tax_mode"]
    return msgspec.convert(policy, SellerPolicy)
