"""OpenActive's test interface: makes what a test needs, and plays the Seller.

Never part of a front-end in production.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal

from aiohttp import web
from msgspec import Struct, field

from examples.booking_front_end import listings, pricing
from examples.booking_front_end.answers import CONTEXT, answer, nothing
from examples.booking_front_end.authentication import partner_of
from examples.booking_front_end.bodies import parse, shaped
from examples.booking_front_end.catalogue import Listing
from examples.booking_front_end.errors import SellerNotFoundError
from examples.booking_front_end.keys import CATALOGUE, RECORDS, SELLERS, SETTINGS
from examples.booking_front_end.listings import APPROVAL, Terms
from examples.booking_front_end.records import CONFIRMED, ORDER, PROPOSAL, Intent, Records
from examples.booking_front_end.sellers import Seller
from service.client import OrderName
from service.errors import OpenBookingError
from service.model import Thing

_CAPACITY: Final = 10
_SPACES: Final = {"OneSpace": 1, "FiveSpaces": 5, "NoSpaces": 0}
_DAYS_AHEAD: Final = 4
_PRICE: Final = Decimal("14.95")
_REQUIREMENT: Final = "https://openactive.io/OpenBooking"

# What a criterion asks of the Offer; those that are not here ask for nothing.
_OFFERS: Final[dict[str, dict[str, Any]]] = {
    "Free": {"price": Decimal(0)},
    "FreeCancellable": {"price": Decimal(0)},
    "NonFreePrepaymentOptional": {"openBookingPrepayment": pricing.OPTIONAL},
    "NonFreePrepaymentRequired": {"openBookingPrepayment": pricing.REQUIRED},
    "NonFreePrepaymentUnavailable": {"openBookingPrepayment": pricing.UNAVAILABLE},
    "CancellableWithinWindow": {"latestCancellationBeforeStartDate": "P1D"},
    "CancellableOutsideWindow": {"latestCancellationBeforeStartDate": "P40D"},
    "NotCancellable": {"allowCustomerCancellationFullRefund": False},
    "WithinValidFromBeforeStartDate": {"validFromBeforeStartDate": "P10D"},
    "OutsideValidFromBeforeStartDate": {"validFromBeforeStartDate": "P1D"},
    "AttendeeDetails": {"openBookingFlowRequirement": [f"{_REQUIREMENT}AttendeeDetails"]},
    "AdditionalDetails": {"openBookingFlowRequirement": [f"{_REQUIREMENT}IntakeForm"]},
    "WithNegotiation": {"openBookingFlowRequirement": [f"{_REQUIREMENT}Negotiation"]},
}


class _Owned(Struct, frozen=True):
    """What an Opportunity belongs to, and with it to a Seller."""

    type: str = field(name="@type", default="")
    organizer: Thing | None = None
    provider: Thing | None = None


class _Wanted(Struct, frozen=True):
    """An Opportunity that a test needs."""

    type: Literal["ScheduledSession", "Slot"] = field(name="@type")
    criterion: str = field(name="test:testOpportunityCriteria")
    flow: str = field(name="test:testOpenBookingFlow")
    super_event: _Owned = field(name="superEvent", default=_Owned())
    facility_use: _Owned = field(name="facilityUse", default=_Owned())


class _Action(Struct, frozen=True):
    """What the Seller is to do, and to which Order."""

    type: str = field(name="@type")
    object: Thing


def listing(
    base_url: str, number: int, seller: Seller, kind: str, criterion: str, *, approval: bool
) -> Listing:
    """Return an Opportunity that meets a criterion.

    Args:
        base_url: What its ids begin with.
        number: A number of its own.
        seller: Whose it is.
        kind: `ScheduledSession`, `FacilityUseSlot` or `IndividualFacilityUseSlot`.
        criterion: Without `TestOpportunityBookable`.
        approval: Whether the Seller has to approve of it first.

    """
    offer: dict[str, Any] = {"price": _PRICE, "allowCustomerCancellationFullRefund": True}
    offer |= _OFFERS.get(criterion, {})
    if approval:
        requirements = offer.get("openBookingFlowRequirement", [])
        offer["openBookingFlowRequirement"] = [*requirements, APPROVAL]
    days = -_DAYS_AHEAD if criterion == "InPast" else _DAYS_AHEAD
    start = (datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0)
    capacity = 1 if kind == "IndividualFacilityUseSlot" else _CAPACITY
    terms = Terms(start, capacity, min(capacity, _SPACES.get(criterion, capacity)), offer)
    make = _MAKERS[kind]
    return make(base_url, number, seller, f"[TEST] {criterion or 'Bookable'}", terms)


async def create_opportunity(request: web.Request) -> web.Response:
    """Publish an Opportunity that meets a criterion."""
    asked = shaped(parse(await request.read()), _Wanted)
    kind, owner = _kind_and_owner(asked)
    seller = request.app[SELLERS].get(owner)
    if seller is None:
        raise SellerNotFoundError(f"There is no Seller {owner}.")
    catalogue = request.app[CATALOGUE]
    made = listing(
        request.app[SETTINGS].base_url,
        await catalogue.next_number(),
        seller,
        kind,
        _fragment(asked.criterion).removeprefix("TestOpportunityBookable"),
        approval=_fragment(asked.flow) == "OpenBookingApprovalFlow",
    )
    await catalogue.publish([made], request.match_info["dataset"])
    return answer({"@context": CONTEXT, "@type": asked.type, "@id": made.opportunity.id})


async def delete_dataset(request: web.Request) -> web.Response:
    """Withdraw what was made for a test dataset; what was ordered of it nobody asks for again."""
    await request.app[CATALOGUE].withdraw_dataset(request.match_info["dataset"])
    return nothing()


async def act(request: web.Request) -> web.Response:
    """Do what a Seller does: accept, reject, cancel, tell, note who came."""
    asked = shaped(parse(await request.read()), _Action)
    action = asked.type.removeprefix("test:").removesuffix("SimulateAction")
    records = request.app[RECORDS]
    kind = PROPOSAL if action.endswith("OrderProposal") else ORDER
    order = await records.name(partner_of(request), asked.object.id.rpartition("/")[2], kind)
    async with records.lock(order):
        await _act(records, order, action)
    return nothing()


async def _act(records: Records, order: OrderName, action: str) -> None:
    match action:
        case "SellerAcceptOrderProposal":
            status = {"status": "https://openactive.io/SellerAccepted"}
            await records.carry_out(Intent(order, "decide", status))
        case "SellerRejectOrderProposal":
            status = {"status": "https://openactive.io/SellerRejected"}
            await records.carry_out(Intent(order, "decide", status))
        case "SellerRequestedCancellation" | "SellerRequestedCancellationWithMessage":
            await _cancel(records, order, with_message=action.endswith("WithMessage"))
        case "CustomerNotice":
            await records.change(order, _on_items("customerNotice", "Please arrive early."))
        case "AttendeeAttended" | "AttendeeAbsent":
            status_url = f"https://openactive.io/{action}"
            await records.change(order, _on_items("orderItemStatus", status_url))
        case _:
            raise OpenBookingError(f"There is no action {action}.")


async def _cancel(records: Records, order: OrderName, *, with_message: bool) -> None:
    items = (await records.get(order))["orderedItem"]
    payload: dict[str, Any] = {
        "items": [item["@id"] for item in items if item["orderItemStatus"] == CONFIRMED],
        "status": "https://openactive.io/SellerCancelled",
    }
    if with_message:
        payload["message"] = "The instructor is ill."
    await records.carry_out(Intent(order, "cancel", payload))


def _on_items(name: str, value: str) -> Callable[[dict[str, Any]], None]:
    def change(order: dict[str, Any]) -> None:
        for item in order["orderedItem"]:
            item[name] = value

    return change


def _kind_and_owner(asked: _Wanted) -> tuple[str, str]:
    if asked.type == "Slot":
        kind, owner = f"{asked.facility_use.type}Slot", asked.facility_use.provider
    else:
        kind, owner = asked.type, asked.super_event.organizer
    if kind not in _MAKERS or owner is None:
        raise OpenBookingError("The Opportunity needs a superEvent or facilityUse, with a Seller.")
    return kind, owner.id


def _fragment(url: str) -> str:
    return url.rpartition("#")[2]


_MAKERS: Final = {
    "ScheduledSession": listings.session,
    "FacilityUseSlot": listings.slot,
    "IndividualFacilityUseSlot": listings.individual_slot,
}
