"""What OpenActive's own validators say of what the front-end serves."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from examples.booking_front_end.feeds import OPEN_FEEDS
from examples.booking_front_end.settings import Settings
from tests.front_end.broker import API, INDIVIDUAL, SESSION, SLOT, Answer, Broker, new_order
from tests.front_end.test_booking import cancel
from tests.servers import free_port

DOCS = Path(__file__).parents[1] / "docs"
CACHING = Path(__file__).parents[2] / "examples/booking_front_end/conformance/activity_list.cjs"
KINDS = (SESSION, SLOT, INDIVIDUAL)


@pytest.fixture
def node() -> str:
    """Give the program that runs the validators."""
    program = shutil.which("node")
    if program is None or not (DOCS / "node_modules").is_dir():
        pytest.skip("the validators are not installed: npm ci --prefix tests/docs")
    return program


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give settings whose ids lead to the front-end, so that a validator can follow them.

    In an Orders feed the validator demands `startDate` and more of an Opportunity, of which the
    standard allows `@type` and `@id` only: there it sees none, which both allow.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    return settings._replace(port=port, base_url=url, feeds_opportunities=False)


async def run(node: str, *arguments: object, standard_input: str = "") -> bytes:
    """Run a script, and return what it writes; the front-end serves meanwhile."""
    process = await asyncio.create_subprocess_exec(
        node,
        *map(str, arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(standard_input.encode())
    assert process.returncode == 0
    return output


async def opportunity_as_fed(broker: Broker, id_: str, kind: str) -> dict[str, Any]:
    """Return a child of the open feeds with the parent that it names put in, as the suite does."""
    feeds = [await broker.feed(f"/feeds/{feed}") for feed in OPEN_FEEDS]
    data: dict[str, dict[str, Any]] = {
        item["data"]["@id"]: item["data"] for feed in feeds for item in feed.values()
    }
    for parent in list(data.values()):
        del parent["@context"]
        for individual in parent.get("individualFacilityUse", ()):
            without = {
                name: value for name, value in parent.items() if name != "individualFacilityUse"
            }
            data[individual["@id"]] = {**individual, "aggregateFacilityUse": without}
    child = data[id_]
    name = "superEvent" if kind == SESSION else "facilityUse"
    return {"@context": "https://openactive.io/", **child, name: data[child[name]]}


async def bodies(broker: Broker, kind: str) -> list[tuple[str, Any]]:
    """Return one of each kind of body that a Broker reads, each with its validation mode."""
    id_, order = await broker.create(kind, "FiveSpaces"), new_order()
    approved = await broker.create(kind, flow="Approval")
    proposal = new_order()
    said: list[tuple[str, Answer]] = [
        ("C1Response", await broker.c1(order, id_)),
        ("C2Response", await broker.c2(order, id_)),
        ("C1ResponseOrderItemError", await broker.c1(new_order(), *[id_] * 9)),
        ("BResponseOrderItemError", await broker.b(new_order(), *[id_] * 9)),
        ("OpenBookingError", await broker.b(order, id_, payment=None)),
        ("BResponse", booked := await broker.b(order, id_)),
        ("PResponse", proposed := await broker.p(proposal, approved)),
    ]
    await cancel(broker, booked, 0)
    await broker.act("SellerAcceptOrderProposal", proposed)
    orders = await broker.feed(f"{API}/orders-rpde")
    proposals = await broker.feed(f"{API}/order-proposals-rpde")
    return [
        *((mode, answer.body) for mode, answer in said),
        ("OrdersFeed", orders[order]["data"]),
        ("OrderProposalsFeed", proposals[proposal]["data"]),
        ("BookableRPDEFeed", await opportunity_as_fed(broker, id_, kind)),
    ]


@pytest.mark.parametrize("kind", KINDS)
async def test_bodies_are_valid(broker: Broker, node: str, tmp_path: Path, kind: str) -> None:
    """The data model validator finds no failure in quotes, Orders, errors and feed items."""
    site = (await broker.call("GET", "/openactive")).text
    found = re.search(r'<script type="application/ld\+json">(.*?)</script>', site)
    assert found
    judged = [*await bodies(broker, kind), ("DatasetSite", json.loads(found[1]))]
    await run(node, CACHING, Path(__file__).with_name("activity-list.json"), tmp_path)
    text = json.dumps([{"mode": mode, "data": data} for mode, data in judged])
    complaints = json.loads(await run(node, DOCS / "validate.cjs", tmp_path, standard_input=text))
    assert len(complaints) == len(judged)
    assert not [
        (mode, complaint["path"], complaint["message"])
        for (mode, _), about in zip(judged, complaints, strict=True)
        for complaint in about
        if complaint["severity"] == "failure"
    ]


@pytest.mark.parametrize("feed", OPEN_FEEDS)
async def test_feeds_are_valid(broker: Broker, node: str, feed: str) -> None:
    """The RPDE validator finds no fault in the open feeds, with changed and deleted items."""
    for kind in KINDS:
        await broker.create(kind)
    path = f"{API}/test-interface/datasets/tests"
    assert (await broker.call("DELETE", path)).status == 204
    for kind in KINDS:
        await broker.c1(new_order(), await broker.create(kind))
    log = json.loads(await run(node, DOCS / "rpde.cjs", f"{broker.base_url}/feeds/{feed}"))
    assert len(log["pages"]) >= 2
    faults = [fault for fault in log["complaints"] if fault["severity"] == "failure"]
    assert not faults
