"""The Dockerfile, read as far as tests ask."""

from __future__ import annotations

import json
import re
from typing import Final, NamedTuple

from tests.process.program import ROOT

_COMMAND: Final = re.compile(r"CMD (\[.*\])$")


class Instruction(NamedTuple):
    """One instruction, on one line."""

    verb: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its arguments, or its command in exec form."""
        return list(json.loads(self.text)) if self.text.startswith("[") else self.text.split()


class Stage(NamedTuple):
    """One stage of the build."""

    name: str
    base: str
    instructions: list[Instruction]

    def all(self, verb: str) -> list[Instruction]:
        """Return its instructions of a kind."""
        return [each for each in self.instructions if each.verb == verb]


def arguments() -> dict[str, str]:
    """Return the build arguments of the whole file, with their defaults."""
    head = [each for each in _instructions() if each.verb in {"ARG", "FROM"}]
    first_stage = [each.verb for each in head].index("FROM")
    return dict(each.text.split("=", 1) for each in head[:first_stage])


def stages() -> dict[str, Stage]:
    """Return the stages by name, in their order."""
    found: dict[str, Stage] = {}
    for each in _instructions():
        if each.verb == "FROM":
            base, _, name = each.words
            found[name] = Stage(name, base, [])
        elif found:
            [*found.values()][-1].instructions.append(each)
    return found


def lineage(name: str) -> list[Stage]:
    """Return a stage and those that it is built on, as far as they are in this file."""
    all_stages = stages()
    line = [all_stages[name]]
    while line[-1].base in all_stages:
        line.append(all_stages[line[-1].base])
    return line


def health_command(name: str) -> list[str]:
    """Return the command of a stage's health check, which is in exec form."""
    [check] = stages()[name].all("HEALTHCHECK")
    found = _COMMAND.search(check.text)
    assert found, check
    return list(json.loads(found[1]))


def _instructions() -> list[Instruction]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [Instruction(*line.split(" ", 1)) for line in lines if line]
