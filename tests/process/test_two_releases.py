"""Two releases run side by side on one Redis, as they do while one replaces the other."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest

from tests.process.program import ITEMS, OPPORTUNITY, ROOT, Program

VERSION = "9.9.9"


@pytest.fixture
def other_release(tmp_path: Path) -> Path:
    """Give a folder with a release whose scripts are not this one's, though they do the same."""
    package = tmp_path / "service"
    shutil.copytree(ROOT / "service", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "lua", package / "lua")
    for script in package.glob("lua/*.lua"):
        script.write_text(f"{script.read_text()}\n-- {VERSION}\n")
    (package / "__init__.py").write_text(f'__version__ = "{VERSION}"\n')
    return tmp_path


def version(program: Program) -> str:
    """Return the version that a service says it has."""
    return str(program.call("GET", "/openapi.json").body["info"]["version"])


def test_two_releases_serve_the_same_orders(
    short_folder: Path, other_release: Path, redis_url: str
) -> None:
    """What one release has leased the other books, and each replays what the other did."""
    settings = {"LEASE_REDIS_URL": redis_url, "LEASE_KEY_PREFIX": f"releases-{uuid.uuid4().hex}"}
    with (
        Program(short_folder, **settings) as old,
        Program(short_folder, **settings, PYTHONPATH=str(other_release)) as new,
    ):
        assert version(old) != version(new) == VERSION
        sold = {"@type": "Event", "@id": OPPORTUNITY, "maximumAttendeeCapacity": 2}
        order, quote = uuid.uuid4(), uuid.uuid4()
        calls = (
            (old, "PUT", "/opportunities", [sold], 200),
            (old, "PUT", f"/order-quote-templates/{order}", ITEMS, 200),
            (new, "PUT", f"/order-quotes/{order}", ITEMS, 200),
            (old, "PUT", f"/orders/{order}", ITEMS, 201),
            (new, "PUT", f"/orders/{order}", ITEMS, 201),
            (new, "PUT", f"/order-quotes/{quote}", ITEMS, 200),
            (old, "PUT", f"/order-quotes/{uuid.uuid4()}", ITEMS, 409),
            (old, "DELETE", f"/order-quotes/{quote}", None, 204),
            (new, "DELETE", f"/orders/{order}", None, 204),
            (old, "GET", f"/orders/{order}", None, 410),
        )
        for program, method, path, body, status in calls:
            assert program.call(method, path, body).status == status, (method, path)
        [ledger] = new.call("GET", f"/opportunities?id={OPPORTUNITY}").body
        assert (ledger["booked"], ledger["leased"]) == (0, 0)
