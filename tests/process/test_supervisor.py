import subprocess
import sys

from tests.process.program import PATIENCE_SECONDS, ROOT

SCRIPT = """
from service.process.supervisor import Lifeline, Supervisor, Worker

lifeline = Lifeline()
worker = Worker(lifeline, lambda: {code})
supervisor = Supervisor(
    [worker], [], lifeline=lifeline, finish_seconds=1.0, on_stop=lambda: print("refusing")
)
raise SystemExit(supervisor.run())
"""

WITH_COMPANION = """
import os
import signal
import subprocess
from service.process import supervisor

class Companion:
    name = "companion"
    pid = 1
    last_words = "there is no room"
    spawns = 0
    process = subprocess.Popen("false")

    def spawn(self):
        self.spawns += 1
        if self.spawns == 2:
            raise OSError("there is no process to spare")
        if self.spawns == 8:
            os.kill(os.getpid(), signal.SIGTERM)
        self.process = subprocess.Popen("false")

    def exit_code(self):
        return self.process.poll()

supervisor._FIRST_PAUSE_SECONDS = 0.001
lifeline = supervisor.Lifeline()
worker = supervisor.Worker(lifeline, lambda: len(lifeline.watched.recv(1)) - 1)
raise SystemExit(
    supervisor.Supervisor(
        [worker], [Companion()], lifeline=lifeline, finish_seconds=60.0, on_stop=lambda: None
    ).run()
)
"""


def supervise(code: str) -> subprocess.CompletedProcess[str]:
    """Supervise a worker that evaluates this code, until the supervisor gives up."""
    return run(SCRIPT.format(code=code))


def run(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        timeout=PATIENCE_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_gives_up_on_workers_that_die_at_once_again_and_again() -> None:
    """A worker that always fails is started a few times, then the program fails."""
    ended = supervise("1 // 0")

    assert ended.returncode == 1
    assert ended.stdout.count("worker.died") == 5
    assert ended.stdout.count("ZeroDivisionError") == 5
    assert "worker.hopeless" in ended.stdout
    assert ended.stdout.endswith("refusing\n")


def test_it_gives_up_at_once_on_a_worker_that_no_restart_helps() -> None:
    """A worker that found Redis unusable has said so, and is not started again."""
    ended = supervise("78")

    assert ended.returncode == 1
    assert ended.stdout == "refusing\n"


def test_it_never_gives_up_on_what_runs_beside_the_workers() -> None:
    """A companion is started again however often it dies, or cannot be started, at once."""
    ended = run(WITH_COMPANION)

    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.count("companion.died") > 5
    assert "there is no process to spare" in ended.stdout
    assert "there is no room" in ended.stdout
    assert "companion.hopeless" not in ended.stdout
