import subprocess
import sys

from tests.process.program import PATIENCE_SECONDS, ROOT

SCRIPT = """
from service.supervisor import Lifeline, Supervisor, Worker

lifeline = Lifeline()
worker = Worker(lifeline, lambda: {code})
supervisor = Supervisor(
    [worker], [], lifeline=lifeline, finish_seconds=1.0, on_stop=lambda: print("refusing")
)
raise SystemExit(supervisor.run())
"""


def supervise(code: str) -> subprocess.CompletedProcess[str]:
    """Supervise a worker that evaluates this code, until the supervisor gives up."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(code=code)],
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
