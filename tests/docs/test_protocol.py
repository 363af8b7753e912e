import ast
import re
from functools import cache

import pytest

from tests.process.program import ROOT

PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
PROMISED = {*range(1, 29)}

_RULE = re.compile(r"^### (\d+)\. .+?(?=^##|\Z)", re.MULTILINE | re.DOTALL)
_PROOF = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_NAMED = re.compile(r"\b[Rr]ules? (\d+(?:(?:–|, | and )\d+)*)")

SECTIONS = {int(found[1]): found[0] for found in _RULE.finditer(PROTOCOL)}
PROOFS = sorted(set(_PROOF.findall(PROTOCOL)))


@cache
def docstrings(path: str) -> dict[str, str]:
    """Return the docstring of every test in a file."""
    tree = ast.parse((ROOT / path).read_bytes())
    return {
        node.name: ast.get_docstring(node) or ""
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def rules_in(text: str) -> set[int]:
    """Return the rules that a docstring names: «Rule 3», «rules 2, 3 and 8», «Rules 9–12»."""
    rules = set[int]()
    for named in _NAMED.findall(text):
        for part in re.split(r", | and ", named):
            first, _, last = part.partition("–")
            rules.update(range(int(first), int(last or first) + 1))
    return rules


def test_every_rule_is_promised_once_and_in_order() -> None:
    """The document has a section for each rule of this version, in order of their numbers."""
    numbers = [int(found[1]) for found in _RULE.finditer(PROTOCOL)]
    assert numbers == sorted(set(numbers))
    assert set(numbers) >= PROMISED


@pytest.mark.parametrize("proof", PROOFS, ids="::".join)
def test_every_proof_exists(proof: tuple[str, str]) -> None:
    """A test that the document names is there."""
    path, name = proof
    assert name in docstrings(path)


@pytest.mark.parametrize("rule", SECTIONS)
def test_every_rule_is_proved(rule: int) -> None:
    """Of the tests that a rule's section names, at least one says that it is about this rule."""
    proofs = _PROOF.findall(SECTIONS[rule])
    assert any(rule in rules_in(docstrings(path)[name]) for path, name in proofs)


def test_rules_are_read_from_docstrings() -> None:
    """Single rules, lists and ranges are understood."""
    assert rules_in("Rule 3: so. And (rules 2, 6 and 8), Rules 9–12.") == {
        2,
        3,
        6,
        8,
        *range(9, 13),
    }
    assert rules_in("A ruler of 30 cm.") == set()
