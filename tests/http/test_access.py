from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from service.http import TokensFile, TokensFileError
from service.settings import Settings
from tests.http.application import recorded
from tests.http.recording import RecordingLedger
from tests.http.served import Client, MakeClient
from tests.http.test_requests import C1, C2, EMPTY, B, P, refusal

CALLS = (
    ("read", "GET", "/opportunities?id=a"),
    ("lease", "PUT", C1),
    ("lease", "PUT", C2),
    ("lease", "DELETE", C2),
    ("lease", "PUT", B),
    ("lease", "PUT", P),
    ("admin", "PUT", "/opportunities"),
    ("admin", "PUT", "/sellers"),
    ("read", "GET", "/sellers"),
)
SCOPES = ("read", "lease", "admin")


def entry(scope: str) -> str:
    """Return a token's table in the tokens file; the token is «secret-» and its scope."""
    digest = hashlib.sha256(f"secret-{scope}".encode()).hexdigest()
    return f'[[token]]\nname = "{scope}"\nscope = "{scope}"\nsha256 = "{digest}"\n'


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    """Give a tokens file with a token of each scope."""
    path = tmp_path / "tokens.toml"
    path.write_text("".join(map(entry, SCOPES)))
    return path


@pytest.fixture
async def guarded(
    aiohttp_client: MakeClient, recording: RecordingLedger, tokens_file: Path
) -> Client:
    """Give a client of an edge that asks for tokens."""
    tokens = TokensFile(tokens_file).tokens
    return await aiohttp_client(recorded(recording, Settings(), tokens))


@pytest.mark.parametrize("granted", SCOPES)
async def test_a_scope_allows_what_it_should(guarded: Client, granted: str) -> None:
    """Read may look, lease may also quote and book, admin may do everything (rule 24)."""
    headers = {"Authorization": f"bearer secret-{granted}"}
    for needed, method, path in CALLS:
        response = await guarded.request(method, path, json=EMPTY, headers=headers)
        if SCOPES.index(granted) >= SCOPES.index(needed):
            assert response.status < 300, path
        else:
            text = await refusal(response, 401, "InvalidAuthorizationDetailsError")
            assert f"«{needed}»" in text
            assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Basic c2VjcmV0"])
async def test_no_token_is_refused(
    guarded: Client, recording: RecordingLedger, authorization: str | None
) -> None:
    """A call without a Bearer token gives 403 `NoAPITokenError` (rule 24)."""
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await guarded.put(C1, json=EMPTY, headers=headers)
    await refusal(response, 403, "NoAPITokenError")
    assert recording.calls == []


@pytest.mark.parametrize("token", ["secret", "secret-adminx", "é", " "])
async def test_an_unknown_token_is_refused(guarded: Client, token: str) -> None:
    """A token that nobody handed out gives 401 `InvalidAPITokenError` (rule 24)."""
    response = await guarded.put(C1, json=EMPTY, headers={"Authorization": f"Bearer x{token}"})
    await refusal(response, 401, "InvalidAPITokenError")


async def test_operations_need_no_token(guarded: Client) -> None:
    """Probes, the OpenAPI document and its page are open to everyone who can reach them."""
    for path in ("/livez", "/readyz", "/openapi.json", "/docs", "/docs/start.js"):
        assert (await guarded.get(path)).status == 200
    await refusal(await guarded.get("/nowhere"), 404, "UnknownOrIncorrectEndpointError")


@pytest.mark.parametrize(
    "text",
    [
        "",
        entry("read") + "rate = nan\n",
        entry("read") + "rate = 0\n",
        entry("read") + "sellers = []\n",
        entry("read") + "sellers = ['']\n",
        entry("read") + entry("read").replace("name", "# name"),
        entry("read") + entry("read").replace('name = "read"', 'name = "again"'),
        "[[token]",
        "token = []",
        entry("root"),
        entry("read").replace("sha256", "token"),
        entry("read").replace('sha256 = "', 'sha256 = "0'),
        entry("read") + 'password = "x"\n',
    ],
)
def test_a_bad_tokens_file_is_one_line(tmp_path: Path, text: str) -> None:
    """What is wrong with the tokens file is said in one line that names the file."""
    path = tmp_path / "tokens.toml"
    path.write_text(text)
    with pytest.raises(TokensFileError) as caught:
        TokensFile(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_tokens_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """A missing tokens file is said in one line that names it."""
    with pytest.raises(TokensFileError, match=r"tokens\.toml: No such file"):
        TokensFile(tmp_path / "tokens.toml")


def test_a_tokens_file_of_other_bytes_is_one_line(tmp_path: Path) -> None:
    """A tokens file that is not UTF-8 is said in one line."""
    path = tmp_path / "tokens.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(TokensFileError, match=r"tokens\.toml: "):
        TokensFile(path)
