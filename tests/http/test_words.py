"""Rule 24: what is matched by a pattern is matched to its end."""

import re
from pathlib import Path

import msgspec
import pytest

from service.errors import OpenBookingError
from service.ledger.basket import read_basket
from service.model import OrderRequest
from service.settings import Settings, SettingsError
from service.text import whole
from tests.http.served import Client
from tests.process.program import ROOT

UUID = "e11429ea-467f-4270-ab62-e47368996fe8"
BAD = ["item\n", "item\r", "it\tem", "item\x85", "item\u2028", "\x00", ""]


def order(opportunity: str = "item", offer: str = "adult", **properties: str) -> dict[str, object]:
    """Return a body of one OrderItem."""
    item = {"orderedItem": {"@id": opportunity}, "acceptedOffer": {"@id": offer}, **properties}
    return {"orderedItem": [item], "seller": "s"}


@pytest.mark.parametrize("word", BAD)
@pytest.mark.parametrize("place", ["opportunity", "offer", "@id"])
@pytest.mark.parametrize("path", ["order-quotes", "orders", "order-proposals"])
async def test_an_id_ends_where_it_ends(edge: Client, path: str, place: str, word: str) -> None:
    """Rule 24: an id with a control character, at its end too, is a 400 that names the place."""
    response = await edge.put(f"/{path}/{UUID}", json=order(**{place: word}))
    assert response.status == 400
    assert "$.orderedItem" in (await response.json(content_type=None))["description"]


@pytest.mark.parametrize("word", BAD)
async def test_a_registered_id_ends_where_it_ends(edge: Client, word: str) -> None:
    """Rule 24: no Opportunity, offer or pool is registered under such an id."""
    for entry in (
        {"@id": word},
        {"offers": [{"@id": word}]},
        {"capacityPools": [{"@id": word}]},
        {"@type": f"Event{word}" if word else "Event\n"},
    ):
        whole_entry = {"@type": "Event", "@id": "item", "maximumAttendeeCapacity": 1} | entry
        response = await edge.put("/opportunities", json=[whole_entry])
        assert (await response.json(content_type=None))["failed"] == 1


def test_two_order_items_have_two_ids() -> None:
    """Rule 24: two OrderItems with one `@id` are a 400 that names the second."""
    request = msgspec.convert({"orderedItem": [{"@id": "one"}, {}, {"@id": "one"}]}, OrderRequest)
    with pytest.raises(OpenBookingError, match=re.escape("$.orderedItem[2].@id")):
        read_basket(request)


async def test_a_uuid_of_zeros_is_none(edge: Client) -> None:
    """A UUID of zeros only is what an unset one looks like: 400."""
    response = await edge.put("/orders/00000000-0000-0000-0000-000000000000", json=order())
    assert response.status == 400


async def test_a_byte_order_mark_is_skipped(edge: Client) -> None:
    """Rule 24: a byte order mark in front of a body is no part of it."""
    body = b"\xef\xbb\xbf" + msgspec.json.encode(order())
    response = await edge.put(
        f"/order-quotes/{UUID}", data=body, headers={"Content-Type": "application/json"}
    )
    assert response.status == 200


def test_a_setting_ends_where_it_ends() -> None:
    """A line break at the end of a setting does not become a part of every key in Redis."""
    assert Settings.from_environ({"LEASE_KEY_PREFIX": "lease\n"}).key_prefix == "lease"
    with pytest.raises(SettingsError):
        Settings.from_environ({"LEASE_KEY_PREFIX": "le\nase"})
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("lease\n", _prefix())


def _prefix() -> object:
    [field] = [each for each in msgspec.structs.fields(Settings) if each.name == "key_prefix"]
    return field.type


def test_no_pattern_ends_in_a_dollar() -> None:
    """Words from outside are matched by `whole`: no other pattern is given to msgspec."""
    loose = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "service").rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"\bpattern=", line) and path != Path(whole.__code__.co_filename)
    ]
    assert loose == []
