"""The program sends webhooks when it is told to."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import Webhook

from tests.hook import SECRET
from tests.process.program import ITEMS, OPPORTUNITY, Program, eventually


@contextmanager
def receiver() -> Iterator[tuple[str, list[int]]]:
    """Give the address of a receiver, and what it was told to be free, in order."""
    told: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            message = Webhook(SECRET).verify(body, dict(self.headers))
            told.extend(
                item["data"]["remainingAttendeeCapacity"] for item in message["data"]["items"]
            )
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", told
        finally:
            server.shutdown()
            thread.join()


def test_two_workers_send_every_change_once_and_go_on_after_a_restart(short_folder: Path) -> None:
    """Rule 22: a registration, a lease and its release arrive, each once, whoever sends."""
    opportunity = {
        "@type": "ScheduledSession",
        "@id": OPPORTUNITY,
        "maximumAttendeeCapacity": 3,
    }
    uuid = "12345678-1234-1234-1234-123456789012"
    lease = f"/order-quote-templates/{uuid}"
    with receiver() as (url, told):
        settings = {
            "LEASE_WEBHOOK_URL": url,
            "LEASE_WEBHOOK_SECRET": SECRET,
            "LEASE_WORKERS": "2",
        }
        with Program(short_folder, **settings) as program:
            assert program.call("PUT", "/opportunities", [opportunity]).status == 200
            eventually(lambda: told == [3])
            assert program.call("PUT", lease, ITEMS).status == 200
            eventually(lambda: told == [3, 2])
            assert program.call("DELETE", f"/order-quotes/{uuid}").status == 204
            eventually(lambda: told == [3, 2, 3])
            assert program.stop() == 0
        with Program(short_folder, **settings) as program:
            assert program.call("PUT", lease, ITEMS).status == 200
            eventually(lambda: told == [3, 2, 3, 2])
            assert program.stop() == 0
        assert SECRET not in program.output()
