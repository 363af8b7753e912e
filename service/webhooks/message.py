"""One message to the front-end, and how it is signed.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from service.ledger.feed import Change

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Changes(Struct, frozen=True):
    """What a message tells: items of the capacity feed, in its order."""

    items: Sequence[Change]


class Payload(Struct, frozen=True, tag_field="type", tag="capacity.changed"):
    """The body of a message."""

    timestamp: datetime
    data: Changes


class Message(NamedTuple):
    """The body, and an id that is the same as often as it is sent, by whichever process.

    The id is made of the body, not of the place in the feed: after a restart the same place may
    have other items, which a receiver must not take for those that it has seen.
    """

    id: str
    body: bytes

    @classmethod
    def of(cls, changes: Sequence[Change]) -> Message:
        """Make the message of some changes.

        Args:
            changes: At least one item of the feed; the last one's `modified` is the time.

        """
        changed_at = _EPOCH + timedelta(microseconds=changes[-1].modified)
        body = msgspec.json.encode(Payload(changed_at, Changes(changes)))
        digest = urlsafe_b64encode(blake2b(body, digest_size=18).digest()).decode()
        return cls(f"msg_{digest}", body)

    def signed(self, secrets: Iterable[bytes], attempted_at: int) -> dict[str, str]:
        """Return the headers of one attempt to send it.

        Args:
            secrets: The keys; the receiver needs to know one of them.
            attempted_at: Seconds since 1970, by which the receiver judges how old the attempt is.

        """
        signed = b"%s.%d.%s" % (self.id.encode(), attempted_at, self.body)
        signatures = (hmac.digest(secret, signed, "sha256") for secret in secrets)
        return {
            "webhook-id": self.id,
            "webhook-timestamp": str(attempted_at),
            "webhook-signature": " ".join(
                f"v1,{b64encode(signature).decode()}" for signature in signatures
            ),
        }
