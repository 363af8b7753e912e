"""What a webhook says, and that the convention's own library accepts it."""

from __future__ import annotations

import json
import time
from base64 import b64encode

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from service.ledger.feed import Change
from service.setting_types import WebhookSecret
from service.webhooks.message import Message

OLD, NEW, OTHER = ("whsec_" + b64encode(bytes([n]) * 32).decode() for n in range(3))


def change(id_: str, microseconds: int = 1_795_200_000_000_001) -> Change:
    """Return an item of the feed."""
    return Change(state="deleted", kind="ScheduledSession", id=id_, modified=microseconds)


def verify(secret: str, message: Message, *signing: str) -> object:
    """Return what a receiver that knows `secret` reads."""
    headers = message.signed([WebhookSecret(text) for text in signing], int(time.time()))
    return Webhook(secret).verify(message.body, headers)


def test_a_receiver_reads_what_was_sent():
    """The body is a typed event with the feed's items, timed by the last of them."""
    message = Message.of([change("a"), change("b", 1_795_200_000_000_002)])
    assert verify(OLD, message, OLD) == {
        "type": "capacity.changed",
        "timestamp": "2026-11-20T18:40:00.000002Z",
        "data": {
            "items": [
                {
                    "state": "deleted",
                    "kind": "ScheduledSession",
                    "id": id_,
                    "modified": modified,
                }
                for id_, modified in (("a", 1_795_200_000_000_001), ("b", 1_795_200_000_000_002))
            ]
        },
    }


@pytest.mark.parametrize("known", [OLD, NEW])
def test_both_secrets_are_good_while_they_are_changed(known):
    """Signed with two secrets, a message is accepted by who knows either of them."""
    assert verify(known, Message.of([change("a")]), OLD, NEW)


def test_another_secret_is_refused():
    """Who knows neither of the secrets refuses the message."""
    with pytest.raises(WebhookVerificationError):
        verify(OTHER, Message.of([change("a")]), OLD, NEW)


def test_a_secret_without_padding_is_the_same():
    """Base64 may come without the `=` at its end, as some tools write it."""
    assert OLD.endswith("=")
    assert WebhookSecret(OLD.rstrip("=")) == WebhookSecret(OLD)


def test_the_id_is_that_of_the_content():
    """The same items have the same id in every process; any other items have another."""
    message = Message.of([change("a")])
    assert message == Message.of([change("a")])
    others = [[change("b")], [change("a", 1_795_200_000_000_009)], [change("a"), change("b")]]
    assert len({message.id, *(Message.of(items).id for items in others)}) == 4
    assert message.id.startswith("msg_")
    # A «.» would let one message be taken for another: it parts what is signed.
    assert "." not in message.id


def test_the_body_is_plain_json():
    """Any JSON parser reads it, and `modified` keeps its 16 digits."""
    body = json.loads(Message.of([change("a")]).body)
    assert body["data"]["items"][0]["modified"] == 1_795_200_000_000_001
