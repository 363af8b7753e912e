"""Several real servers for tests: a cluster, and a primary with replicas and Sentinels."""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import redis

from tests.servers import RedisServer, free_port, valkey_binary

NODE_TIMEOUT_MILLISECONDS = 1000
PATIENCE_SECONDS = 40.0
SLOTS = 16384
PRIMARIES = 3
NAME = "spaces"


def until(condition: Callable[[], bool]) -> None:
    """Return when a condition holds; a server that does not answer is none that it holds for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(redis.RedisError):
            if condition():
                return
        assert time.monotonic() < deadline, f"never came: {condition}"
        time.sleep(0.02)


class Member(RedisServer):
    """One of several servers that know each other by their loopback ports."""

    def __init__(self, folder: Path, binary: str = valkey_binary(), **config: str | int) -> None:
        """Prepare a server in a folder of its own, which is made."""
        folder.mkdir()
        self.port = free_port()
        self.client = redis.Redis(port=self.port, socket_timeout=PATIENCE_SECONDS, protocol=2)
        super().__init__(binary, folder, port=self.port, bind="127.0.0.1", **config)

    def ask(self, *words: str | int) -> Any:
        """Return what it answers."""
        return self.client.execute_command(*words)

    def info(self, section: str) -> dict[str, Any]:
        """Return a section of INFO."""
        found: dict[str, Any] = self.client.info(section)
        return found

    def follows(self, primary: Member) -> bool:
        """Tell whether it is a replica of another, and has what that has."""
        info = self.info("replication")
        return info.get("master_port") == primary.port and info["master_link_status"] == "up"


class _Servers(ABC):
    """What several servers have in common: they start together and end together."""

    def __init__(self) -> None:
        self._resources = contextlib.ExitStack()

    def start(self, *members: RedisServer) -> None:
        """Start servers that will be killed in the end."""
        for member in members:
            self._resources.enter_context(member)

    def __enter__(self) -> Self:
        """Start them."""
        try:
            self.form()
        except BaseException:
            self._resources.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill them."""
        self._resources.close()

    @abstractmethod
    def form(self) -> None:
        """Start the servers, and return when they know each other."""


class ClusterServers(_Servers):
    """A Valkey Cluster of primaries, 3 if not told otherwise, and a replica for each, or none."""

    def __init__(self, folder: Path, *, replicas: bool = True, primaries: int = PRIMARIES) -> None:
        """Prepare it; its servers have folders in `folder`."""
        super().__init__()
        members = [
            Member(
                folder / str(number),
                cluster_enabled="yes",
                cluster_port=free_port(),
                cluster_node_timeout=NODE_TIMEOUT_MILLISECONDS,
                cluster_replica_validity_factor=0,
                repl_diskless_sync_delay=0,
                repl_ping_replica_period=1,
                enable_debug_command="yes",
            )
            for number in range(2 * primaries if replicas else primaries)
        ]
        self.primaries = members[:primaries]
        self.replicas = members[primaries:]
        self.members = members

    @property
    def url(self) -> str:
        """The address for `LEASE_REDIS_URL`, with two of the nodes."""
        return (
            f"redis+cluster://127.0.0.1:{self.members[0].port},127.0.0.1:{self.members[-1].port}"
        )

    def form(self) -> None:
        """Start the servers, share out the slots, and return when all agree."""
        self.start(*self.members)
        first, *others = self.members
        for member in others:
            bus = int(member.client.config_get("cluster-port")["cluster-port"] or 0)
            first.ask("CLUSTER", "MEET", "127.0.0.1", member.port, bus)
        for number, member in enumerate(self.primaries):
            share = SLOTS / len(self.primaries)
            begin, end = int(share * number), int(share * (number + 1)) - 1
            member.ask("CLUSTER", "ADDSLOTSRANGE", begin, end)
        for member in self.members:
            until(lambda member=member: self._known_by(member) == len(self.members))  # type: ignore[misc] # mypy does not infer a lambda's default
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", self.id(primary))
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            until(lambda primary=primary, replica=replica: replica.follows(primary))  # type: ignore[misc] # likewise
        until(lambda: all(self._is_well(member) for member in self.members))

    @staticmethod
    def id(member: Member) -> str:
        """Return the name that a node has in the cluster."""
        return str(member.ask("CLUSTER", "MYID").decode())

    def owner(self, slot: int) -> Member:
        """Return the primary that has a slot."""
        for first, last, (_, port, *_), *_ in self.members[-1].ask("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(member for member in self.members if member.port == port)
        raise AssertionError("nobody has the slot")

    def move(self, slot: int, target: Member) -> None:
        """Move a slot key by key, as `redis-cli --cluster reshard` does."""
        self.finish_moving(slot, self.begin_to_move(slot, target), target)

    def begin_to_move(self, slot: int, target: Member) -> Member:
        """Let two nodes know that a slot is on its way; return the one that has it."""
        source = self.owner(slot)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source))
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(target))
        return source

    @staticmethod
    def move_a_key(slot: int, source: Member, target: Member) -> bool:
        """Move one key of a slot; tell whether there was one."""
        keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 1)
        if keys:
            source.ask("MIGRATE", "127.0.0.1", target.port, *keys, 0, 5000)
        return bool(keys)

    def finish_moving(self, slot: int, source: Member, target: Member) -> None:
        """Move all keys of a slot that are left, and let everybody know."""
        while self.move_a_key(slot, source, target):
            pass
        for member in (target, *self.primaries):
            member.ask("CLUSTER", "SETSLOT", slot, "NODE", self.id(target))

    @staticmethod
    def _known_by(member: Member) -> int:
        info: bytes = member.ask("CLUSTER", "INFO")
        return int(info.partition(b"cluster_known_nodes:")[2].split()[0])

    def _is_well(self, member: Member) -> bool:
        info: bytes = member.ask("CLUSTER", "INFO")
        slots = member.ask("CLUSTER", "SLOTS")
        nodes = sum(len(entry) - 2 for entry in slots)
        return b"cluster_state:ok" in info and nodes == len(self.members)


