"""The Lua scripts, and for each its KEYS and ARGV as a typed signature.

A test holds these against the headers of the scripts and their local names.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final, NamedTuple

from service.redis.call import Script


class QuoteKeys(NamedTuple):
    """KEYS of `quote`; a pair per Opportunity follows."""

    lease: str
    order: str
    age: str
    seller: str
    leases: str
    due: str
    feed: str


class QuoteArguments(NamedTuple):
    """ARGV of `quote`; the groups follow."""

    holder: str
    owner: str
    step: int
    hold_seconds: int
    maximum_hold_seconds: int
    strict: int
    refused: int


class BookKeys(NamedTuple):
    """KEYS of `book`; a pair per Opportunity follows."""

    lease: str
    order: str
    seller: str
    leases: str
    due: str
    feed: str


class BookArguments(NamedTuple):
    """ARGV of `book`; the groups follow."""

    holder: str
    digest: str
    refused: int
    total: str


class ProposeKeys(NamedTuple):
    """KEYS of `propose`; a pair per Opportunity follows."""

    lease: str
    order: str
    age: str
    seller: str
    leases: str
    due: str
    feed: str


class ProposeArguments(NamedTuple):
    """ARGV of `propose`; the groups follow."""

    holder: str
    owner: str
    digest: str
    hold_seconds: int
    maximum_hold_seconds: int
    refused: int
    total: str


class DecideKeys(NamedTuple):
    """KEYS of `decide`; a pair per Opportunity follows."""

    lease: str
    order: str
    leases: str
    due: str
    feed: str


class DecideArguments(NamedTuple):
    """ARGV of `decide`; the groups follow."""

    holder: str
    status: str
    grace_seconds: int


class PayKeys(NamedTuple):
    """KEYS of `pay`; a pair per Opportunity follows."""

    lease: str
    seller: str
    leases: str
    due: str
    feed: str


class PayArguments(NamedTuple):
    """ARGV of `pay`; the groups follow."""

    holder: str
    wanted_seconds: int
    payment_window_seconds: int


class ReleaseKeys(NamedTuple):
    """KEYS of `release`; a pair per Opportunity follows."""

    lease: str
    order: str
    age: str
    leases: str
    due: str
    feed: str


class ReleaseArguments(NamedTuple):
    """ARGV of `release`; the groups follow."""

    holder: str


class OrderKeys(NamedTuple):
    """KEYS of `cancel` and `delete`; a pair per Opportunity follows."""

    order: str
    due: str
    feed: str


class CancelArguments(NamedTuple):
    """ARGV of `cancel`; what is named and the groups follow."""

    named: int


class LookKeys(NamedTuple):
    """KEYS of `look`; a pair per Opportunity follows."""

    lease: str
    order: str
    seller: str


class RegisterKeys(NamedTuple):
    """KEYS of `register`; a pair per Opportunity follows."""

    seller: str
    feed: str


class RegisterArguments(NamedTuple):
    """ARGV of `register`; a pair per offer, and the groups follow."""

    id: str
    kind: str
    seller_ref: str
    seller_id: str
    capacity: int
    booked: int
    modified: str
    pools: str
    offers: int


class ForgetKeys(NamedTuple):
    """KEYS of `forget`."""

    opportunity: str


class ForgetArguments(NamedTuple):
    """ARGV of `forget`; the offers follow."""

    returned: str


class ListKeys(NamedTuple):
    """KEYS of `inspect`, `withdraw`, `sweep` and `audit`; a pair per Opportunity follows."""

    due: str
    feed: str


class AuditArguments(NamedTuple):
    """ARGV of `audit`; the groups follow."""

    limit: int
    mend: int
    seen: int | str
    surplus: int
    before: int | str


class ReconcileKeys(NamedTuple):
    """KEYS of `reconcile`; a pair per Opportunity follows."""

    lease: str
    due: str
    feed: str


class ReconcileArguments(NamedTuple):
    """ARGV of `reconcile`; what was seen and the groups follow."""

    holder: str
    mend: int
    seen: int


class RecountKeys(NamedTuple):
    """KEYS of `recount`."""

    leases: str


class RecountArguments(NamedTuple):
    """ARGV of `recount`; the corrections follow."""

    seen: int
    surplus: int


class NoArguments(NamedTuple):
    """ARGV of a script that takes the groups alone."""


class ClaimKeys(NamedTuple):
    """KEYS of `claim`."""

    webhook: str


class ClaimArguments(NamedTuple):
    """ARGV of `claim`."""

    holder: str
    hold_milliseconds: int
    modified: int | str
    id: str


SIGNATURES: Final[dict[str, tuple[type[NamedTuple], type[NamedTuple]]]] = {
    "quote": (QuoteKeys, QuoteArguments),
    "propose": (ProposeKeys, ProposeArguments),
    "book": (BookKeys, BookArguments),
    "decide": (DecideKeys, DecideArguments),
    "pay": (PayKeys, PayArguments),
    "release": (ReleaseKeys, ReleaseArguments),
    "cancel": (OrderKeys, CancelArguments),
    "delete": (OrderKeys, NoArguments),
    "look": (LookKeys, NoArguments),
    "register": (RegisterKeys, RegisterArguments),
    "forget": (ForgetKeys, ForgetArguments),
    "inspect": (ListKeys, NoArguments),
    "withdraw": (ListKeys, NoArguments),
    "sweep": (ListKeys, NoArguments),
    "claim": (ClaimKeys, ClaimArguments),
    "audit": (ListKeys, AuditArguments),
    "reconcile": (ReconcileKeys, ReconcileArguments),
    "recount": (RecountKeys, RecountArguments),
}

_USES: Final = re.compile(r"^USES (.+)$", re.MULTILINE)


def lua_folder() -> Path:
    """Return where the scripts are: in the package once installed, else beside it."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "lua"
    return installed if installed.is_dir() else package.parent / "lua"


@functools.cache
def load_scripts() -> dict[str, Script]:
    """Return every verb's script by name, with the shared parts that its header names in front."""
    return {name: Script.of(name, source_of(name)) for name in SIGNATURES}


def source_of(verb: str) -> str:
    """Return the whole Lua text of a verb."""
    folder = lua_folder()
    text = (folder / f"{verb}.lua").read_text(encoding="utf-8")
    [uses] = _USES.findall(text)
    shared = [
        (folder / "shared" / f"{part}.lua").read_text(encoding="utf-8")
        for part in uses.split(", ")
    ]
    return "".join([*shared, text])
