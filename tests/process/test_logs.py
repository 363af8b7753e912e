"""What the real program writes about a busy day, at its most talkative."""

import contextlib
import json
import uuid
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from service.http.examples import REQUESTS
from service.http.routes import ROUTES, Route
from tests.http.test_access import SCOPES, entry
from tests.process.program import OPPORTUNITY, PATIENCE_SECONDS, Program, connect, eventually
from tests.servers import RedisServer, valkey_binary

EMAIL = "geoffcapes@example.com"
ADMIN = "Bearer secret-admin"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PERSONAL = (
    EMAIL, "020 811 8055", "Geoff", "Capes", "MyFitnessApp", "TS4 3AE",
    "secret-lease", "secret-admin", "secret-wrong", "hunter2",
)  # fmt: skip
PERSON = {
    "customer": {
        "@type": "Person",
        "email": EMAIL,
        "telephone": "020 811 8055",
        "givenName": "Geoff",
        "familyName": "Capes",
    },
    "broker": {"name": "MyFitnessApp", "address": {"postalCode": "TS4 3AE"}},
    "payment": {"identifier": "hunter2"},
}
ITEM = {"orderedItem": OPPORTUNITY, "acceptedOffer": "adult"}
STREAM = "/capacity-events"


def bodies(route: Route) -> list[bytes | None]:
    """Return bodies with a person in them: a good one, wrong ones, and one that is cut off."""
    if route.takes is None:
        return [None]
    name = getattr(route.takes, "__name__", "")
    example: Any = REQUESTS.get(name)
    good = example if isinstance(example, dict) else {"orderedItem": [ITEM]}
    if name in {"OrderRequest", "QuoteRequest"}:
        good = {**good, "orderedItem": [ITEM]}
    everything = json.dumps({**good, **PERSON, "seller": "default"}).encode()
    wrong_type = json.dumps({**PERSON, "orderedItem": EMAIL}).encode()
    wrong_place = json.dumps([{"@id": "Geoff Capes", "@type": 7, **PERSON}]).encode()
    return [everything, wrong_type, wrong_place, everything[:-9], b"EMAIL"]


def send(connection: HTTPConnection, call: str, body: bytes | None, token: str) -> None:
    """Make a call, whatever comes of it."""
    method, _, path = call.partition(" ")
    path = path.replace("{uuid}", str(uuid.uuid4())).replace("{asset}", "Geoff-Capes")
    headers = {
        "Authorization": token,
        "Content-Type": "application/json",
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
    }
    connection.request(method, f"{path}?id={OPPORTUNITY}&email={EMAIL}", body, headers)
    connection.getresponse().read()


def test_no_person_and_no_token_is_in_the_log(short_folder: Path) -> None:
    """Every call, done and refused, with and without Redis, leaves nothing personal behind."""
    tokens = short_folder / "tokens.toml"
    tokens.write_text("".join(map(entry, SCOPES)))
    folder = short_folder / "redis"
    folder.mkdir()
    server = RedisServer(valkey_binary(), folder)
    routes = [route for route in ROUTES if route.path != STREAM]
    with (
        server,
        Program(
            short_folder,
            LEASE_REDIS_URL=server.url,
            LEASE_TOKENS_FILE=str(tokens),
            LEASE_LOG_LEVEL="debug",
        ) as program,
    ):
        with contextlib.closing(connect(program.url)) as connection:
            connection.timeout = PATIENCE_SECONDS
            opportunity = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 30}
            registered = json.dumps([opportunity | PERSON]).encode()
            send(connection, "PUT /opportunities", registered, ADMIN)
            for token in (ADMIN, "Bearer secret-lease", "Bearer secret-wrong", "Basic hunter2"):
                for route in routes:
                    for body in bodies(route):
                        send(connection, f"{route.method} {route.path}", body, token)
            send(connection, f"PUT /orders/{EMAIL}", b"{}", ADMIN)
            server.kill()
            for route in routes[:4]:
                send(connection, f"{route.method} {route.path}", bodies(route)[0], ADMIN)
        eventually(lambda: bool(program.events("order.refused")))
        assert program.stop() == 0
    output = program.output()
    assert [word for word in PERSONAL if word in output] == []
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    answered = [line for line in lines if "status" in line]
    assert {line["status"] for line in answered} >= {200, 201, 400, 401, 404, 503}
    assert all(line["request_id"] for line in answered)
    assert {line["trace_id"] for line in answered} == {TRACE}
