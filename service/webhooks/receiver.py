"""The front-end's end of the webhooks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import aiohttp
from aiohttp import hdrs

from service import __version__
from service.setting_types import WebhookSecret, WebhookUrl
from service.webhooks.message import Message

TIMEOUT_SECONDS: Final = 15.0
"""How long one attempt may take: the convention's own advice is 15 to 30 seconds."""

_HEADERS: Final = {
    hdrs.CONTENT_TYPE: "application/json",
    hdrs.USER_AGENT: f"lease-service/{__version__}",
}


class NotDeliveredError(Exception):
    """The receiver did not say that it has the message."""

    def __init__(self, reason: str, retry_after_seconds: float = 0) -> None:
        """Say why, without the address: it may hold a secret.

        Args:
            reason: For the log.
            retry_after_seconds: How long the receiver asks not to be tried again.

        """
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class ReceiverGoneError(Exception):
    """The receiver answered 410: it wants no more messages."""


class Receiver:
    """Takes messages at one address."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: WebhookUrl,
        secrets: Sequence[WebhookSecret],
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Name a receiver.

        Args:
            session: What connects.
            url: Its address.
            secrets: The keys to sign with, several while they are rotated.
            timeout_seconds: How long one attempt may take.

        """
        self._session = session
        self._url = url
        self._secrets = secrets
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def deliver(self, message: Message) -> None:
        """Send a message once, and return when the receiver has answered with a 2xx.

        Raises:
            NotDeliveredError: It has not, in time; redirects are not followed.
            ReceiverGoneError: It answered 410.

        """
        # The host's clock, as the convention has it: the receiver compares it with its own.
        headers = _HEADERS | message.signed(self._secrets, int(time.time()))
        try:
            async with self._session.post(
                self._url,
                data=message.body,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                status, retry_after = response.status, response.headers.get(hdrs.RETRY_AFTER, "")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NotDeliveredError(type(error).__name__) from error
        if status == HTTPStatus.GONE:
            raise ReceiverGoneError
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise NotDeliveredError(f"status {status}", _seconds(retry_after))


def _seconds(retry_after: str) -> float:
    """Return the seconds that a Retry-After header means; 0 where it is absent or unreadable."""
    try:
        if retry_after.isdecimal():
            return int(retry_after)
        return max(0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0
