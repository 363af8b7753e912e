from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from tests.process.program import Program, connect, eventually, run


class Files(NamedTuple):
    """A certificate for this machine, as the settings name it."""

    certificate: Path
    key: Path

    @property
    def settings(self) -> dict[str, str]:
        """The settings that use it."""
        return {
            "LEASE_TLS_CERTIFICATE": str(self.certificate),
            "LEASE_TLS_KEY": str(self.key),
        }

    def issue(self, authority: trustme.CA) -> None:
        """Replace both by new ones, each in one step."""
        issued = authority.issue_cert("127.0.0.1")
        for path, blob in (
            (self.key, issued.private_key_pem),
            (self.certificate, issued.cert_chain_pems[0]),
        ):
            fresh = path.with_suffix(".new")
            blob.write_to_path(fresh)
            fresh.replace(path)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Give an authority that this test's clients trust."""
    return trustme.CA()


@pytest.fixture
def files(short_folder: Path, authority: trustme.CA) -> Files:
    """Give a certificate of that authority."""
    files = Files(short_folder / "tls.crt", short_folder / "tls.key")
    files.issue(authority)
    return files


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return what a client of that authority connects with."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def get(program: Program, context: ssl.SSLContext, path: str = "/livez") -> Any:
    """Make one call over TLS; return its body."""
    parts = urlsplit(program.url)
    assert parts.scheme == "https"
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, context=context, timeout=5.0
    )
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        return json.loads(response.read())


def is_trusted(program: Program, context: ssl.SSLContext) -> bool:
    """Tell whether every worker that answers has a certificate that this client trusts."""
    try:
        return all(get(program, context) for _ in range(8))
    except OSError:
        return False


def test_the_api_speaks_tls(short_folder: Path, files: Files, authority: trustme.CA) -> None:
    """With a certificate the API is encrypted, and its links say so (rule 26)."""
    admin = f"unix:{short_folder}/admin.sock"
    with Program(short_folder, LEASE_ADMIN_LISTEN=admin, **files.settings) as program:
        context = trusting(authority)
        assert get(program, context) == {"status": "up"}
        assert get(program, context, "/capacity-feed")["next"].startswith(program.url)

        with pytest.raises((OSError, http.client.HTTPException)):
            program.call("GET", "/livez")

        with contextlib.closing(connect(admin)) as probe:
            probe.request("GET", "/livez")
            assert probe.getresponse().status == 200
        assert get(program, context) == {"status": "up"}


def test_a_renewed_certificate_is_used_without_a_restart(
    short_folder: Path, files: Files, authority: trustme.CA
) -> None:
    """Every worker takes up new files, and keeps what it had where they are broken."""
    other = trustme.CA()
    with Program(short_folder, LEASE_WORKERS="2", **files.settings) as program:
        assert is_trusted(program, trusting(authority))

        files.key.write_text("no key")
        eventually(lambda: len(program.events("tls.unusable")) >= 2)
        assert is_trusted(program, trusting(authority))

        files.issue(other)
        eventually(lambda: is_trusted(program, trusting(other)))
        assert len(program.events("tls.renewed")) == 2
        assert program.stop() == 0


def test_clients_may_have_to_prove_themselves(
    short_folder: Path, files: Files, authority: trustme.CA
) -> None:
    """With LEASE_TLS_CLIENT_CA only clients with a certificate of that authority are served."""
    clients = trustme.CA()
    clients.cert_pem.write_to_path(short_folder / "clients.crt")
    settings = files.settings | {"LEASE_TLS_CLIENT_CA": str(short_folder / "clients.crt")}
    with Program(short_folder, **settings) as program:
        with pytest.raises(OSError, match=r"(?i)ssl|reset|closed|certificate"):
            get(program, trusting(authority))

        known = trusting(authority)
        clients.issue_cert("front-end").configure_cert(known)
        assert get(program, known) == {"status": "up"}


def lock(key: Path, locked: Path) -> None:
    """Write a key as it is kept with a password."""
    read = serialization.load_pem_private_key(key.read_bytes(), None)
    secret = serialization.BestAvailableEncryption(b"a password")
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    locked.write_bytes(read.private_bytes(pem, pkcs8, secret))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"LEASE_TLS_KEY": ""}, "set LEASE_TLS_CERTIFICATE, LEASE_TLS_KEY"),
        ({"LEASE_TLS_KEY": "missing"}, "LEASE_TLS_KEY=missing: No such file"),
        ({"LEASE_TLS_CERTIFICATE": "."}, "LEASE_TLS_CERTIFICATE=.: Is a directory"),
        ({"LEASE_TLS_KEY": "tls.crt"}, "they must be PEM"),
        ({"LEASE_TLS_KEY": "other.key"}, "the key is not that of the certificate"),
        ({"LEASE_TLS_KEY": "locked.key"}, "the key without a password"),
        ({"LEASE_TLS_CLIENT_CA": "other.key"}, "LEASE_TLS_CLIENT_CA=other.key: it must be PEM"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_cannot_be_used_are_one_line(
    short_folder: Path, files: Files, authority: trustme.CA, change: dict[str, str], said: str
) -> None:
    """What is wrong with the files of TLS ends the program with one line that names them."""
    authority.issue_cert("a").private_key_pem.write_to_path(short_folder / "other.key")
    lock(files.key, short_folder / "locked.key")
    ended = run(short_folder, **files.settings | change)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert said in line
