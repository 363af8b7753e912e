from base64 import b64encode

import pytest

from service.setting_types import Address, ByteCount, RedisUrl
from service.settings import Settings, SettingsError, describe

WEBHOOK_SECRET = "whsec_" + b64encode(bytes(range(32))).decode()


def test_defaults_are_those_of_the_contract() -> None:
    """With an empty environment the settings are the contract's defaults (rule 26)."""
    settings = Settings.from_environ({})

    assert settings.listen == (Address("127.0.0.1:8080"),)
    assert settings.redis_url is None
    assert (settings.anonymous_seconds, settings.named_seconds) == (300, 900)
    assert (settings.proposal_seconds, settings.maximum_hold_seconds) == (604_800, 7200)
    assert settings.body_limit == 1024 * 1024


def test_every_kind_of_value_is_read() -> None:
    """Numbers, truths, sizes, words and lists of addresses are read from text."""
    settings = Settings.from_environ(
        {
            "LEASE_LISTEN": "127.0.0.1:0, unix:/run/lease.sock,[::1]:80",
            "LEASE_WORKERS": "4",
            "LEASE_READY_NEEDS_REDIS": "true",
            "LEASE_BODY_LIMIT": "512KiB",
            "LEASE_LOG_FORMAT": "json",
            "LEASE_REDIS_URL": "redis://localhost:6379/0",
        }
    )

    assert [address.path or address.host for address in settings.listen] == [
        "127.0.0.1",
        "/run/lease.sock",
        "::1",
    ]
    assert settings.workers == 4
    assert settings.ready_needs_redis is True
    assert settings.body_limit == 524_288
    assert settings.log_format == "json"
    assert settings.redis_url == "redis://localhost:6379/0"


def test_an_empty_variable_counts_as_unset() -> None:
    """An orchestrator that passes an empty variable gets the default."""
    assert Settings.from_environ({"LEASE_REDIS_URL": "", "LEASE_WORKERS": " "}) == Settings()


@pytest.mark.parametrize(
    ("misspelt", "right"),
    [
        ("LEASE_WORKER", "LEASE_WORKERS"),
        ("LEASE_DATADIR", "LEASE_DATA_DIR"),
        ("LEASE_ANONYMOUS_SECOND", "LEASE_ANONYMOUS_SECONDS"),
        ("LEASE_PORT", "LEASE_"),
    ],
)
def test_a_misspelt_variable_is_an_error_that_names_the_nearest(misspelt: str, right: str) -> None:
    """A variable that is no setting is refused with the one that was probably meant."""
    with pytest.raises(SettingsError, match=rf"{misspelt} is not a setting: did you mean {right}"):
        Settings.from_environ({misspelt: "8080"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEASE_PORT", "tcp://10.0.0.7:80"),
        ("LEASE_PORT_80_TCP_ADDR", "10.0.0.7"),
        ("LEASE_SERVICE_HOST", "10.0.0.7"),
        ("LEASE_SIDECAR_SERVICE_PORT_HTTP", "80"),
    ],
)
def test_what_kubernetes_adds_for_a_service_is_no_misspelling(variable: str, value: str) -> None:
    """A Kubernetes Service that is named «lease» does not keep the service from starting."""
    assert Settings.from_environ({variable: value}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEASE_WORKERS", "many"),
        ("LEASE_WORKERS", "0"),
        ("LEASE_ANONYMOUS_SECONDS", "-1"),
        ("LEASE_PARTITIONS", "1.5"),
        ("LEASE_READY_NEEDS_REDIS", "perhaps"),
        ("LEASE_BODY_LIMIT", "1MB"),
        ("LEASE_LOG_LEVEL", "loud"),
        ("LEASE_KEY_PREFIX", "a{b}"),
        ("LEASE_DURABILITY", "replicas=0"),
        ("LEASE_LISTEN", ":8080"),
        ("LEASE_LISTEN", "8080"),
        ("LEASE_LISTEN", "127.0.0.1:65536"),
        ("LEASE_LISTEN", "::1:8080"),
        ("LEASE_LISTEN", "unix:relative"),
        ("LEASE_LISTEN", "127.0.0.1:80,"),
    ],
)
def test_a_bad_value_is_an_error_with_a_right_example(variable: str, value: str) -> None:
    """The error names the variable and the value, and shows a value that is right."""
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({variable: value})

    line = str(refused.value)
    assert line.startswith(f"{variable}={value}: ")
    assert f"for example {variable}=" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("value", "shown"), [("0\n1:80", "0\\n1:80"), ("\x1b[31m:80", "\\x1b[31m:80")]
)
def test_an_odd_character_in_a_value_is_shown_as_one_would_write_it(
    value: str, shown: str
) -> None:
    """A problem stays in its line, whatever the value holds."""
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"LEASE_LISTEN": value})

    assert str(refused.value).startswith(f"LEASE_LISTEN={shown}: ")
    assert str(refused.value).isprintable()


