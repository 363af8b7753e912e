"""The application: every call in one table, and what runs beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from examples.booking_front_end import feeds, orders, proposals, quotes, test_interface
from examples.booking_front_end.answers import refusing
from examples.booking_front_end.catalogue import Catalogue
from examples.booking_front_end.dataset_site import dataset_site
from examples.booking_front_end.keys import (
    CATALOGUE,
    RECORDS,
    SELLERS,
    SERVICE,
    SETTINGS,
    STORAGE,
)
from examples.booking_front_end.records import Records
from examples.booking_front_end.sellers import sellers
from examples.booking_front_end.settings import API_PATH, Settings
from examples.booking_front_end.storage import Storage
from service.client import LeaseService
from service.model import SellerPolicy

_DATASETS: Final = f"{API_PATH}/test-interface/datasets/{{dataset}}"

ROUTES: Final = (
    web.get("/openactive", dataset_site),
    web.get("/feeds/{feed}", feeds.open_feed),
    web.put(f"{API_PATH}/order-quote-templates/{{uuid}}", quotes.put_template),
    web.put(f"{API_PATH}/order-quotes/{{uuid}}", quotes.put),
    web.delete(f"{API_PATH}/order-quotes/{{uuid}}", quotes.delete),
    web.put(f"{API_PATH}/order-proposals/{{uuid}}", proposals.put),
    web.get(f"{API_PATH}/order-proposals/{{uuid}}", proposals.get),
    web.patch(f"{API_PATH}/order-proposals/{{uuid}}", proposals.patch),
    web.put(f"{API_PATH}/orders/{{uuid}}", orders.put),
    web.get(f"{API_PATH}/orders/{{uuid}}", orders.get),
    web.patch(f"{API_PATH}/orders/{{uuid}}", orders.patch),
    web.delete(f"{API_PATH}/orders/{{uuid}}", orders.delete),
    web.get(f"{API_PATH}/orders-rpde", feeds.orders_feed),
    web.get(f"{API_PATH}/order-proposals-rpde", feeds.proposals_feed),
    web.post(f"{_DATASETS}/opportunities", test_interface.create_opportunity),
    web.delete(_DATASETS, test_interface.delete_dataset),
    web.post(f"{API_PATH}/test-interface/actions", test_interface.act),
)


def create_app(settings: Settings, storage: Storage, service: LeaseService) -> web.Application:
    """Return the front-end.

    Args:
        settings: Of which the base URL is used.
        storage: Its database.
        service: What holds and books.

    """
    app = web.Application(middlewares=[refusing])
    app[SETTINGS] = settings
    app[STORAGE] = storage
    app[SERVICE] = service
    app[SELLERS] = sellers(settings.base_url)
    app[CATALOGUE] = Catalogue(storage, service)
    app[RECORDS] = Records(storage, service)
    app.add_routes(ROUTES)
    app.cleanup_ctx.append(_beside)
    return app


@contextlib.asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[web.Application]:
    """Give the front-end with its database and its connections."""
    async with (
        Storage.open(settings.database) as storage,
        LeaseService.connect(settings.service_url, token=settings.service_token) as service,
    ):
        yield create_app(settings, storage, service)


async def _beside(app: web.Application) -> AsyncIterator[None]:
    """Put right what the last process left, then follow the service to the end of this one."""
    for seller in app[SELLERS].values():
        policy = SellerPolicy(id=seller["@id"], tax_mode=seller["taxMode"])
        await app[SERVICE].set_policy(policy)
    await app[CATALOGUE].register_all()
    await app[RECORDS].repair()
    following = asyncio.create_task(app[CATALOGUE].follow_capacity())
    yield
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following
