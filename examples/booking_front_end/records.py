"""Orders and OrderProposals as they are kept, and what happens to them.

A change is settled in the service first and written down second. So that neither is lost when this
process ends in between, what is about to happen is written down before: an *intent*, which goes
in the transaction that writes the change. One that is found later was interrupted, and is settled
before anything else happens to its Order: at start-up, or at the Broker's next try.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from aiosqlite import Row

from examples.booking_front_end import pricing
from examples.booking_front_end.catalogue import CHANGES
from examples.booking_front_end.storage import (
    Storage,
    Transaction,
    from_json,
    next_number,
    to_json,
)
from service.client import LeaseService, OrderName
from service.errors import OpenBookingError, UnknownOrderError
from service.model import OrderItemPatch, OrderItemRequest

CONFIRMED: Final = "https://openactive.io/OrderItemConfirmed"
ORDER: Final = "Order"
PROPOSAL: Final = "OrderProposal"

_UNAVAILABLE: Final = 503
_PAUSE_SECONDS: Final = 0.5

Thing = dict[str, Any]


class Record(NamedTuple):
    """An Order or an OrderProposal.

    Attributes:
        digest: Of the request that made it.
        answer: What B or P was answered, as JSON.
        current: As it stands.
        deleted: Whether the Broker deleted it, or the OrderProposal became an Order.

    """

    digest: str
    answer: str
    current: Thing
    deleted: bool


class Intent(NamedTuple):
    """What the service is being asked.

    Attributes:
        order: About which Order.
        verb: `book`, `propose`, `cancel`, `decide` or `delete`.
        payload: What is needed to ask it, and to write down what came of it.
        digest: Of the Broker's request, for `book` and `propose`.

    """

    order: OrderName
    verb: str
    payload: Thing
    digest: str = ""


class Records:
    """What was ordered, and the only way to change it."""

    def __init__(self, storage: Storage, service: LeaseService) -> None:
        """Keep it in `storage`, and settle it with `service`."""
        self._storage = storage
        self._service = service
        self._turns: WeakValueDictionary[OrderName, asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def turn(self, order: OrderName) -> AsyncIterator[None]:
        """Give the caller an Order to themselves, with nothing left half done.

        Raises:
            OpenBookingError: Something is, and the service does not answer.

        """
        async with self._turns.setdefault(order, asyncio.Lock()):
            query = "SELECT * FROM intent WHERE partner = ? AND uuid = ?"
            row = await self._storage.row(query, order.partner, order.uuid)
            if row is not None:
                await self._settle(_intent(row))
            yield

    async def repair(self) -> int:
        """Settle everything that was interrupted, and return how much that was."""
        rows = await self._storage.rows("SELECT * FROM intent")
        for intent in map(_intent, rows):
            while True:
                try:
                    async with self.turn(intent.order):
                        break
                except OpenBookingError as error:
                    if error.status_code != _UNAVAILABLE:
                        raise
                    await asyncio.sleep(_PAUSE_SECONDS)
        return len(rows)

    async def find(self, order: OrderName, kind: str = ORDER) -> Record | None:
        """Return an Order or an OrderProposal of this Seller, if there is one."""
        row = await self._storage.row(
            "SELECT * FROM record WHERE partner = ? AND uuid = ? AND kind = ? AND seller = ?",
            order.partner,
            order.uuid,
            kind,
            order.seller,
        )
        if row is None:
            return None
        return Record(
            row["digest"], row["answer"], from_json(row["current"]), bool(row["deleted"])
        )

    async def get(self, order: OrderName, kind: str = ORDER) -> Thing:
        """Return an Order or an OrderProposal as it stands.

        Raises:
            UnknownOrderError: There is none, or it was deleted.

        """
        record = await self.find(order, kind)
        if record is None or record.deleted:
            raise UnknownOrderError(f"There is no {kind} with this UUID.")
        return record.current

    async def owner(self, uuid: str, kind: str, api_url_id: str) -> OrderName:
        """Return whose Order this is, which the test interface names by its `@id` alone.

        Raises:
            UnknownOrderError: There is none.

        """
        query = "SELECT * FROM record WHERE uuid = ? AND kind = ? AND deleted = 0"
        for row in await self._storage.rows(query, uuid, kind):
            if from_json(row["current"])["@id"] == api_url_id:
                return OrderName(row["seller"], row["partner"], uuid)
        raise UnknownOrderError(f"There is no {kind} {api_url_id}.")

    async def carry_out(self, intent: Intent) -> None:
        """Ask the service, and write down what came of it; the caller has the Order's turn.

        Raises:
            OpenBookingError: The service refused, and nothing was changed; or it did not answer
                (503), and the next try will find out.

        """
        async with self._storage.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO intent (partner, uuid, verb, seller, digest, payload)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    intent.order.partner,
                    intent.order.uuid,
                    intent.verb,
                    intent.order.seller,
                    intent.digest,
                    to_json(intent.payload),
                ),
            )
        await self._finish(intent, self._ask(intent))

    async def change(self, order: OrderName, change: Callable[[Thing], None]) -> None:
        """Change what the service need not know, and tell the Broker by the Orders feed."""
        async with self._storage.transaction() as transaction:
            await _change(transaction, order, ORDER, change)

    async def _settle(self, intent: Intent) -> None:
        """Find out what came of what was interrupted.

        A booking may have been made or not, and the service knows; its Broker may have gone away,
        so it is not tried again. What takes something back may be repeated.
        """
        match intent.verb:
            case "book":
                asking: Any = self._service.look_at_order(intent.order)
            case "propose":
                asking = self._service.look_at_proposal(intent.order)
            case _:
                asking = self._ask(intent)
        with contextlib.suppress(UnknownOrderError):
            await self._finish(intent, asking)

    async def _finish(self, intent: Intent, asking: Any) -> None:  # noqa: ANN401 - any coroutine
        try:
            await asking
        except OpenBookingError as error:
            if error.status_code != _UNAVAILABLE:
                async with self._storage.transaction() as transaction:
                    await _forget(transaction, intent.order)
            raise
        async with self._storage.transaction() as transaction:
            await _write(transaction, intent)
            await _forget(transaction, intent.order)

    async def _ask(self, intent: Intent) -> None:
        order, payload = intent.order, intent.payload
        match intent.verb:
            case "book":
                items = None if payload["proposed"] else _requests(payload["answer"])
                customer = to_json(payload["answer"].get("customer")).encode()
                await self._service.book(order, items, customer=customer)
            case "propose":
                customer = to_json(payload["answer"].get("customer")).encode()
                await self._service.propose(order, _requests(payload["answer"]), customer=customer)
            case "decide":
                await self._service.decide(order, payload["status"])
            case "cancel":
                patches = [
                    OrderItemPatch(order_item_status=payload["status"], position=position_of(id_))
                    for id_ in payload["items"]
                ]
                await self._service.cancel(order, patches)
            case "delete":
                await self._service.delete(order)


def item_id(api_url: str, uuid: str, position: int) -> str:
    """Return the `@id` of an OrderItem."""
    return f"{api_url}/orders/{uuid}#/orderedItem/{position}"


def position_of(id_: str) -> int:
    """Return the position that an OrderItem's `@id` ends with."""
    return int(id_.rpartition("/")[2])