class SentinelServers(_Servers):
    """A primary with two replicas, and three Sentinels that watch over them."""

    def __init__(self, folder: Path) -> None:
        """Prepare them; the servers have folders in `folder`."""
        super().__init__()
        self.members = [
            Member(folder / str(number), repl_diskless_sync_delay=0, repl_ping_replica_period=1)
            for number in range(3)
        ]
        self.sentinels = [Sentinel(folder / f"s{number}") for number in range(3)]

    @property
    def url(self) -> str:
        """The address for `LEASE_REDIS_URL`."""
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{NAME}"

    def form(self) -> None:
        """Start them all, and return when the Sentinels know each other and the replicas."""
        primary, *replicas = self.members
        self.start(*self.members)
        for replica in replicas:
            replica.ask("REPLICAOF", "127.0.0.1", primary.port)
        for replica in replicas:
            until(lambda replica=replica: replica.follows(primary))  # type: ignore[misc] # mypy does not infer a lambda's default
        for sentinel in self.sentinels:
            self.start(sentinel)
            sentinel.watch(primary)
        for sentinel in self.sentinels:
            until(lambda sentinel=sentinel: sentinel.knows(others=2, replicas=2))  # type: ignore[misc] # likewise

    def primary(self) -> Member:
        """Return the server that the first Sentinel calls the primary."""
        port = self.sentinels[0].primary_port()
        return next(member for member in self.members if member.port == port)


class Sentinel(Member):
    """A Valkey that watches over others."""

    def __init__(self, folder: Path) -> None:
        """Prepare a Sentinel in a folder of its own, which is made."""
        super().__init__(folder)
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {self.port}\nbind 127.0.0.1\nunixsocket {self.socket}\ndir {folder}\n"
            f"logfile {self._log}\n"
        )
        self._command = [valkey_binary(), str(config), "--sentinel"]

    def watch(self, primary: Member) -> None:
        """Watch over a primary, and replace it soon after it is gone."""
        self.ask("SENTINEL", "MONITOR", NAME, "127.0.0.1", primary.port, 2)
        for option, value in {"down-after-milliseconds": 1000, "failover-timeout": 5000}.items():
            self.ask("SENTINEL", "SET", NAME, option, value)

    def knows(self, *, others: int, replicas: int) -> bool:
        """Tell whether it has found so many other Sentinels and replicas."""
        flat: Sequence[bytes] = self.ask("SENTINEL", "MASTER", NAME)
        found = dict(zip(flat[::2], flat[1::2], strict=True))
        return (
            int(found[b"num-other-sentinels"]) == others and int(found[b"num-slaves"]) == replicas
        )

    def primary_port(self) -> int:
        """Return the port of what it calls the primary."""
        return int(self.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)[1])
