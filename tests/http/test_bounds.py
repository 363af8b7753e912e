from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from structlog.testing import capture_logs

from service import watching
from service.errors import InvalidAPITokenError
from service.http import Tokens, TokensFile
from service.http.access import Scope
from service.http.examples import REQUESTS
from service.http.routes import ROUTES, Route
from service.ledger import Ledger
from service.model import OpportunityRegistration
from service.settings import Settings
from tests.http.application import recorded
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.http.test_access import entry
from tests.http.test_requests import C1, C2, EMPTY, UUID, refusal
from tests.polling import eventually

ADMIN = {"Authorization": "Bearer secret-admin"}
BOUND = entry("admin") + "sellers = ['ours', 'default']\nbooking_partners = ['acme']\n"

# What tells every Seller's free spaces, as an open feed does, whatever a token is bound to.
OPEN_TO_ALL = {"/capacity-feed", "/capacity-events"}
GUARDED = [route for route in ROUTES if route.scope and route.path not in OPEN_TO_ALL]


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    """Give a tokens file with a bound token that may do everything."""
    path = tmp_path / "tokens.toml"
    path.write_text(BOUND)
    return path


@pytest.fixture
async def bound(
    aiohttp_client: MakeClient, recording: RecordingLedger, tokens_file: Path
) -> Client:
    """Give a client of an edge with the bound token."""
    return await aiohttp_client(recorded(recording, Settings(), TokensFile(tokens_file).tokens))


def change(path: Path, text: str) -> None:
    """Write to a file, in place."""
    path.write_text(text)


def exchange(path: Path, text: str) -> None:
    """Let another file take a name, as Kubernetes does it, and careful editors."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


def remove(path: Path) -> None:
    """Leave no file at a path."""
    path.unlink()


def body_of(route: Route) -> Any:
    """Return a body that the call takes, or none."""
    example = REQUESTS.get(getattr(route.takes, "__name__", ""))
    if isinstance(example, dict):
        return {name: value for name, value in example.items() if name not in {"seller", "@id"}}
    return example


@pytest.fixture
def untouched() -> AsyncMock:
    """Give a ledger that knows every call and that nothing may reach."""
    return AsyncMock(Ledger)


@pytest.fixture
async def shut(aiohttp_client: MakeClient, untouched: AsyncMock, tokens_file: Path) -> Client:
    """Give a client of an edge with the bound token, over that ledger."""
    return await aiohttp_client(recorded(untouched, Settings(), TokensFile(tokens_file).tokens))


@pytest.mark.parametrize(
    "route",
    # A registration is judged entry by entry: see below.
    [route for route in GUARDED if route.takes != list[OpportunityRegistration]],
    ids=lambda route: f"{route.method} {route.path}",
)
async def test_no_call_forgets_the_sellers(
    shut: Client, untouched: AsyncMock, route: Route
) -> None:
    """A token that is bound to Sellers is refused on every call that names another (rule 26)."""
    response = await shut.request(
        route.method,
        route.path.replace("{uuid}", UUID),
        params={"seller": "theirs", "id": "a"},
        json=body_of(route),
        headers=ADMIN | {"Booking-Partner": "acme"},
    )
    assert "bound" in await refusal(response, 401, "InvalidAuthorizationDetailsError")
    assert untouched.mock_calls == []


@pytest.mark.parametrize("partner", [None, "theirs", "ACME"])
async def test_no_order_call_forgets_the_booking_partners(
    shut: Client, untouched: AsyncMock, partner: str | None
) -> None:
    """A token that is bound to Booking Partners may act for no other, named or not (rule 26)."""
    headers = ADMIN | ({"Booking-Partner": partner} if partner else {})
    for route in GUARDED:
        if "{uuid}" in route.path:
            path = route.path.replace("{uuid}", UUID)
            response = await shut.request(route.method, path, json=body_of(route), headers=headers)
            await refusal(response, 401, "InvalidAuthorizationDetailsError")
    assert untouched.mock_calls == []


async def test_within_its_bounds_a_token_works(bound: Client, recording: RecordingLedger) -> None:
    """A bound token does what its scope allows for its own Booking Partners and Sellers."""
    headers = ADMIN | {"Booking-Partner": "acme"}
    for seller in ("ours", None):
        response = await bound.put(C1, json=EMPTY | {"seller": seller}, headers=headers)
        assert response.status == 200
        assert recording.key.seller == (seller or "default")
    assert (await bound.get("/opportunities?seller=ours&id=a", headers=ADMIN)).status == 200
    assert (await bound.put("/sellers", json={"@id": "ours"}, headers=ADMIN)).status == 200
    response = await bound.put(C2, json=EMPTY | {"seller": {"@id": "theirs"}}, headers=headers)
    await refusal(response, 401, "InvalidAuthorizationDetailsError")
    response = await bound.put("/sellers", json={"@id": "theirs"}, headers=ADMIN)
    await refusal(response, 401, "InvalidAuthorizationDetailsError")


async def test_each_entry_of_a_registration_is_within_the_bounds(bound: Client) -> None:
    """An entry of another Seller is refused by its index, and the others count (rule 26)."""
    entries = [
        {"@type": "Event", "@id": "1", "maximumAttendeeCapacity": 1, "seller": "ours"},
        {"@type": "Event", "@id": "2", "maximumAttendeeCapacity": 1, "seller": "theirs"},
        {"@type": "Event", "@id": "3", "maximumAttendeeCapacity": 1, "seller": {"@id": "theirs"}},
        {"@type": "Event", "@id": "4", "maximumAttendeeCapacity": 1},
        {"@type": "Event"},
    ]
    for query, failed in (("", [1, 2, 4]), ("?seller=theirs", [1, 2, 3, 4])):
        response = await bound.put(f"/opportunities{query}", json=entries, headers=ADMIN)
        done = await response.json(content_type=None)
        assert [error["index"] for error in done["errors"]] == failed
        assert done["errors"][0]["error"]["@type"] == "InvalidAuthorizationDetailsError"


async def test_a_token_may_call_so_often(aiohttp_client: MakeClient, tokens_file: Path) -> None:
    """Beyond its rate a token gets 429 with `Retry-After`, and other tokens go on (rule 24)."""
    change(tokens_file, entry("lease") + "rate = 2\n" + entry("admin"))
    tokens = TokensFile(tokens_file, default_rate=0.01).tokens
    client = await aiohttp_client(recorded(RecordingLedger(), Settings(), tokens))

    async def call(scope: str) -> Any:
        return await client.delete(C2, headers={"Authorization": f"Bearer secret-{scope}"})

    answers = [await call("lease") for _ in range(20)]
    assert [answer.status for answer in answers[:2]] == [204, 204]
    refused = next(answer for answer in answers if answer.status != 204)
    assert "2 calls per second" in await refusal(refused, 429, "TooManyRequestsError")
    assert refused.headers["Retry-After"] == "1"

    assert (await call("admin")).status == 204
    refused = await call("admin")
    assert "0.01 calls" in await refusal(refused, 429, "TooManyRequestsError")
    assert 90 <= int(refused.headers["Retry-After"]) <= 100
    assert (await client.get("/livez")).status == 200


@contextlib.asynccontextmanager
async def followed(path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Tokens]:
    """Give the tokens of a file that is looked at all the time."""
    monkeypatch.setattr(watching, "PAUSE_SECONDS", 0.01)
    file = TokensFile(path)
    task = asyncio.create_task(file.follow())
    yield file.tokens
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def knows(tokens: Tokens, scope: str) -> bool:
    """Tell whether the token of this scope is known."""
    try:
        tokens.authorise(f"Bearer secret-{scope}", Scope.READ)
    except InvalidAPITokenError:
        return False
    return True


async def test_a_changed_file_counts_without_a_restart(
    tokens_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that is added works, and one that is removed does not, as the file changes."""
    async with followed(tokens_file, monkeypatch) as tokens:
        change(tokens_file, BOUND + entry("read"))
        await eventually(lambda: knows(tokens, "read"))
        assert await knows(tokens, "admin")

        exchange(tokens_file, entry("read"))
        await eventually(lambda: knows_not(tokens, "admin"))
        assert await knows(tokens, "read")