def _requests(answer: Thing) -> list[OrderItemRequest]:
    return [
        OrderItemRequest(
            position=position_of(item["@id"]),
            ordered_item=item["orderedItem"]["@id"],
            accepted_offer=item["acceptedOffer"]["@id"],
        )
        for item in answer["orderedItem"]
    ]


def _intent(row: Row) -> Intent:
    order = OrderName(row["seller"], row["partner"], row["uuid"])
    return Intent(order, row["verb"], from_json(row["payload"]), row["digest"])


async def _forget(transaction: Transaction, order: OrderName) -> None:
    await transaction.execute(
        "DELETE FROM intent WHERE partner = ? AND uuid = ?", (order.partner, order.uuid)
    )


async def _write(transaction: Transaction, intent: Intent) -> None:
    order, payload = intent.order, intent.payload
    match intent.verb:
        case "book":
            await _insert(transaction, intent, ORDER)
            # The OrderProposal that it was is over.
            await _delete(transaction, order, PROPOSAL)
        case "propose":
            await _insert(transaction, intent, PROPOSAL)
        case "decide":
            await _change(
                transaction,
                order,
                PROPOSAL,
                lambda current: current.update(orderProposalStatus=payload["status"]),
            )
        case "cancel":
            await _change(transaction, order, ORDER, lambda current: _cancel(current, payload))
        case "delete":
            await _delete(transaction, order, ORDER)


async def _insert(transaction: Transaction, intent: Intent, kind: str) -> None:
    answer = to_json(intent.payload["answer"])
    await transaction.execute(
        "INSERT INTO record (partner, uuid, kind, seller, digest, answer, current)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            intent.order.partner,
            intent.order.uuid,
            kind,
            intent.order.seller,
            intent.digest,
            answer,
            answer,
        ),
    )


async def _delete(transaction: Transaction, order: OrderName, kind: str) -> None:
    await transaction.execute(
        "UPDATE record SET deleted = 1, change = ? WHERE partner = ? AND uuid = ? AND kind = ?"
        " AND deleted = 0",
        (await next_number(transaction, CHANGES), order.partner, order.uuid, kind),
    )


async def _change(
    transaction: Transaction, order: OrderName, kind: str, change: Callable[[Thing], None]
) -> None:
    name = (order.partner, order.uuid, kind)
    query = "SELECT current FROM record WHERE partner = ? AND uuid = ? AND kind = ?"
    async with transaction.execute(query, name) as cursor:
        row = await cursor.fetchone()
    if row is None:
        return
    current = from_json(row["current"])
    change(current)
    await transaction.execute(
        "UPDATE record SET current = ?, change = ? WHERE partner = ? AND uuid = ? AND kind = ?",
        (to_json(current), await next_number(transaction, CHANGES), *name),
    )


def _cancel(current: Thing, payload: Thing) -> None:
    for item in current["orderedItem"]:
        if item["@id"] in payload["items"]:
            item["orderItemStatus"] = payload["status"]
            if payload.get("message"):
                item["cancellationMessage"] = payload["message"]
    kept = [item for item in current["orderedItem"] if item["orderItemStatus"] == CONFIRMED]
    current.pop("totalPaymentTax", None)
    current.update(pricing.totals(kept, current["seller"]["taxMode"]))
