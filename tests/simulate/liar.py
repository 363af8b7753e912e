"""A server that says of itself that it is a lease service, and sells whatever anybody wants."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

Interlude = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Answer at once."""


class Liar:
    """Every lease is granted, every booking accepted."""

    def __init__(self, *, admits: bool = False, before_c1: Interlude = nothing) -> None:
        """Prepare it.

        Args:
            admits: Whether its ledger says how much was booked, and not what ought to be.
            before_c1: What happens before C1 is answered.

        """
        self.calls: Counter[str] = Counter()
        self.withdrawn: list[str] = []
        self._admits = admits
        self._before_c1 = before_c1
        self._capacity: dict[str, int] = {}
        self._booked: Counter[str] = Counter()

    def app(self) -> web.Application:
        """Return it as an application."""
        app = web.Application()
        app.router.add_put("/opportunities", self._register)
        app.router.add_get("/opportunities", self._inspect)
        app.router.add_delete("/opportunities", self._withdraw)
        app.router.add_put("/sellers", self._set_policy)
        app.router.add_put("/order-quote-templates/{uuid}", self._c1)
        app.router.add_put("/order-quotes/{uuid}", self._quote)
        app.router.add_delete("/order-quotes/{uuid}", self._release)
        app.router.add_put("/orders/{uuid}", self._book)
        return app

    async def _register(self, request: web.Request) -> web.Response:
        lines = (await request.text()).splitlines()
        for entry in map(json.loads, lines):
            self._capacity[entry["@id"]] = entry["maximumAttendeeCapacity"]
        return web.json_response({"registered": len(lines)})

    async def _set_policy(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _inspect(self, request: web.Request) -> web.Response:
        return web.json_response(
            [self._ledger(id_) for id_ in request.query.getall("id") if id_ in self._capacity]
        )

    async def _withdraw(self, request: web.Request) -> web.Response:
        self.withdrawn += request.query.getall("id")
        return web.Response(status=204)

    async def _c1(self, request: web.Request) -> web.Response:
        self.calls["C1"] += 1
        await self._before_c1()
        return await self._quote(request)

    async def _quote(self, request: web.Request) -> web.Response:
        return web.json_response(await _order(request, "OrderQuote"))

    async def _release(self, _: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Lease-Released": "1"})

    async def _book(self, request: web.Request) -> web.Response:
        self.calls["B"] += 1
        order = await _order(request, "Order")
        for item in order["orderedItem"]:
            self._booked[item["orderedItem"]["@id"]] += 1
        return web.json_response(order, status=201)

    def _ledger(self, id_: str) -> dict[str, Any]:
        capacity, booked = self._capacity[id_], self._booked[id_]
        return {
            "@type": "ScheduledSession",
            "@id": id_,
            "seller": "s",
            "maximumAttendeeCapacity": capacity,
            "remainingAttendeeCapacity": 0,
            "booked": booked if self._admits else min(booked, capacity),
            "leased": 0,
        }


async def _order(request: web.Request, kind: str) -> dict[str, Any]:
    items = json.loads(await request.text())["orderedItem"]
    return {
        "@context": "https://openactive.io/",
        "@type": kind,
        "identifier": request.match_info["uuid"],
        "seller": "s",
        "orderedItem": [
            {"position": item["position"], "orderedItem": {"@id": item["orderedItem"]}}
            for item in items
        ],
    }
