"""`lease-service serve`: puts the process together, from the settings to the last byte on disk."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import signal
import sys
from typing import Final

import structlog

from service import telemetry
from service.http import STEPS, TokensFile
from service.http.serving import IN_FLIGHT_SECONDS
from service.ledger import stored_format
from service.process import banner, tls, worker
from service.process.listening import Listener
from service.process.supervisor import Lifeline, Supervisor, Worker
from service.redis.address import Location
from service.redis.check import ServerCheck
from service.redis.embedded import EmbeddedValkey
from service.redis.errors import StoreError, UnusableServerError
from service.settings import Settings

_MARGIN_SECONDS: Final = 5.0

_log = structlog.stdlib.get_logger(__name__)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, then finish what is in flight and keep the data.

    The order at the end is that of the start, reversed: `/readyz` fails, after
    `LEASE_DRAIN_SECONDS` the service stops listening, requests in flight finish, the workers end,
    and the embedded Valkey stops last. A second signal skips to the last step.

    Args:
        settings: The settings.

    Returns:
        0 after a signal; 1 when something failed that no restart helps, which was logged.

    Raises:
        SettingsError: A setting needs what is not installed.
        ListenError: An address cannot be listened on.
        TokensFileError: The tokens file cannot be used.
        TlsError: The files of TLS cannot be used.
        EmbeddedValkeyError: The embedded Valkey cannot run.
        UnusableServerError: Redis would lose leases.

    """
    telemetry.check(settings)
    telemetry.make_output_unfailing()
    telemetry.configure(settings)
    # Until the supervisor takes over, both signals unwind what has been started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    code = 0
    with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as resources:
        code = _supervised(settings, resources)
    _log.info("process.stopped", exit_code=code)
    return code


def _supervised(settings: Settings, resources: contextlib.ExitStack) -> int:
    tokens = None
    if settings.tokens_file is not None:
        tokens = TokensFile(settings.tokens_file, settings.rate_limit)
    encryption = tls.certificate(settings)
    valkeys = []
    if settings.redis_url is None:
        valkeys.append(resources.enter_context(EmbeddedValkey(settings.data_dir)))
    # Whoever has the data folder knows that no worker of a killed service holds the port still.
    api = resources.enter_context(
        Listener(settings.listen, settings.workers, is_encrypted=encryption is not None)
    )
    admin = resources.enter_context(Listener(settings.admin_listen, settings.workers))
    redis = Location.read(valkeys[0].url if valkeys else str(settings.redis_url))
    server_check = stored_format.server_check(
        redis,
        key_prefix=settings.key_prefix,
        partitions=settings.partitions,
        durability=settings.durability,
    )
    metrics = telemetry.Metrics(STEPS, settings.workers)
    _check(redis, server_check, metrics)
    lifeline = Lifeline()

    def work(index: int) -> int:
        return worker.run(
            worker.Assignment(
                nth=index,
                metrics=metrics,
                settings=settings,
                tokens=tokens,
                certificate=encryption,
                redis=redis,
                server_check=server_check,
                api=api.keep_only(index),
                admin=admin.keep_only(index),
                lifeline=lifeline,
            )
        )

    def refuse_connections() -> None:
        api.close_sockets()
        admin.close_sockets()

    _announce(settings, api, admin)
    return Supervisor(
        [Worker(lifeline, functools.partial(work, index)) for index in range(settings.workers)],
        valkeys,
        lifeline=lifeline,
        finish_seconds=settings.drain_seconds + IN_FLIGHT_SECONDS + _MARGIN_SECONDS,
        on_stop=refuse_connections,
    ).run()


def _check(redis: Location, server_check: ServerCheck, metrics: telemetry.Metrics) -> None:
    """Refuse an unusable server at once; one that is away is checked by the workers later."""
    try:
        asyncio.run(worker.check(redis, server_check, metrics))
    except UnusableServerError:
        raise
    except StoreError as error:
        _log.warning("redis.away", reason=str(error))


def _announce(settings: Settings, api: Listener, admin: Listener) -> None:
    if telemetry.is_for_people(settings.log_format):
        sys.stdout.write(banner.screen(settings, api.urls))
    _log.info(
        "process.listening",
        api=api.urls,
        admin=admin.urls,
        workers=settings.workers,
        redis="embedded" if settings.redis_url is None else settings.redis_url.redacted,
    )
