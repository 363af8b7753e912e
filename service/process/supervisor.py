"""The parent process: it keeps its children alive and tells them when to finish.

The shape is the same whatever LEASE_WORKERS says, so that there is one way to start, to crash
and to stop. The parent runs no event loop and no thread. A worker knows no signal: it watches its
lifeline, which tells it to finish, and which breaks when the parent is killed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Final, Protocol

import structlog

UNUSABLE: Final = 78
"""The exit code (EX_CONFIG) of a worker that no restart can help: it has said why."""

_EARLY_SECONDS: Final = 10.0
_EARLY_DEATHS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_LONGEST_SLEEP_SECONDS: Final = 60.0

_log = structlog.stdlib.get_logger(__name__)


class Child(Protocol):
    """A process that is started again when it dies."""

    name: str

    @property
    def pid(self) -> int | None:
        """Its process, where it was started."""

    def spawn(self) -> None:
        """Start it, without waiting for it."""

    @property
    def last_words(self) -> str:
        """What it said of its end, for the log."""

    def exit_code(self) -> int | None:
        """Return how it ended (negative: by that signal), or None while it runs."""


class Lifeline:
    """How the parent and all its workers are tied together: a pair of sockets."""

    def __init__(self) -> None:
        """Tie it; what is forked from here on inherits it."""
        self.watched, self._held = socket.socketpair()

    def let_go(self) -> None:
        """Close, in a worker, the end that only the parent may hold."""
        self._held.close()

    def finish(self) -> None:
        """Tell every worker to finish: each sees that there is something to read."""
        self._held.send(b"finish")

    def is_broken(self) -> bool:
        """Tell, once there is something to read, whether that is the parent's end."""
        return not self.watched.recv(1, socket.MSG_PEEK)


class Worker:
    """A forked process that runs a function."""

    name = "worker"
    last_words = ""

    def __init__(self, lifeline: Lifeline, work: Callable[[], int]) -> None:
        """Prepare a worker; it is not started yet.

        Args:
            lifeline: The worker finishes when it says so.
            work: What it does; returns its exit code.

        """
        self._lifeline = lifeline
        self._work = work
        self._exit_code: int | None = None
        self.pid: int | None = None

    def spawn(self) -> None:
        """Fork."""
        sys.stdout.flush()
        sys.stderr.flush()
        self._exit_code = None
        self.pid = os.fork()
        if self.pid == 0:
            os._exit(self._live())

    def exit_code(self) -> int | None:
        """Return how it ended (negative: by that signal), or None while it runs."""
        if self._exit_code is None and self.pid is not None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.exit_code() is None and self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)

    def _live(self) -> int:
        """Run in the child; nothing may escape into the parent's stack."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._lifeline.let_go()
            code = self._work()
        except BaseException:  # noqa: BLE001 - what unwinds further is the parent's own code
            _log.exception("worker.failed")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        return code


class _Watch:
    """One child, and when it was or will be started."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.due: float | None = None
        self.early_deaths = 0
        self._started = time.monotonic()

    def plan_restart(self) -> None:
        now = time.monotonic()
        self.early_deaths = self.early_deaths + 1 if now - self._started < _EARLY_SECONDS else 0
        pause = _FIRST_PAUSE_SECONDS * 2 ** min(self.early_deaths, _EARLY_DEATHS)
        self.due = now + min(pause, _LONGEST_PAUSE_SECONDS)

    def restart(self) -> None:
        """Start it again; where the system has no process to spare, try later."""
        self._started = time.monotonic()
        try:
            self.child.spawn()
        except OSError as error:
            _log.error(f"{self.child.name}.not_started", reason=str(error))
            self.plan_restart()
        else:
            self.due = None
            _log.info(f"{self.child.name}.restarted", pid=self.child.pid)


class Supervisor:
    """Runs workers, and what they need beside them, until a signal or a hopeless failure."""

    def __init__(
        self,
        workers: Sequence[Worker],
        companions: Sequence[Child],
        *,
        lifeline: Lifeline,
        finish_seconds: float,
        on_stop: Callable[[], None],
    ) -> None:
        """Prepare to run.

        Args:
            workers: Not started yet. One that dies early again and again ends the program.
            companions: Running already; started again whenever they die, since what they lack
                (a disk with room, memory) may come back, and stopped by their owner.
            lifeline: Of the workers.
            finish_seconds: How long the workers may take to finish; then they are killed.
            on_stop: Called when the workers are told to finish.

        """
        self._workers = workers
        self._companions = companions
        self._lifeline = lifeline
        self._finish_seconds = finish_seconds
        self._on_stop = on_stop
        self._stop_signals = 0

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; a second one ends the workers without waiting.

        Returns:
            0 after a signal, 1 after a failure that was logged.

        """
        with self._woken_by_signals() as awakened:
            # What exists now is shared with the children: the collector must not touch its pages.
            gc.freeze()
            for worker in self._workers:
                worker.spawn()
            code = self._keep_alive(awakened)
            self._finish(awakened)
            return code

    def _keep_alive(self, awakened: int) -> int:
        watches = [_Watch(child) for child in (*self._companions, *self._workers)]
        while not self._stop_signals:
            for watch in watches:
                if not self._look_after(watch):
                    return 1
            plans = [watch.due for watch in watches if watch.due is not None]
            _sleep(awakened, min(plans, default=float("inf")))
        return 0

    def _look_after(self, watch: _Watch) -> bool:
        """Notice a death, or start again what is due; return whether to go on."""
        child = watch.child
        if watch.due is not None:
            if watch.due <= time.monotonic():
                watch.restart()
            return True
        code = child.exit_code()
        if code is None:
            return True
        if code == UNUSABLE:
            return False
        said = {"reason": child.last_words} if child.last_words else {}
        _log.error(f"{child.name}.died", pid=child.pid, exit_code=code, **said)
        watch.plan_restart()
        if watch.early_deaths < _EARLY_DEATHS or child in self._companions:
            return True
        _log.error(f"{child.name}.hopeless", deaths=_EARLY_DEATHS)
        return False

    def _finish(self, awakened: int) -> None:
        self._lifeline.finish()
        self._on_stop()
        deadline = time.monotonic() + self._finish_seconds
        while any(worker.exit_code() is None for worker in self._workers if worker.pid):
            if self._stop_signals > 1 or time.monotonic() >= deadline:
                for worker in self._workers:
                    worker.kill()
            _sleep(awakened, deadline)

    @contextlib.contextmanager
    def _woken_by_signals(self) -> Iterator[int]:
        awakened, waker = os.pipe()
        os.set_blocking(awakened, False)
        os.set_blocking(waker, False)
        before = {
            signal.SIGCHLD: signal.signal(signal.SIGCHLD, _do_nothing),
            signal.SIGINT: signal.signal(signal.SIGINT, self._count_stop),
            signal.SIGTERM: signal.signal(signal.SIGTERM, self._count_stop),
        }
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        try:
            yield awakened
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(awakened)
            os.close(waker)

    def _count_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stop_signals += 1


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGCHLD: it has to be handled for the wake-up to be written."""


def _sleep(awakened: int, until: float) -> None:
    """Sleep until a signal comes or the time has come."""
    seconds = min(max(until - time.monotonic(), 0.0), _LONGEST_SLEEP_SECONDS)
    if select.select([awakened], [], [], seconds)[0]:
        with contextlib.suppress(BlockingIOError):
            os.read(awakened, 4096)
