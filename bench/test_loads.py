import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import pytest

from bench import open_loop, traffic
from bench.cluster import Share, on_paper
from bench.cluster import request as request_of_a_seller
from bench.soak import Customers, trend


class Handler(BaseHTTPRequestHandler):
    """Answers C1 with its own path."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        """Read the body, and answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, format, *args):  # noqa: A002 - the name that the library gives it
        """Say nothing."""


@pytest.fixture
def url():
    """Give a server in a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_leave_at_their_time(url):
    """Every request has its instant, and its latency counts from there."""
    answers: list[open_loop.Answered] = []
    rate = open_loop.run(
        url,
        (traffic.c1().fill(customer) for customer in range(10**6)),
        rate=100,
        seconds=0.5,
        note=answers.append,
    )
    assert 0 < len(answers) <= 51
    assert rate == 2 * len(answers)
    assert sorted(answer.at for answer in answers) == [n / 100 for n in range(len(answers))]
    assert all(answer.latency > 0 and answer.status == 200 for answer in answers)


def test_customers_of_a_soak_come_and_go():
    """C2 follows C1 of the same Customer, and in the end one in fifty books, half give back."""
    customers = Customers()
    seen: Counter[str] = Counter()
    steps: dict[str, list[str]] = {}
    for request in islice(customers.requests(), 100_000):
        line = request.partition(b" HTTP")[0].decode()
        kind, uuid = line.partition("?")[0].rsplit("/", 1)
        seen[kind] += 1
        steps.setdefault(uuid, []).append(kind)
    assert seen["PUT /orders"] == customers.orders
    assert 40 < seen["PUT /order-quotes"] / seen["PUT /orders"] < 60
    assert 1.9 < seen["PUT /order-quotes"] / seen["DELETE /order-quotes"] < 2.2
    assert {tuple(kinds[:2]) for kinds in steps.values() if len(kinds) > 1} == {
        ("PUT /order-quote-templates", "PUT /order-quotes")
    }


def test_a_trend_is_that_of_the_second_half():
    """What rose at first and then stayed, or fell, is level; what rises on is not."""
    seconds = [float(second) for second in range(100)]
    settled = trend(seconds, [min(second, 50.0) for second in seconds])
    assert settled.is_level
    assert settled.per_hour == pytest.approx(0, abs=1e-6)
    assert trend(seconds, seconds[::-1]).is_level
    rising = trend(seconds, seconds)
    assert not rising.is_level
    assert rising.per_hour == pytest.approx(3_600)
    assert rising.before == pytest.approx(50)
    assert rising.after == pytest.approx(99)


def test_more_machines_are_reckoned_from_processor_time():
    """Primaries of 50 µs per call answer 20,000 each, and workers of 100 µs take two cores."""
    assert on_paper(Share(rate=1.0, worker=100.0, primary=50.0), 3) == (60_000, 6.0)


def test_every_seller_has_an_opportunity():
    """The Seller of a request has the number of its Opportunity, in as many bytes."""
    text = request_of_a_seller().fill(1, 42)
    assert text.count(b"0000042") == 3
    assert len(text) == len(traffic.c1())
