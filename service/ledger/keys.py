"""The names of the Redis keys, and the identities behind them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple
from uuid import UUID
from zlib import crc32


class OrderKey(NamedTuple):
    """What names an Order: one namespace per Seller and Booking Partner (contract, «Words»)."""

    seller: str
    partner: str
    uuid: str


class DefaultOrderKey(OrderKey):
    """What names an Order where the call left its Seller out, so that it is `DEFAULT_SELLER`'s."""


DEFAULT_SELLER: Final = "default"
"""The Seller of a deployment that has just one."""


def digest(*parts: str) -> str:
    """Return 16 characters that stand for ids of any length in a key.

    96 bits of BLAKE2b: short keys are most of what a lease costs in memory
    (`docs/decisions/0003-short-keys.md`).
    """
    text = "\n".join(parts).encode()
    return urlsafe_b64encode(blake2b(text, digest_size=12).digest()).decode()


POOL: Final = "CapacityPool"
"""The type of what Opportunities draw on and nobody leases by itself (rule 28)."""

FLOOR: Final = b""
"""A member of a feed that is no Opportunity: nothing is stamped in front of it any more."""

SHORT: Final = {"lease": "l", "age": "a"}
"""The words of the keys that there are one of for every lease: a letter each, to save memory."""


class PartitionKeys(NamedTuple):
    """The keys of one partition; its name is their cluster hash tag."""

    name: str
    due: str
    feed: str

    def opportunity(self, ref: str) -> str:
        """Return the key of an Opportunity's hash."""
        return f"{self.name}:opp:{ref}"

    def holds(self, ref: str) -> str:
        """Return the key of an Opportunity's hold index."""
        return f"{self.name}:holds:{ref}"

    def lease(self, holder: str) -> str:
        """Return the key of the lease of an Order, by its name in keys."""
        return f"{self.name}:{SHORT['lease']}:{holder}"

    def seller(self, ref: str) -> str:
        """Return the key of a Seller's hash."""
        return f"{self.name}:seller:{ref}"


class SellerKeys(NamedTuple):
    """The keys of one Seller: all in one partition."""

    ref: str
    partition: PartitionKeys

    @property
    def seller(self) -> str:
        """Return the key of the Seller's hash."""
        return self.partition.seller(self.ref)

    def of(self, order: OrderKey, holder: str, names: Iterable[str]) -> list[str]:
        """Return keys that a script needs for an Order, by their names in its header.

        Args:
            order: The Order.
            holder: Its name in keys: `Keys.holder`.
            names: Names of KEYS.

        """
        partition = self.partition
        whole = {
            "order": f"{partition.name}:order:{self.ref}|{order.partner}|{order.uuid}",
            "leases": f"{partition.name}:leases:{self.ref}|{order.partner}",
            "seller": self.seller,
            "due": partition.due,
            "feed": partition.feed,
        }
        return [whole.get(name) or f"{partition.name}:{SHORT[name]}:{holder}" for name in names]


def owner(order: OrderKey) -> str:
    """Return whose an Order is among its Seller's, as its lease says it; `owner_of` reads it."""
    uuid = urlsafe_b64encode(bytes.fromhex(order.uuid.replace("-", ""))).rstrip(b"=").decode()
    return f"{order.partner}|{uuid}"


def owner_of(text: str) -> tuple[str, str]:
    """Return the Booking Partner and the UUID that `owner` wrote."""
    partner, uuid = text.split("|")
    return partner, str(UUID(bytes=urlsafe_b64decode(f"{uuid}==")))


class Keys:
    """Finds the keys of Sellers and Opportunities."""

    def __init__(self, prefix: str, partitions: int) -> None:
        """Name keys under `prefix`, spread over so many partitions."""
        self._prefix = prefix
        self._partitions = partitions
        self.seller = lru_cache(maxsize=4096)(self._seller)
        self.ref = lru_cache(maxsize=65536)(digest)
        # One call asks for it a few times. To keep it until the Order's next call would cost more
        # than to make it again: memory that is written in turns is in no cache of the processor.
        self.holder = lru_cache(maxsize=64)(digest)

    @property
    def feed_order(self) -> str:
        """The key of how far the feed can be read though Redis's clock went back."""
        return f"{self._prefix}:feed-order"

    def partitions(self) -> list[PartitionKeys]:
        """Return the keys of every partition: what exists, without a scan."""
        return [self._partition(number) for number in range(self._partitions)]

    def _partition(self, number: int) -> PartitionKeys:
        name = f"{self._prefix}:{{{number}}}"
        return PartitionKeys(name, f"{name}:due", f"{name}:feed")

    def _seller(self, seller: str) -> SellerKeys:
        number = crc32(seller.encode()) % self._partitions
        return SellerKeys(digest(seller), self._partition(number))
