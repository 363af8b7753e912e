"""The Customers of `lease-service simulate`, for those who use Locust.

    locust -f tests/load/locustfile.py --host http://127.0.0.1:8080 --users 200 --spawn-rate 50

Each of Locust's users plays one Customer after the other, and waits for every answer before going
on. So the load falls when the service gets slow (a closed loop), and latencies say less than those
of `lease-service simulate`; in return there are Locust's pages, workers and reports.
"""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import urlencode
from uuid import uuid4

from locust import FastHttpUser, events, task
from locust.env import Environment
from locust.exception import StopUser

from service.simulate.customers import Customer, End, customers
from service.simulate.inventory import OWN_SELLER
from service.simulate.scenario import PRESETS, Scenario, scenario

DEFAULT_HOST: Final = "http://127.0.0.1:8080"
CONFLICT: Final = 409
SECONDS_TO_ANSWER: Final = 30

_log = logging.getLogger(__name__)


class Step(NamedTuple):
    """A call of a Customer, and the collection that it goes to."""

    name: str
    collection: str


C1: Final = Step("C1", "order-quote-templates")
C2: Final = Step("C2", "order-quotes")
B: Final = Step("B", "orders")


class Answer(NamedTuple):
    """What a Customer makes of an answer."""

    is_granted: bool
    retry_after: int
    """Seconds; 0 where there is nothing to wait for."""


class Sale:
    """What is for sale in this run, who comes, and what was booked."""

    def __init__(self, host: str, token: str | None, scenario: Scenario) -> None:
        run = secrets.token_hex(4)
        self.ids = [f"{OWN_SELLER}:{run}:{number}" for number in range(scenario.opportunities)]
        self.headers = {"Content-Type": "application/json", "Booking-Partner": "locust"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
        self.crowd: Iterator[Customer] = customers(scenario)
        self.spaces = scenario.spaces
        self.booked = 0
        self.unknown = 0
        """Spaces of B that have no answer yet."""
        self._lease_seconds = scenario.lease_seconds
        self._host = host.rstrip("/")

    def open(self) -> None:
        """Register the Opportunities, and how long the simulation's own Seller leases."""
        entries = [
            {
                "@type": "ScheduledSession",
                "@id": id_,
                "seller": OWN_SELLER,
                "maximumAttendeeCapacity": self.spaces,
            }
            for id_ in self.ids
        ]
        self._call("PUT", "/opportunities", entries)
        if self._lease_seconds is not None:
            steps = {"anonymous": self._lease_seconds, "named": 2 * self._lease_seconds}
            leasing = {name: {"duration": f"PT{seconds}S"} for name, seconds in steps.items()}
            self._call("PUT", "/sellers", {"@id": OWN_SELLER, "leasing": leasing})

    def close(self) -> list[str]:
        """Withdraw the Opportunities, and return what is not as promised."""
        booked = 0
        problems = []
        for id_ in self.ids:
            query = urlencode({"seller": OWN_SELLER, "id": id_})
            (ledger,) = json.loads(self._call("GET", f"/opportunities?{query}"))
            booked += ledger["booked"]
            if ledger["booked"] > self.spaces:
                problems.append(f"{id_} has {self.spaces} spaces, {ledger['booked']} are booked")
            self._call("DELETE", f"/opportunities?{query}")
        if not self.booked <= booked <= self.booked + self.unknown:
            problems.append(f"{booked} are booked, and bookings of {self.booked} were accepted")
        return problems

    def _call(self, method: str, path: str, body: object = None) -> bytes:
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is the user's own
            self._host + path, content, self.headers, method=method
        )
        with urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER) as response:  # noqa: S310 - as above
            answer: bytes = response.read()
            return answer


class Shopper(FastHttpUser):
    """Plays Customers until nobody is left."""

    sale: ClassVar[Sale]

    @task
    def visit(self) -> None:
        """Be one Customer: lease, think, come back, release or fall silent, or book."""
        customer = next(self.sale.crowd, None)
        if customer is None:
            raise StopUser
        # Locust has made `time.sleep` one that lets the other users go on.
        coming_back, before_c2, before_b = customer.thinks
        uuid = str(uuid4())
        if not self._lease(uuid, customer):
            return
        if customer.comes_back:
            time.sleep(coming_back)
            if not self._put(C1, uuid, customer).is_granted:
                return
        if customer.gives_name:
            time.sleep(before_c2)
            if not self._put(C2, uuid, customer).is_granted:
                return
        time.sleep(before_b)
        if customer.end is End.BOOK:
            self._book(uuid, customer)
        elif customer.end is End.RELEASE:
            self._ask("release", "DELETE", f"/order-quotes/{uuid}?seller={OWN_SELLER}")

    def _lease(self, uuid: str, customer: Customer) -> bool:
        """Make C1, and again when the leases in the way may have lapsed."""
        answer = self._put(C1, uuid, customer)
        for _ in range(customer.insists):
            if answer.is_granted or not answer.retry_after:
                break
            time.sleep(answer.retry_after + customer.thinks[0])
            answer = self._put(C1, uuid, customer)
        return answer.is_granted

    def _book(self, uuid: str, customer: Customer) -> None:
        self.sale.unknown += customer.spaces
        if self._put(B, uuid, customer).is_granted:
            self.sale.booked += customer.spaces
        self.sale.unknown -= customer.spaces

    def _put(self, step: Step, uuid: str, customer: Customer) -> Answer:
        item = {"orderedItem": self.sale.ids[customer.opportunity], "acceptedOffer": "offer"}
        body = {"seller": OWN_SELLER, "orderedItem": [item] * customer.spaces}
        return self._ask(step.name, "PUT", f"/{step.collection}/{uuid}", body)

    def _ask(self, name: str, method: str, path: str, body: object = None) -> Answer:
        """Make a call; that it is refused is no failure."""
        with self.client.request(
            method,
            path,
            name=name,
            headers=self.sale.headers,
            data=None if body is None else json.dumps(body),
            catch_response=True,
        ) as response:
            is_granted = bool(response.ok)
            if response.status_code == CONFLICT:
                response.success()
            headers = response.headers or {}
            return Answer(is_granted, int(headers.get("Retry-After", 0)))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let the user choose the scenario, in options that are written out."""
    parser.allow_abbrev = False
    parser.add_argument("--preset", choices=list(PRESETS), default="flash-sale")
    parser.add_argument("--think-seconds", type=float, help="on average (the preset's own)")
    parser.add_argument("--token", help="an API token of scope admin")


def begin(environment: Environment, **_: Any) -> None:
    """Put the Opportunities on sale."""
    options: Any = environment.parsed_options
    changes = {} if options.think_seconds is None else {"think_seconds": options.think_seconds}
    wanted = scenario(options.preset, changes)
    Shopper.sale = Sale(environment.host or DEFAULT_HOST, options.token, wanted)
    Shopper.sale.open()


def end(environment: Environment, **_: Any) -> None:
    """Say whether anything was sold twice; the exit code is 1 if it was."""
    problems = Shopper.sale.close()
    for problem in problems:
        _log.error("NOT as promised: %s", problem)
    if problems:
        environment.process_exit_code = 1
    else:
        _log.info("no oversell: %s spaces booked, as accepted", Shopper.sale.booked)


events.init_command_line_parser.add_listener(add_options)
events.test_start.add_listener(begin)
events.test_stop.add_listener(end)
