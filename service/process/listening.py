"""The sockets that the service listens on, bound by the parent before any worker exists.

A socket outlives the worker that accepts on it: while a worker that died is replaced, its
connections wait in the kernel instead of being refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from service.setting_types import Address

BACKLOG: Final = 1024

_ADVICE: Final = {
    errno.EADDRINUSE: "the address is in use: stop what listens there, or choose another",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "permission denied: choose a port above 1023, or a folder that can be written",
    errno.ENOENT: "there is no such folder",
}


class ListenError(Exception):
    """An address cannot be listened on; the message says why, in one line."""


class Listener:
    """The sockets of one set of addresses, for every worker.

    Each worker has a TCP socket of its own on the shared port, so that the kernel spreads the
    connections; the socket of a unix path is shared.
    """

    def __init__(
        self, addresses: Sequence[Address], workers: int, *, is_encrypted: bool = False
    ) -> None:
        """Bind every address.

        Args:
            addresses: Where to listen; a port of 0 lets the system choose one.
            workers: How many processes will accept.
            is_encrypted: Whether they will speak TLS on TCP.

        Raises:
            ListenError: One of them cannot be listened on.

        """
        self._scheme = "https" if is_encrypted else "http"
        self._resources = contextlib.ExitStack()
        self._by_address: list[list[socket.socket]] = []
        try:
            for address in addresses:
                self._by_address.append(self._bind(address, workers))
        except BaseException:
            self.close()
            raise

    @property
    def urls(self) -> list[str]:
        """Where it listens, with the real ports: `http://127.0.0.1:8080` or `unix:/path`."""
        return [_url(self._scheme, sockets[0]) for sockets in self._by_address]

    def of_worker(self, index: int) -> list[socket.socket]:
        """Return the sockets that the worker of this index, from 0, accepts on."""
        return [sockets[index] for sockets in self._by_address]

    def keep_only(self, index: int) -> list[socket.socket]:
        """Close, in a worker, what the others accept on; return its own sockets."""
        own = self.of_worker(index)
        for sockets in self._by_address:
            for other in sockets:
                if other not in own:
                    other.close()
        return own

    def close_sockets(self) -> None:
        """Close this process's copies: a connection is refused once no worker listens either."""
        for sockets in self._by_address:
            for bound in sockets:
                bound.close()

    def close(self) -> None:
        """Close the sockets and remove the paths of unix sockets."""
        self.close_sockets()
        self._resources.close()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def _bind(self, address: Address, workers: int) -> list[socket.socket]:
        try:
            if address.path:
                return [self._bind_path(Path(address.path))] * workers
            return _bind_port(address, workers)
        except OSError as error:
            advice = _ADVICE.get(error.errno or 0, error.strerror or str(error))
            raise ListenError(f"cannot listen on {address}: {advice}") from error

    def _bind_path(self, path: Path) -> socket.socket:
        _remove_stale(path)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.bind(str(path))
            self._resources.callback(path.unlink, missing_ok=True)
            bound.listen(BACKLOG)
        except BaseException:
            bound.close()
            raise
        return bound


def _bind_port(address: Address, workers: int) -> list[socket.socket]:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    if workers == 1:
        return [_listen(family, address.host, address.port)]
    # Sockets that share a port would share it with another program's too, without an error.
    with _listen(family, address.host, address.port) as probe:
        port = int(probe.getsockname()[1])
    with contextlib.ExitStack() as resources:
        bound = [
            resources.enter_context(_listen(family, address.host, port, shared=True))
            for _ in range(workers)
        ]
        resources.pop_all()
    return bound


def _listen(
    family: socket.AddressFamily, host: str, port: int, *, shared: bool = False
) -> socket.socket:
    return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a service that was killed; leave alone what someone listens on."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        try:
            client.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _url(scheme: str, bound: socket.socket) -> str:
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if bound.family == socket.AF_INET6 else name[0]
    return f"{scheme}://{host}:{name[1]}"
