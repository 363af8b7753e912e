import socket
import subprocess
from pathlib import Path

import pytest

from service import __version__
from service.settings import Settings
from tests.process.program import Program, run
from tests.servers import RedisServer, redis_binary, valkey_binary


def lines(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what it complained about."""
    assert "Traceback" not in ended.stderr
    return ended.stderr.splitlines()


def test_a_misspelt_variable_is_refused_with_the_right_one(short_folder: Path) -> None:
    """A misspelt variable ends the program with one line that names the right one."""
    ended = run(short_folder, LEASE_WORKER="2")

    assert ended.returncode == 2
    assert lines(ended) == [
        "lease-service: LEASE_WORKER is not a setting: did you mean LEASE_WORKERS?"
    ]


def test_an_open_address_without_tokens_is_refused(short_folder: Path) -> None:
    """Rule 26: on an address beyond loopback it does not start without tokens."""
    ended = run(short_folder, LEASE_LISTEN="0.0.0.0:0")

    assert ended.returncode == 2
    assert len(lines(ended)) == 1
    assert "LEASE_TOKENS_FILE" in ended.stderr


def test_a_missing_tokens_file_is_refused(short_folder: Path) -> None:
    """A tokens file that cannot be read ends the program with one line."""
    ended = run(short_folder, LEASE_TOKENS_FILE=str(short_folder / "missing"))

    assert ended.returncode == 2
    assert len(lines(ended)) == 1
    assert "LEASE_TOKENS_FILE" in ended.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_address_in_use_is_refused(short_folder: Path, workers: str) -> None:
    """A port that another program listens on ends the program with one line."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ended = run(short_folder, LEASE_LISTEN=address, LEASE_WORKERS=workers)

    assert ended.returncode == 1
    assert len(lines(ended)) == 1
    assert f"cannot listen on {address}: the address is in use" in ended.stderr


def test_a_second_one_on_the_same_data_folder_says_so_and_stops(short_folder: Path) -> None:
    """Of two services on one data folder the second names the first and ends."""
    with Program(short_folder) as first:
        ended = run(short_folder, LEASE_LISTEN=first.url.removeprefix("http://"))

        assert ended.returncode == 1
        assert len(lines(ended)) == 1
        assert f"is in use by process {first.process.pid}" in ended.stderr
        assert first.answers("/livez", 200)


def test_a_data_folder_that_cannot_be_made_is_refused(short_folder: Path) -> None:
    """A data folder that cannot be used ends the program with one line."""
    (short_folder / "file").touch()

    ended = run(short_folder, LEASE_DATA_DIR=str(short_folder / "file" / "data"))

    assert ended.returncode == 1
    assert len(lines(ended)) == 1
    assert "LEASE_DATA_DIR" in ended.stderr


def test_a_server_that_would_evict_leases_is_refused(short_folder: Path) -> None:
    """A server with an eviction policy ends the program with one line that says what to change."""
    binary = redis_binary() or valkey_binary()
    with RedisServer(binary, short_folder, maxmemory_policy="allkeys-lru") as server:
        ended = run(short_folder, LEASE_REDIS_URL=server.url)

    assert ended.returncode == 1
    assert len(lines(ended)) == 1
    assert "noeviction" in ended.stderr


def test_an_address_of_redis_that_is_not_supported_is_refused(short_folder: Path) -> None:
    """A Redis URL that cannot be used ends the program with one line, without secrets."""
    ended = run(short_folder, LEASE_REDIS_URL="redis+sentinel://user:hidden@a,b")

    assert ended.returncode == 1
    assert len(lines(ended)) == 1
    assert "hidden" not in ended.stderr


def test_another_number_of_partitions_is_refused(short_folder: Path) -> None:
    """Data that is divided into partitions is not read with another number of them."""
    with Program(short_folder):
        pass

    ended = run(short_folder, LEASE_PARTITIONS="32")

    assert ended.returncode == 1
    assert len(lines(ended)) == 1
    assert "LEASE_PARTITIONS=64" in ended.stderr


def test_the_help_lists_every_setting(short_folder: Path) -> None:
    """`serve --help` names every variable, with its default."""
    ended = run(short_folder, "serve", "--help")

    assert ended.returncode == 0
    for name in Settings.__struct_fields__:
        assert f"LEASE_{name.upper()}  (default: " in ended.stdout


def test_the_version_is_told(short_folder: Path) -> None:
    """`--version` prints the program and its version."""
    assert run(short_folder, "--version").stdout == f"lease-service {__version__}\n"