def test_every_problem_is_reported_at_once() -> None:
    """Several problems are several lines of one error."""
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"LEASE_WORKERS": "x", "LEASE_NAMED": "1", "LEASE_LOG_LEVEL": "x"})

    assert len(str(refused.value).splitlines()) == 3


def test_the_example_in_every_error_is_right() -> None:
    """Each setting's own example is a value that it accepts."""
    for variable, example in _examples():
        others = {
            "LEASE_OPEN_ACCESS": "true",
            "LEASE_TOKENS_FILE": "/t",
            "LEASE_WEBHOOK_SECRET": WEBHOOK_SECRET,
        }
        Settings.from_environ(others | {variable: example})


def _examples() -> list[tuple[str, str]]:
    examples = []
    for setting in describe():
        try:
            Settings.from_environ({setting.variable: "\x00:bad:\x00"})
        except SettingsError as error:
            right = str(error).partition(f"for example {setting.variable}=")[2].partition(" (")[0]
            examples.append((setting.variable, right))
    assert len(examples) > 15
    return examples


@pytest.mark.parametrize("address", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:80"])
def test_an_address_beyond_this_machine_needs_tokens_or_consent(address: str) -> None:
    """Rule 26: on any address but loopback there must be tokens, unless told otherwise."""
    with pytest.raises(SettingsError, match=r"LEASE_TOKENS_FILE.*LEASE_OPEN_ACCESS=true"):
        Settings.from_environ({"LEASE_LISTEN": f"127.0.0.1:1,{address}"})

    Settings.from_environ({"LEASE_LISTEN": address, "LEASE_TOKENS_FILE": "/tokens"})
    Settings.from_environ({"LEASE_LISTEN": address, "LEASE_OPEN_ACCESS": "true"})


@pytest.mark.parametrize("address", ["127.0.0.2:80", "[::1]:80", "localhost:80", "unix:/a"])
def test_an_address_of_this_machine_needs_no_tokens(address: str) -> None:
    """Rule 26: loopback addresses and unix sockets are served without tokens."""
    assert Settings.from_environ({"LEASE_LISTEN": address}).listen[0].is_local


@pytest.mark.parametrize(
    ("durability", "data_dir", "reason"),
    [("disk", ":memory:", "LEASE_DATA_DIR"), ("replicas=2", ".data", "needs LEASE_REDIS_URL")],
)
def test_a_durability_that_the_embedded_valkey_cannot_keep_is_refused(
    durability: str, data_dir: str, reason: str
) -> None:
    """Rule 21: a promise that cannot be kept is not accepted silently."""
    with pytest.raises(SettingsError, match=reason):
        Settings.from_environ({"LEASE_DURABILITY": durability, "LEASE_DATA_DIR": data_dir})


def test_no_password_is_shown() -> None:
    """Neither the settings' `repr` nor an error about the URL shows what is secret in it."""
    hidden = "correct-horse"
    url = f"rediss://user:{hidden}@redis.example:6380/1?ssl_password={hidden}"

    settings = Settings.from_environ({"LEASE_REDIS_URL": url})

    assert hidden not in repr(settings)
    assert "redis.example:6380/1" in repr(settings)
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"LEASE_REDIS_URL": f"http://user:{hidden}@redis.example"})
    assert hidden not in str(refused.value)


