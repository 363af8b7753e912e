"""TLS for the API's listener: a certificate that may be renewed while the service runs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from service.settings import Settings
from service.watching import Watch

_REASONS: Final[Mapping[str, str]] = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "EE_KEY_TOO_SMALL": "the key is too short to be safe",
}

_log = structlog.stdlib.get_logger(__name__)


class TlsError(Exception):
    """The files of TLS cannot be used; the message is one line that says which, and why."""


class Certificate:
    """What the service proves itself with to clients, and which clients it asks to do the same.

    Attributes:
        context: For the listener; it has the certificate as the files have it, as long as
            somebody follows them.

    """

    def __init__(self, certificate: str, key: str, client_ca: str | None) -> None:
        """Read the files.

        Args:
            certificate: PEM, with the intermediate ones behind it.
            key: PEM, without a password.
            client_ca: PEM of whoever signs clients' certificates; None: clients need none.

        Raises:
            TlsError: They cannot be used.

        """
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._watch = Watch([certificate, key])
        self.context = self._read()

    async def follow(self) -> None:
        """Use a renewed certificate from the next connection on; a broken one changes nothing."""
        loop = asyncio.get_running_loop()

        def reload() -> None:
            try:
                self._read()
            except TlsError as error:
                _log.error("tls.unusable", reason=str(error))
            else:
                # Not in this thread: a handshake may be looking at the context.
                loop.call_soon_threadsafe(self._renew)

        await self._watch.follow(reload)

    def _renew(self) -> None:
        self.context.load_cert_chain(self._certificate, self._key, password=_no_password)
        _log.info("tls.renewed")

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _open("LEASE_TLS_CERTIFICATE", self._certificate)
        _open("LEASE_TLS_KEY", self._key)
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
        except ssl.SSLError as error:
            why = _REASONS.get(error.reason or "", "they must be PEM, the key without a password")
            raise TlsError(
                f"LEASE_TLS_CERTIFICATE={self._certificate}, LEASE_TLS_KEY={self._key}: {why}"
            ) from error
        if self._client_ca is not None:
            _open("LEASE_TLS_CLIENT_CA", self._client_ca)
            try:
                context.load_verify_locations(self._client_ca)
            except ssl.SSLError as error:
                raise TlsError(f"LEASE_TLS_CLIENT_CA={self._client_ca}: it must be PEM") from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def certificate(settings: Settings) -> Certificate | None:
    """Return what the settings say to encrypt with; None: nothing.

    Raises:
        TlsError: Its files cannot be used.

    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)


def _open(setting: str, path: str) -> None:
    """Refuse a file that cannot be read: OpenSSL would not say which one it is."""
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise TlsError(f"{setting}={path}: {error.strerror}") from error


def _no_password() -> str:
    """Answer OpenSSL, which would ask the terminal."""
    return ""
