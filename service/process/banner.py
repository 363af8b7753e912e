"""The first screen: where the service is, and three calls to try."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final

from service import __version__
from service.redis.embedded import IN_MEMORY
from service.settings import Settings

_ORDER: Final = "11111111-1111-4111-8111-111111111111"
_OPPORTUNITY: Final = "https://example.com/events/452/subEvents/132"
_OFFER: Final = "https://example.com/events/452#/offers/878"

_REGISTRATION: Final = [
    {
        "@type": "ScheduledSession",
        "@id": _OPPORTUNITY,
        "maximumAttendeeCapacity": 2,
        "offers": [{"@type": "Offer", "@id": _OFFER, "price": 10, "priceCurrency": "GBP"}],
    }
]
_ITEMS: Final = {
    "orderedItem": [{"position": 0, "orderedItem": _OPPORTUNITY, "acceptedOffer": _OFFER}]
}

_STEPS: Final = (
    ("Register an Opportunity with 2 spaces", "/opportunities", _REGISTRATION),
    ("Lease one of them (C1)", f"/order-quote-templates/{_ORDER}", _ITEMS),
    ("Book it (B)", f"/orders/{_ORDER}", _ITEMS),
)


def screen(settings: Settings, urls: Sequence[str]) -> str:
    """Return the first screen, in plain text.

    Args:
        settings: The settings, for where the data is.
        urls: Where the API is, as `Listener.urls` gives it; the first one is shown in the calls.

    Returns:
        Lines with a newline at the end; the `curl` lines can be pasted into a shell.

    """
    curl, base = _reach(urls[0])
    lines = [
        "",
        f"  The lease service {__version__}",
        "",
        *(f"  API   {url}" for url in urls),
        f"  Docs  {base}/docs",
        f"  Look  {base}/dashboard",
        f"  Data  {_data(settings)}",
        "",
        "  Try it in another terminal; Ctrl-C stops the service.",
        *_calls(curl, base),
        "",
        "",
    ]
    return "\n".join(lines)


def _calls(curl: str, base: str) -> Iterator[str]:
    for number, (what, path, body) in enumerate(_STEPS, 1):
        yield ""
        yield f"  {number}. {what}:"
        yield ""
        yield (
            f"{curl} -X PUT '{base}{path}' -H 'Content-Type: application/json'"
            f" -d '{json.dumps(body, separators=(',', ':'))}'"
        )


def _reach(url: str) -> tuple[str, str]:
    """Return the curl command and the base URL for an address."""
    if url.startswith("unix:"):
        return f"curl --unix-socket '{url.removeprefix('unix:')}'", "http://localhost"
    for everywhere, here in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
        url = url.replace(everywhere, here)
    return "curl", url


def _data(settings: Settings) -> str:
    if settings.redis_url is not None:
        return settings.redis_url.redacted
    if settings.data_dir == IN_MEMORY:
        return "in memory only: it is gone when the service stops"
    return f"{settings.data_dir} (kept by an embedded Valkey)"
