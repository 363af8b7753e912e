"""What the handlers share: one `web.AppKey` each."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from examples.booking_front_end.catalogue import Catalogue
from examples.booking_front_end.records import Records
from examples.booking_front_end.sellers import Seller
from examples.booking_front_end.settings import Settings
from examples.booking_front_end.storage import Storage
from service.client import LeaseService

SETTINGS: Final = web.AppKey("SETTINGS", Settings)
STORAGE: Final = web.AppKey("STORAGE", Storage)
SERVICE: Final = web.AppKey("SERVICE", LeaseService)
SELLERS: Final = web.AppKey("SELLERS", dict[str, Seller])
CATALOGUE: Final = web.AppKey("CATALOGUE", Catalogue)
RECORDS: Final = web.AppKey("RECORDS", Records)
