"""The dataset site: where a data user finds the feeds and the Open Booking API."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from examples.booking_front_end.feeds import LICENSE, OPEN_FEEDS
from examples.booking_front_end.keys import SETTINGS
from examples.booking_front_end.storage import to_json

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{name}</title>
<script type="application/ld+json">{data}</script>
<h1>{name}</h1>
<p>{description}</p>
<ul>{feeds}</ul>
</html>
"""
_NAME: Final = "Example Booking: sessions and facilities"
_DESCRIPTION: Final = "What can be booked through the example front-end of the lease service."


async def dataset_site(request: web.Request) -> web.Response:
    """Answer the dataset site, a page for people with its description for machines."""
    settings = request.app[SETTINGS]
    # `<` may not come up inside a script element.
    data = to_json(_dataset(settings.base_url, settings.api_url)).replace("<", "\\u003c")
    feeds = "".join(f'<li><a href="/feeds/{feed}">{feed}</a></li>' for feed in OPEN_FEEDS)
    page = _PAGE.format(name=_NAME, description=_DESCRIPTION, data=data, feeds=feeds)
    return web.Response(text=page, content_type="text/html")


def _dataset(base_url: str, api_url: str) -> dict[str, Any]:
    documentation = "https://permalink.openactive.io/dataset-site/open-data-documentation"
    return {
        "@context": ["https://schema.org/", "https://openactive.io/"],
        "@type": "Dataset",
        "@id": f"{base_url}/openactive",
        "url": f"{base_url}/openactive",
        "name": _NAME,
        "description": _DESCRIPTION,
        "keywords": ["Sessions", "Facilities", "OpenActive"],
        "license": LICENSE,
        "discussionUrl": "https://example.com/discussion",
        "documentation": documentation,
        "inLanguage": ["en-GB"],
        "datePublished": "2026-01-01T00:00:00Z",
        "schemaVersion": "https://openactive.io/modelling-opportunity-data/2.0/",
        "publisher": {
            "@type": "Organization",
            "name": "Acme Fitness",
            "legalName": "Acme Fitness Ltd",
            "url": "https://example.com",
            "logo": {"@type": "ImageObject", "url": "https://example.com/logo.png"},
        },
        "bookingService": {"@type": "BookingService", "name": "Example Booking"},
        "accessService": {
            "@type": "WebAPI",
            "name": "Open Booking API",
            "endpointUrl": api_url,
            "conformsTo": ["https://openactive.io/open-booking-api/EditorsDraft/"],
            "endpointDescription": "https://openactive.io/open-booking-api/EditorsDraft/swagger.json",
            "landingPage": "https://example.com/developers",
        },
        "distribution": [
            {
                "@type": "DataDownload",
                "name": feed,
                "identifier": feed,
                "additionalType": f"https://openactive.io/{type_}",
                "encodingFormat": "application/vnd.openactive.rpde+json; version=1",
                "contentUrl": f"{base_url}/feeds/{feed}",
            }
            for feed, (_, type_) in OPEN_FEEDS.items()
        ],
    }
