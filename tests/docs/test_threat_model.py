import re

import pytest

from tests.docs.test_protocol import docstrings
from tests.process.program import ROOT

MODEL = (ROOT / "docs" / "threat-model.md").read_text()

_PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_ROW = re.compile(r"^\| (?!could|-)(.+?) \| (.+) \|$", re.MULTILINE)

ROWS = _ROW.findall(MODEL)


@pytest.mark.parametrize("proof", sorted(set(_PROOF.findall(MODEL))), ids="::".join)
def test_every_proof_exists(proof: tuple[str, str]) -> None:
    """A test that the threat model names is there."""
    path, name = proof
    assert name in docstrings(path)


@pytest.mark.parametrize(("threat", "answer"), ROWS, ids=[threat[:40] for threat, _ in ROWS])
def test_every_threat_has_an_answer(threat: str, answer: str) -> None:
    """What somebody could do is stopped by something tested, or is the operator's to stop."""
    assert _PROOF.search(answer) or "**operator:**" in answer or answer.startswith("Nothing")


def test_the_rows_are_read() -> None:
    """There are tables to judge."""
    assert len(ROWS) > 30
