"""How command lines are read: options are written out, and a mistake is one line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn


class ArgumentParser(argparse.ArgumentParser):
    """A command line that guesses no option from its beginning; its commands' are of this kind."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as argparse has them
        """Make an empty one.

        Args:
            settings: As for `argparse.ArgumentParser`.

        """
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """End the program with one line, and the exit code 2; `--help` shows the usage."""
        self.exit(2, f"{self.prog}: {' '.join(message.splitlines())}\n")
