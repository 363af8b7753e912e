"""Orders and OrderProposals as they are kept, and what happens to them.

A Booking Partner's Order UUID is one Order's, and so one Seller's: the addresses that the API is
called by, and every key here, have no Seller in them.

A change is settled in the service first and written down second. So that neither is lost when this
process ends in between, what is about to happen is written down before: an *intent*, which goes
in the transaction that writes the change. One that is found later was interrupted, and is settled
before anything else happens to its Order: at start-up, or at the Broker's next try.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

import structlog
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
from service.errors import (
    GoneError,
    InternalApplicationError,
    OpenBookingError,
    OrderAlreadyExistsError,
    UnknownOrderError,
)
from service.model import OrderItemPatch, OrderItemRequest

CONFIRMED: Final = "https://openactive.io/OrderItemConfirmed"
SELLER_REJECTED: Final = "https://openactive.io/SellerRejected"
ORDER: Final = "Order"
PROPOSAL: Final = "OrderProposal"
QUOTE: Final = "OrderQuote"

_FAILED: Final = 500
_UNAVAILABLE: Final = 503
_GONE: Final = 410
# What says nothing about the Order: the token is wrong, the address is, there were too many calls.
_NOT_ABOUT_THE_ORDER: Final = {401, 403, 408, 421, 429}
_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5

_log = structlog.stdlib.get_logger(__name__)

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


class _UuidTakenError(Exception):
    """What was made cannot be written down: its UUID is another Seller's Order's."""


class Records:
    """What was ordered, and the only way to change it."""

    def __init__(self, storage: Storage, service: LeaseService) -> None:
        """Keep it in `storage`, and settle it with `service`."""
        self._storage = storage
        self._service = service
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @contextlib.asynccontextmanager
    async def lock(self, order: OrderName) -> AsyncIterator[None]:
        """Give the caller an Order to themselves, with nothing left half done.

        Raises:
            OpenBookingError: Something is, and the service does not answer.

        """
        async with self._lock_of(order):
            if (row := await self._unfinished(order)) is not None:
                await self._settle(row)
            yield

    @contextlib.asynccontextmanager
    async def claim(self, order: OrderName, kind: str) -> AsyncIterator[Mapping[str, Record]]:
        """Give the caller a UUID for an OrderQuote, an OrderProposal or an Order, as `lock` does.

        Yields:
            What the Seller has under it already, by kind: the same again, or the OrderProposal
            that becomes an Order.

        Raises:
            OrderAlreadyExistsError: There is something else under it, or was, or may come to be.
            OpenBookingError: As for `lock`.

        """
        async with self._lock_of(order):
            unfinished = await self._unfinished(order)
            if unfinished is not None and unfinished["seller"] == order.seller:
                await self._settle(unfinished)
                unfinished = None
            rows = await self._storage.rows(
                "SELECT * FROM record WHERE (partner, uuid) = (?, ?)", *order[1:]
            )
            own = {row["kind"]: _record(row) for row in rows if row["seller"] == order.seller}
            is_anothers = unfinished is not None or len(own) < len(rows)
            grows_from = {PROPOSAL} if kind == ORDER else set()
            if kind not in own and (is_anothers or own.keys() - grows_from):
                raise taken(order)
            yield own

    async def repair(self, patience_seconds: float = _PATIENCE_SECONDS) -> list[OrderName]:
        """Settle everything that was interrupted, before the first call is served.

        Args:
            patience_seconds: How long a service that is away is waited for.

        Returns:
            The Orders of which nobody knows yet; the log says why. They are tried again by the
            next call that names them, and by the next start.

        """
        deadline = time.monotonic() + patience_seconds
        waiting = await self._storage.rows("SELECT * FROM intent")
        unsettled: dict[OrderName, str] = {}
        while waiting:
            away = []
            for row in waiting:
                try:
                    async with asyncio.timeout(deadline - time.monotonic()):
                        await self._settle(row)
                except Exception as error:  # noqa: BLE001 - no row keeps the others from being served
                    unsettled[_order(row)] = repr(error)
                    if getattr(error, "status_code", None) == _UNAVAILABLE:
                        away.append(row)
                else:
                    unsettled.pop(_order(row), None)
            waiting = away if time.monotonic() < deadline else []
            await asyncio.sleep(_PAUSE_SECONDS if waiting else 0)
        for order, reason in unsettled.items():
            _log.error("intent.unsettled", **order._asdict(), reason=reason)
        return list(unsettled)

    async def find(self, order: OrderName, kind: str = ORDER) -> Record | None:
        """Return an Order or an OrderProposal of this Seller, if there is one."""
        query = "SELECT * FROM record WHERE (seller, partner, uuid, kind) = (?, ?, ?, ?)"
        row = await self._storage.row(query, *order, kind)
        return None if row is None else _record(row)

    async def get(self, order: OrderName, kind: str = ORDER) -> Thing:
        """Return an Order or an OrderProposal as it stands.

        Raises:
            UnknownOrderError: There is none, or it was deleted.

        """
        record = await self.find(order, kind)
        if record is None or record.deleted:
            raise UnknownOrderError(f"There is no {kind} with this UUID.")
        return record.current

    async def look(self, order: OrderName, kind: str = ORDER) -> Thing:
        """Return what `get` does, to one who only asks.

        Raises:
            GoneError: The Order with this UUID was deleted, whatever it was before.
            UnknownOrderError: There is none.

        """
        record = await self.find(order)
        if record is not None and record.deleted:
            raise GoneError("The Order with this UUID was deleted.")
        return await self.get(order, kind)

    async def name(self, partner: str, uuid: str, kind: str) -> OrderName:
        """Return the name of a Booking Partner's Order, whoever its Seller is.

        Raises:
            UnknownOrderError: There is none.

        """
        row = await self._storage.row(
            "SELECT * FROM record WHERE (partner, uuid, kind) = (?, ?, ?) AND deleted = 0",
            partner,
            uuid,
            kind,
        )
        if row is None:
            raise UnknownOrderError(f"There is no {kind} {uuid}.")
        return OrderName(row["seller"], partner, uuid)

    async def carry_out(self, intent: Intent) -> None:
        """Ask the service, and write down what came of it; the caller has locked the Order.

        Raises:
            OpenBookingError: The service refused, and nothing was changed; or it did not answer,
                and the next try will find out.

        """
        async with self._storage.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO intent (seller, partner, uuid, verb, digest, payload)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (*intent.order, intent.verb, intent.digest, to_json(intent.payload)),
            )
        await self._finish(intent, self._ask(intent))

    async def change(self, order: OrderName, change: Callable[[Thing], None]) -> None:
        """Change what the service need not know, and tell the Broker by the Orders feed."""
        async with self._storage.transaction() as transaction:
            await _change(transaction, order, ORDER, change)

    def _lock_of(self, order: OrderName) -> asyncio.Lock:
        return self._locks.setdefault((order.partner, order.uuid), asyncio.Lock())

    async def _unfinished(self, order: OrderName) -> Row | None:
        query = "SELECT * FROM intent WHERE (partner, uuid) = (?, ?)"
        return await self._storage.row(query, order.partner, order.uuid)

    async def _settle(self, row: Row) -> None:
        """Find out what came of what was interrupted, and write it down.

        A booking may have been made or not, and the service knows; its Broker may have gone away,
        so it is not tried again. What takes something back may be repeated. What nobody can settle
        is dropped and said: every call may be repeated, so the Broker's next one puts it right.
        """
        order, verb = _order(row), row["verb"]
        try:
            intent = _intent(row)
            try:
                await self._finish(intent, self._find_out(intent))
            except _UuidTakenError:
                # Its Broker was never answered: the answer is written down first.
                undone = Intent(order, "delete", {})
                if verb == "propose":
                    undone = Intent(order, "decide", {"status": SELLER_REJECTED})
                await self._finish(undone, self._ask(undone))
                _log.warning("intent.taken_back", **order._asdict(), verb=verb)
        except OpenBookingError as error:
            if not _is_refusal(error):
                raise
            if verb not in {"book", "propose"} or not _is_unknown(error):
                _log.error("intent.dropped", **order._asdict(), verb=verb, reason=repr(error))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            async with self._storage.transaction() as transaction:
                await _forget(transaction, order)
            _log.error("intent.dropped", **order._asdict(), verb=verb, reason=repr(error))

    async def _finish(self, intent: Intent, asking: Coroutine[Any, Any, object]) -> None:
        try:
            await asking
        except OpenBookingError as error:
            if _is_refusal(error):
                async with self._storage.transaction() as transaction:
                    await _forget(transaction, intent.order)
            raise
        async with self._storage.transaction() as transaction:
            await _write(transaction, intent)
            await _forget(transaction, intent.order)

    async def _find_out(self, intent: Intent) -> None:
        match intent.verb:
            case "book":
                await self._service.look_at_order(intent.order)
            case "propose":
                await self._service.look_at_proposal(intent.order)
            case _:
                await self._ask(intent)

    async def _ask(self, intent: Intent) -> None:
        order, payload = intent.order, intent.payload
        match intent.verb:
            case "book" | "propose":
                answer = payload["answer"]
                items = None if payload.get("proposed") else _requests(answer)
                customer = to_json(answer.get("customer")).encode()
                if intent.verb == "book":
                    await self._service.book(order, items, customer=customer)
                else:
                    await self._service.propose(order, items or [], customer=customer)
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


def taken(order: OrderName) -> OrderAlreadyExistsError:
    """Return what to refuse a UUID with that has served."""
    return OrderAlreadyExistsError(f"There is another Order {order.uuid}, or there was one.")


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


def _order(row: Row) -> OrderName:
    return OrderName(row["seller"], row["partner"], row["uuid"])


def _record(row: Row) -> Record:
    current = from_json(row["current"])
    for item in current.get("orderedItem", ()):
        # A position tells the Broker which item of its request is meant, and ends with the answer.
        item.pop("position", None)
    return Record(row["digest"], row["answer"], current, bool(row["deleted"]))


def _intent(row: Row) -> Intent:
    """Return an intent.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: It is none that can be carried out.

    """
    payload = from_json(row["payload"])
    match row["verb"]:
        case "book" | "propose":
            answer = payload["answer"]
            _requests(answer)
            pricing.totals(answer["orderedItem"], answer["seller"]["taxMode"])
        case "cancel" | "decide":
            str.strip(payload["status"])
        case "delete":
            pass
        case verb:
            raise ValueError(f"there is no verb «{verb}»")
    return Intent(_order(row), row["verb"], payload, row["digest"])


def _is_refusal(error: OpenBookingError) -> bool:
    """Whether the service refused, so that nothing was changed; otherwise nobody knows."""
    if error.status_code == _FAILED:
        # The standard has refusals with this status, by classes of their own.
        return type(error) not in {OpenBookingError, InternalApplicationError}
    return error.status_code < _FAILED and error.status_code not in _NOT_ABOUT_THE_ORDER


def _is_unknown(error: OpenBookingError) -> bool:
    return isinstance(error, UnknownOrderError) or error.status_code == _GONE


async def _forget(transaction: Transaction, order: OrderName) -> None:
    await transaction.execute(
        "DELETE FROM intent WHERE (seller, partner, uuid) = (?, ?, ?)", order
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
    """Write down an answer; one that is written down already stays.

    Raises:
        _UuidTakenError: The UUID is another Seller's.

    """
    query = "SELECT 1 FROM record WHERE seller <> ? AND partner = ? AND uuid = ?"
    async with transaction.execute(query, intent.order) as cursor:
        if await cursor.fetchone() is not None:
            raise _UuidTakenError
    answer = to_json(intent.payload["answer"])
    await transaction.execute(
        "INSERT INTO record (seller, partner, uuid, kind, digest, answer, current)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*intent.order, kind, intent.digest, answer, answer),
    )


async def _delete(transaction: Transaction, order: OrderName, kind: str) -> None:
    await transaction.execute(
        # Only a feed that had it says that it is gone; nothing is kept of whom it was for.
        "UPDATE record SET deleted = 1, answer = '{}', current = '{}',"
        " change = CASE WHEN change IS NOT NULL THEN ? END"
        " WHERE (seller, partner, uuid, kind) = (?, ?, ?, ?) AND deleted = 0",
        (await next_number(transaction, CHANGES), *order, kind),
    )


async def _change(
    transaction: Transaction, order: OrderName, kind: str, change: Callable[[Thing], None]
) -> None:
    query = "SELECT current FROM record WHERE (seller, partner, uuid, kind) = (?, ?, ?, ?)"
    async with transaction.execute(query, (*order, kind)) as cursor:
        row = await cursor.fetchone()
    if row is None:
        return
    current = from_json(row["current"])
    change(current)
    await transaction.execute(
        "UPDATE record SET current = ?, change = ?"
        " WHERE (seller, partner, uuid, kind) = (?, ?, ?, ?)",
        (to_json(current), await next_number(transaction, CHANGES), *order, kind),
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