async def knows_not(tokens: Tokens, scope: str) -> bool:
    """Tell whether the token of this scope is unknown."""
    return not await knows(tokens, scope)


async def test_a_broken_file_changes_nothing(
    tokens_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is broken, or gone, keeps the tokens, and is logged once in a clear line."""
    with capture_logs() as logs:
        async with followed(tokens_file, monkeypatch) as tokens:
            exchange(tokens_file, "[[token]")
            await eventually(lambda: said(logs, "tokens.unusable", 1))
            remove(tokens_file)
            await eventually(lambda: said(logs, "tokens.unusable", 2))
            assert await knows(tokens, "admin")
            exchange(tokens_file, entry("read"))
            await eventually(lambda: knows(tokens, "read"))
            assert await knows_not(tokens, "admin")
    assert [line["event"] for line in logs] == [*["tokens.unusable"] * 2, "tokens.reloaded"]
    assert str(tokens_file) in logs[0]["reason"]
    assert "No such file" in logs[1]["reason"]


async def said(logs: Sequence[Mapping[str, Any]], event: str, times: int) -> bool:
    """Tell whether an event was logged so many times."""
    return [line["event"] for line in logs].count(event) == times


def seconds_to_wait(tokens: Tokens) -> float:
    """Count a call with the limited token; return how long it is to wait."""
    pace = tokens.authorise("Bearer secret-lease", Scope.READ).pace
    assert pace is not None
    return pace.take(0.0)


async def test_a_change_gives_nobody_their_calls_back(
    tokens_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has used up their rate is still over it when the file changes around them."""
    limited = entry("lease") + "rate = 0.01\n"
    exchange(tokens_file, limited)
    async with followed(tokens_file, monkeypatch) as tokens:
        assert seconds_to_wait(tokens) == 0
        exchange(tokens_file, limited + entry("read"))
        await eventually(lambda: knows(tokens, "read"))
        assert seconds_to_wait(tokens) > 0


async def test_the_log_names_the_token(bound: Client) -> None:
    """The line of a call has its token's name, and never the token."""
    with capture_logs() as logs:
        await bound.put(C1, json=EMPTY, headers=ADMIN | {"Booking-Partner": "acme"})
    assert [line["token"] for line in logs] == ["admin"]
    assert "secret" not in repr(logs)
