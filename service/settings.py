"""The settings: one frozen struct, read from environment variables that begin with `LEASE_`.

The struct is the only place that says what a setting is, in which unit, and what it is by default;
`lease-service serve --help` and the error messages are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct, structs

from service.setting_text import (
    convert,
    default_text,
    in_one_line,
    invalid,
    meta_of,
    unknown,
)
from service.setting_types import (
    Address,
    ByteCount,
    Durability,
    LogFormat,
    RedisUrl,
    WebhookSecret,
    WebhookUrl,
)
from service.text import whole

PREFIX: Final = "LEASE_"

# What no error message may quote.
_SECRET: Final = {"redis_url", "webhook_secret", "webhook_url"}

# Kubernetes puts LEASE_PORT=tcp://… and the like into every Pod beside a Service named «lease».
_KUBERNETES_LINK: Final = re.compile(
    r"LEASE_(\w+_)?(SERVICE_HOST=.*|SERVICE_PORT(_\w+)?=\d+|PORT(_\w+)?=\w+://.*"
    r"|PORT_\d+_(TCP|UDP|SCTP)_\w+=.*)"
)

_Seconds = Annotated[int, Meta(ge=0, le=31_536_000)]
_Rate = Annotated[float, Meta(ge=0.01, le=1_000_000)]


class SettingsError(Exception):
    """The environment does not make usable settings; each line of the message is one problem."""


class Setting(NamedTuple):
    """One setting, for a person to read."""

    variable: str
    description: str
    default: str


class Settings(Struct, frozen=True, kw_only=True):
    """What the operator decides; the defaults run on a bare machine (contract, «Settings»)."""

    listen: Annotated[
        tuple[Address, ...],
        Meta(
            description="Address of the API: IP:PORT or unix:/PATH; several, by comma.",
            examples=["127.0.0.1:8080"],
        ),
    ] = (Address("127.0.0.1:8080"),)
    admin_listen: Annotated[
        tuple[Address, ...],
        Meta(
            description="Address of /livez, /readyz and /metrics alone, for probes that come from"
            " outside the Pod.",
            examples=["0.0.0.0:9090"],
        ),
    ] = ()
    redis_url: Annotated[
        RedisUrl | None,
        Meta(
            description="Redis 7+ or Valkey 8+: redis:// or unix://, with user and password;"
            " redis+sentinel://HOST,HOST/NAME or redis+cluster://HOST,HOST; with rediss for redis"
            " over TLS; unset: an embedded Valkey.",
            examples=["redis://user:password@redis.example:6379/0"],
        ),
    ] = None
    data_dir: Annotated[
        str,
        Meta(
            description="Folder of the embedded Valkey's data; :memory: keeps none.",
            examples=["/var/lib/lease"],
        ),
    ] = ".lease-data"
    anonymous_seconds: Annotated[
        _Seconds,
        Meta(
            description="Seconds that a lease from C1 lasts; 0: C1 does not lease.",
            examples=["300"],
        ),
    ] = 300
    named_seconds: Annotated[
        _Seconds,
        Meta(
            description="Seconds that a lease from C2 lasts; 0: C2 does not lease.",
            examples=["900"],
        ),
    ] = 900
    proposal_seconds: Annotated[
        _Seconds,
        Meta(
            description="Seconds that a proposal's lease lasts; 0: P does not lease.",
            examples=["604800"],
        ),
    ] = 604_800
    maximum_hold_seconds: Annotated[
        _Seconds,
        Meta(
            description="Seconds after the first lease beyond which C1 and C2 do not extend it.",
            examples=["7200"],
        ),
    ] = 7200
    rejection_grace_seconds: Annotated[
        _Seconds,
        Meta(
            description="Seconds that a rejected proposal keeps its spaces.",
            examples=["0"],
        ),
    ] = 0
    durability: Annotated[
        Durability,
        Meta(
            description="What confirms B, cancel and delete: memory, disk (an fsync; Redis 7.2+ or"
            " Valkey) or replicas=N.",
            examples=["memory"],
        ),
    ] = Durability("memory")
    tokens_file: Annotated[
        str | None,
        Meta(
            description="File of the API tokens' digests; needed where the API listens beyond this"
            " machine.",
            examples=["/etc/lease/tokens"],
        ),
    ] = None
    maximum_in_flight: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Calls that one worker process answers at once; further ones get a 503"
            " with Retry-After.",
            examples=["1000"],
        ),
    ] = 1000
    maximum_listeners: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Who may follow /capacity-events of one worker process at once; further"
            " ones get a 503 with Retry-After.",
            examples=["1000"],
        ),
    ] = 1000
    rate_limit: Annotated[
        _Rate | None,
        Meta(
            description="Most calls per second of one token to one worker process; a token's own"
            " rate goes first.",
            examples=["200"],
        ),
    ] = None
    tls_certificate: Annotated[
        str | None,
        Meta(
            description="File of the API's certificate (PEM, intermediate ones behind it); unset:"
            " no TLS. The admin address and unix sockets stay plain.",
            examples=["/etc/lease/tls.crt"],
        ),
    ] = None
    tls_key: Annotated[
        str | None,
        Meta(
            description="File of its key (PEM, without a password).",
            examples=["/etc/lease/tls.key"],
        ),
    ] = None
    tls_client_ca: Annotated[
        str | None,
        Meta(
            description="File of the authority whose certificates clients must have (PEM); unset:"
            " clients need none.",
            examples=["/etc/lease/clients.crt"],
        ),
    ] = None
    open_access: Annotated[
        bool,
        Meta(
            description="Serve the API beyond this machine without tokens: true or false.",
            examples=["true"],
        ),
    ] = False
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=256,
            description="Processes that share the port; one per core at most.",
            examples=["2"],
        ),
    ] = 1
    ready_needs_redis: Annotated[
        bool,
        Meta(
            description="Whether /readyz fails while Redis is away: true or false; a sidecar's"
            " readiness is its whole Pod's.",
            examples=["false"],
        ),
    ] = False
    drain_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=3600,
            description="Seconds between failing /readyz and refusing connections at SIGTERM.",
            examples=["5"],
        ),
    ] = 0
    partitions: Annotated[
        int,
        Meta(
            ge=1,
            le=16_384,
            description="Number of partitions of the keys; fixed once there is data.",
            examples=["64"],
        ),
    ] = 64
    key_prefix: Annotated[
        str,
        whole(
            "[A-Za-z0-9_.-]{1,64}",
            description="What every key in Redis begins with: letters, digits, «_», «.», «-».",
            examples=["lease"],
        ),
    ] = "lease"
    body_limit: Annotated[
        ByteCount,
        Meta(
            description="Largest body of a request, in bytes, KiB or MiB; not for"
            " PUT /opportunities.",
            examples=["1MiB"],
        ),
    ] = ByteCount(1_048_576)
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="debug, info, warning or error.", examples=["info"]),
    ] = "info"
    log_format: Annotated[
        LogFormat,
        Meta(
            description="json, console, or auto: console where standard output is a terminal.",
            examples=["json"],
        ),
    ] = "auto"
    tracing: Annotated[
        bool,
        Meta(
            description="Send spans over OpenTelemetry's OTLP, as the OTEL_* variables say; needs"
            " the extra «tracing»: true or false.",
            examples=["true"],
        ),
    ] = False
    webhook_url: Annotated[
        WebhookUrl | None,
        Meta(
            description="Where changes of what is free are sent, as Standard Webhooks; needs"
            " LEASE_WEBHOOK_SECRET.",
            examples=["https://booking.example/webhooks/capacity"],
        ),
    ] = None
    webhook_secret: Annotated[
        tuple[WebhookSecret, ...],
        Meta(
            description="Key that webhooks are signed with: whsec_ and base64; several, by comma,"
            " while it is changed.",
            examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        ),
    ] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings from environment variables; an empty one counts as unset.

        Args:
            environ: The environment; only names that begin with `LEASE_` are looked at.

        Returns:
            The settings, each within its bounds and agreeing with the others.

        Raises:
            SettingsError: With every problem at once, each on a line of its own.

        """
        fields = {f"{PREFIX}{field.name.upper()}": field for field in structs.fields(cls)}
        given = {name: text for name, text in environ.items() if name.startswith(PREFIX)}
        problems: list[str] = []
        values: dict[str, Any] = {}
        for variable, text in sorted(given.items()):
            if variable not in fields:
                if not _KUBERNETES_LINK.fullmatch(f"{variable}={text}"):
                    problems.append(unknown(variable, fields))
            elif text.strip():
                try:
                    values[fields[variable].name] = convert(text.strip(), fields[variable])
                except msgspec.ValidationError as error:
                    field = fields[variable]
                    hidden = field.name in _SECRET
                    problems.append(invalid(variable, text, field, error, is_secret=hidden))
        settings = cls(**values)
        problems.extend(settings._disagreements())
        if problems:
            raise SettingsError("\n".join(map(in_one_line, problems)))
        return settings

    def _disagreements(self) -> Iterator[str]:
        exposed = [address for address in self.listen if not address.is_local]
        if exposed and self.tokens_file is None and not self.open_access:
            yield (
                f"LEASE_LISTEN={exposed[0]} is open to other machines: set LEASE_TOKENS_FILE, or"
                " LEASE_OPEN_ACCESS=true if nobody unknown can reach it"
            )
        if (self.tls_certificate is None) != (self.tls_key is None) or (
            self.tls_client_ca is not None and self.tls_certificate is None
        ):
            yield "TLS needs a certificate and its key: set LEASE_TLS_CERTIFICATE, LEASE_TLS_KEY"
        if self.rate_limit is not None and self.tokens_file is None:
            yield "LEASE_RATE_LIMIT counts the calls of each token: set LEASE_TOKENS_FILE"
        if self.webhook_url is not None and not self.webhook_secret:
            yield (
                "LEASE_WEBHOOK_URL needs LEASE_WEBHOOK_SECRET: set it to whsec_ and the output of"
                " «openssl rand -base64 32», and let the receiver know it"
            )
        if self.redis_url is None and self.durability.startswith("replicas"):
            yield (
                f"LEASE_DURABILITY={self.durability} needs LEASE_REDIS_URL: the embedded Valkey"
                " has no replicas"
            )
        if self.redis_url is None and self.durability == "disk" and self.data_dir == ":memory:":
            yield (
                "LEASE_DURABILITY=disk needs a LEASE_DATA_DIR that is a folder: :memory: keeps"
                " nothing"
            )


def describe() -> Iterator[Setting]:
    """Describe every setting, in the order of the struct.

    Yields:
        The variable's name, what it means with its unit, and its default.

    """
    for field in structs.fields(Settings):
        yield Setting(
            f"{PREFIX}{field.name.upper()}",
            meta_of(field).description or "",
            default_text(field.default),
        )