def test_nothing_secret_of_the_webhooks_is_shown() -> None:
    """The address may hold a token in any part but the host, and the secret is one."""
    hidden = "correct-horse"
    url = f"https://{hidden}:{hidden}@hooks.example:8443/{hidden}?key={hidden}#{hidden}"

    settings = Settings.from_environ(
        {"LEASE_WEBHOOK_URL": url, "LEASE_WEBHOOK_SECRET": WEBHOOK_SECRET}
    )

    assert settings.webhook_url == url
    shown = f"{settings!r} {settings.webhook_secret}"
    assert "https://hooks.example:8443/***" in shown
    assert hidden not in shown
    assert WEBHOOK_SECRET.removeprefix("whsec_") not in shown
    assert repr(bytes(settings.webhook_secret[0])) not in shown


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LEASE_WEBHOOK_URL", "correct-horse"),
        ("LEASE_WEBHOOK_URL", "ftp://hooks.example/correct-horse"),
        ("LEASE_WEBHOOK_URL", "https:///correct-horse"),
        ("LEASE_WEBHOOK_URL", "https://hooks.example/correct -horse"),
        ("LEASE_WEBHOOK_URL", "https://user:correct-horse#rest@hooks.example"),
        ("LEASE_WEBHOOK_SECRET", "correct-horse"),
        ("LEASE_WEBHOOK_SECRET", "whsec_correct-horse"),
        ("LEASE_WEBHOOK_SECRET", "whsec_correcthorse"),
        ("LEASE_WEBHOOK_SECRET", WEBHOOK_SECRET.removeprefix("whsec_")),
        ("LEASE_WEBHOOK_SECRET", f"{WEBHOOK_SECRET},whsec_correcthorse"),
    ],
)
def test_a_bad_webhook_setting_is_refused_without_being_shown(variable: str, value: str) -> None:
    """The error says what is right, and nothing of what was given."""
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"LEASE_WEBHOOK_SECRET": WEBHOOK_SECRET, variable: value})

    line = str(refused.value)
    assert line.startswith(f"{variable}: ")
    assert f"for example {variable}=" in line
    assert not any(text in line for text in ("correct", WEBHOOK_SECRET.removeprefix("whsec_")))


def test_webhooks_need_a_secret() -> None:
    """Nothing is sent unsigned: an address without a secret is refused with what to do."""
    with pytest.raises(SettingsError, match="needs LEASE_WEBHOOK_SECRET: set it to whsec_"):
        Settings.from_environ({"LEASE_WEBHOOK_URL": "https://hooks.example/capacity"})


def test_webhook_secrets_may_be_several() -> None:
    """While the secret is changed there are two, parted by comma."""
    other = "whsec_" + b64encode(bytes(64)).decode()

    settings = Settings.from_environ({"LEASE_WEBHOOK_SECRET": f"{WEBHOOK_SECRET}, {other}"})

    assert settings.webhook_secret == (bytes(range(32)), bytes(64))


def test_a_redis_url_is_still_the_whole_url() -> None:
    """Only the `repr` is redacted: what connects gets the password."""
    assert str(RedisUrl("redis://u:p@h:1/0")) == "redis://u:p@h:1/0"


@pytest.mark.parametrize(
    ("text", "count"),
    [("1", 1), ("1000", 1000), ("2KiB", 2048), ("1 MiB", 1_048_576), ("1gib", 1_073_741_824)],
)
def test_sizes_are_read_with_units(text: str, count: int) -> None:
    """A size is a number of bytes, or of KiB, MiB, GiB."""
    assert ByteCount(text) == count


@pytest.mark.parametrize("text", ["1000", "2KiB", "3MiB", "4GiB"])
def test_sizes_are_shown_with_their_largest_whole_unit(text: str) -> None:
    """A size is shown as one would write it."""
    assert str(ByteCount(text)) == text


def test_every_setting_says_what_it_means() -> None:
    """The help has a description and a default for every field of the struct."""
    settings = list(describe())

    assert {setting.variable for setting in settings} == {
        f"LEASE_{name.upper()}" for name in Settings.__struct_fields__
    }
    assert all(setting.description.endswith(".") and setting.default for setting in settings)
