"""What is played with: Sellers, Opportunities and offers, and what is said of them on the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from hypothesis import strategies as st

from service.model import (
    OpportunityRegistration,
    OrderPatch,
    OrderRequest,
    SellerPolicy,
)
from tests.model.words import POOL, Due, Item, Thing

Struct = TypeVar("Struct")

OPENACTIVE = "https://openactive.io/"
TAX_GROSS, TAX_NET = f"{OPENACTIVE}TaxGross", f"{OPENACTIVE}TaxNet"
PARTNERS = ("one", "two")
SELLERS = ("https://example.com/sellers/1", "https://example.com/sellers/2")
CLASS, COURT, COURSE = (f"https://example.com/{name}" for name in ("class", "court", "course"))
HALL, PITCH = (f"https://example.com/pools/{name}" for name in ("hall", "pitch"))
NOWHERE = "https://example.com/nowhere"
KINDS = {
    CLASS: "ScheduledSession",
    COURT: "Slot",
    COURSE: "CourseInstance",
    HALL: POOL,
    PITCH: POOL,
}
POOLS = (HALL, PITCH)
OPPORTUNITIES = (CLASS, COURT, COURSE)
OFFERS = ("#offers/1", "#offers/2", "#offers/3")

# Strategies. What is meant to meet often comes several times.
sellers = st.sampled_from([*[SELLERS[0]] * 5, SELLERS[1]])
customers = st.integers(0, 3)
numbers = st.integers(0, 7)
opportunities = st.sampled_from([CLASS, CLASS, COURT, COURSE])
things = st.sampled_from([*KINDS])
offers = st.sampled_from([OFFERS[0], OFFERS[0], OFFERS[1]])
prices = st.sampled_from(
    [
        None,
        (Decimal(10), "GBP"),
        (Decimal("0.1"), "GBP"),
        (Decimal("7.25"), "GBP"),
        (Decimal(3), "EUR"),
        (Decimal(2), ""),
    ]
)
offers_on_sale = st.dictionaries(st.sampled_from(OFFERS), prices, max_size=2)
drawn_pools = st.dictionaries(st.sampled_from(POOLS), st.integers(1, 2), min_size=1).map(
    lambda pools: dict(sorted(pools.items()))
)
wrong_pools = st.dictionaries(st.sampled_from([NOWHERE, CLASS, PITCH]), st.just(1), max_size=1)
step_lengths = st.fixed_dictionaries(
    {},
    optional={
        step: st.sampled_from([90, 30, 400, 0]) for step in ("anonymous", "named", "proposal")
    },
)
other_terms = st.fixed_dictionaries(
    {},
    optional={
        "maximum_hold": st.sampled_from([60, 150, 900]),
        "payment_window": st.sampled_from([45, 500]),
        "maximum_spaces": st.integers(1, 4),
        "maximum_leases": st.integers(1, 3),
        "tax_mode": st.sampled_from([TAX_GROSS, TAX_GROSS, TAX_NET]),
    },
)
moments = st.sampled_from(["expiry", "before", "soon", "next second", "half", "long"])
dues = st.sampled_from(["", "", "right", "wrong", "EUR", "GBP", "right EUR", "right GBP"])
cancellations = st.lists(
    st.tuples(
        st.integers(0, 4),
        st.sampled_from(["position", "id"]),
        st.sampled_from(["CustomerCancelled", "SellerCancelled"]),
    ),
    min_size=1,
    max_size=3,
)

_ORDERS_OF_POSITION: list[Callable[[int], int]] = [
    lambda index: index,
    lambda index: 50 - index,
    lambda index: index * 7 % 101,
]
_TROUBLE = [
    (NOWHERE, OFFERS[0]),
    (CLASS, "#offers/none"),
    (CLASS, ""),
    ("", OFFERS[0]),
    ("", ""),
    (HALL, OFFERS[0]),
]


@st.composite
def baskets(draw: st.DrawFn) -> list[Item]:
    """Return OrderItems as a Broker sends them: in any order, now and then with nonsense."""
    spaces = st.tuples(opportunities, offers, st.sampled_from([1, 1, 2]))
    is_empty = draw(st.integers(0, 14)) == 14
    groups = [] if is_empty else draw(st.lists(spaces, min_size=1, max_size=3))
    pairs = [(id_, offer) for id_, offer, times in groups for _ in range(times)]
    if draw(st.integers(0, 9)) == 9:
        pairs.insert(draw(st.integers(0, len(pairs))), draw(st.sampled_from(_TROUBLE)))
    position = draw(st.sampled_from(_ORDERS_OF_POSITION))
    has_ids = draw(st.booleans())
    return [
        Item(position(index), *pair, id=f"#items/{index}" if has_ids else "")
        for index, pair in enumerate(pairs)
    ]


def order_request(basket: list[Item] | None, customer: str, due: Due) -> OrderRequest:
    """Return the body of C1, C2, P or B; the prices that a Broker names count for nothing."""
    body: dict[str, Any] = {"customer": {"givenName": customer}} if customer else {}
    if basket is not None:
        body["orderedItem"] = [
            {"position": item.position}
            | ({"@id": item.id} if item.id else {})
            | ({"orderedItem": item.opportunity} if item.opportunity else {})
            | ({"acceptedOffer": {"@id": item.offer, "price": 1}} if item.offer else {})
            for item in basket
        ]
    if due is not None:
        amount, currency = due
        body["totalPaymentDue"] = {"price": amount, "priceCurrency": currency or None}
    return _received(body, OrderRequest)


def order_patch(named: list[tuple[str, Any, str]]) -> OrderPatch:
    """Return the body of a cancellation of OrderItems by «position» or «id»."""
    items = [
        {("@id" if by == "id" else by): name, "orderItemStatus": OPENACTIVE + status}
        for by, name, status in named
    ]
    return _received({"orderedItem": items}, OrderPatch)


def registration(id_: str, thing: Thing, remaining: int | None) -> OpportunityRegistration:
    """Return an entry of the body of a registration."""
    unit = "Uses" if thing.kind == "Slot" else "AttendeeCapacity"
    body = {
        "@type": thing.kind,
        "@id": id_,
        f"maximum{unit}": thing.capacity,
        "offers": [{"@id": offer} | _price(price) for offer, price in thing.offers.items()],
        "capacityPools": [{"@id": pool, "spaces": each} for pool, each in thing.pools.items()],
    }
    body |= {} if remaining is None else {f"remaining{unit}": remaining}
    body |= {} if thing.modified is None else {"modified": thing.modified}
    return _received(body, OpportunityRegistration)


def seller_policy(seller: str, terms: Mapping[str, Any]) -> SellerPolicy:
    """Return the body of a policy; a step of 0 seconds is null."""
    names = {
        "maximum_hold": "maximumHold",
        "maximum_leases": "maximumLeases",
        "maximum_spaces": "maximumSpaces",
        "payment_window": "paymentWindow",
    }
    leasing: dict[str, Any] = {}
    for name, value in terms.items():
        if name in {"maximum_hold", "payment_window"}:
            leasing[names[name]] = timedelta(seconds=value)
        elif name in names:
            leasing[names[name]] = value
        elif name != "tax_mode":
            leasing[name] = {"duration": timedelta(seconds=value)} if value else None
    tax_mode = {"taxMode": terms["tax_mode"]} if "tax_mode" in terms else {}
    return _received({"@id": seller, "leasing": leasing} | tax_mode, SellerPolicy)


def _price(price: tuple[Decimal, str] | None) -> dict[str, Any]:
    if price is None:
        return {}
    return {"price": price[0]} | ({"priceCurrency": price[1]} if price[1] else {})


def _received(body: object, type_: type[Struct]) -> Struct:
    """Return what the edge makes of a body."""
    return msgspec.json.decode(msgspec.json.encode(body), type=type_)
