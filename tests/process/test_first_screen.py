import re
import subprocess
from pathlib import Path

import pytest

from service.process.banner import screen
from service.settings import Settings
from tests.process.program import Program


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "unix:api.sock"])
def test_the_calls_on_the_first_screen_work(short_folder: Path, curl: str, listen: str) -> None:
    """Each `curl` line can be pasted into a shell and succeeds, also over a unix socket."""
    address = listen.replace("unix:", f"unix:{short_folder}/")
    with Program(short_folder, LEASE_LISTEN=address) as program:
        text = screen(Settings(), [program.url])
        calls = re.findall(r"^curl .*$", text, re.MULTILINE)

        assert [_status(call) for call in calls] == ["200", "200", "201"]


def test_a_program_gets_no_first_screen(short_folder: Path) -> None:
    """Where standard output is no terminal there are log lines only, unless it is asked for."""
    with Program(short_folder) as quiet:
        assert quiet.stop() == 0
        assert "curl" not in quiet.output()


def test_the_first_screen_says_where_the_data_is() -> None:
    """The screen names the data folder, or the server without its password."""
    assert ".lease-data" in screen(Settings(), ["http://127.0.0.1:8080"])
    assert "memory" in screen(Settings(data_dir=":memory:"), ["http://127.0.0.1:8080"])
    external = Settings.from_environ({"LEASE_REDIS_URL": "redis://user:hidden@redis.example"})
    text = screen(external, ["http://0.0.0.0:8080"])
    assert "redis.example" in text
    assert "hidden" not in text
    assert "curl -X PUT 'http://127.0.0.1:8080/" in text


def _status(call: str) -> str:
    command = f"{call} --silent --output /dev/null --write-out '%{{http_code}}'"
    shell = ["/bin/sh", "-c", command]
    return subprocess.run(shell, capture_output=True, text=True, check=True).stdout
