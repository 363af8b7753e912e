"""The header of every Lua script, its local names and its Python signature say the same."""

import re

import pytest

from service.ledger.scripts import SIGNATURES, lua_folder, source_of

_HEADER = re.compile(
    r"--\[\[\n(?P<verb>\w+): (?P<what>.+?)\n\n"
    r"USES (?P<uses>[a-z, ]+)\nKEYS\n(?P<keys>.*?)ARGV\n(?P<arguments>.*?)"
    r"REPLY\n(?P<reply>.*?)RETRY\n(?P<retry>.*?)\]\]\n(?P<body>.*)",
    re.DOTALL,
)
_FIXED = re.compile(r"^  \[(\d+)\] (\w+)", re.MULTILINE)
_BINDING = re.compile(r"^local ([\w, ]+) = (.*(?:KEYS|ARGV)\[\d.*)$", re.MULTILINE)
_SUBSCRIPT = re.compile(r"(KEYS|ARGV)\[(\d+)\]")
_COMMENT = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
_UNITS = re.compile(r"seconds|spaces|text|code|flag|count|version|hash|zset|string")

VERBS = sorted(SIGNATURES)


def _header(verb: str) -> re.Match[str]:
    source = (lua_folder() / f"{verb}.lua").read_text(encoding="utf-8")
    match = _HEADER.match(source)
    assert match, f"{verb}.lua has no header with KEYS, ARGV, REPLY and RETRY"
    return match


def _numbered(section: str) -> list[str]:
    """Return the names of the fixed entries of a section, and check that they count from 1."""
    entries = [(int(number), name) for number, name in _FIXED.findall(section)]
    assert [number for number, _ in entries] == list(range(1, len(entries) + 1))
    return [name for _, name in entries]


def _bound(body: str) -> dict[str, list[str]]:
    """Return the local names that a script binds to KEYS and ARGV, in order."""
    bound: dict[str, list[str]] = {"KEYS": [], "ARGV": []}
    for names, values in _BINDING.findall(body):
        sources = _SUBSCRIPT.findall(values)
        for name, (table, number) in zip(names.split(", "), sources, strict=True):
            assert int(number) == len(bound[table]) + 1, f"{name} is bound out of order"
            bound[table].append(name)
    return bound


def test_every_script_has_a_signature():
    """Every verb in lua/ has a typed signature in Python, and the other way round."""
    files = {path.stem for path in lua_folder().glob("*.lua")}
    assert files == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_header_names_the_verb(verb):
    """The header begins with the verb that the file is named after."""
    assert _header(verb)["verb"].lower() == verb


@pytest.mark.parametrize("verb", VERBS)
def test_header_matches_the_python_signature(verb):
    """KEYS and ARGV of the header are the fields of the Python signature, in order."""
    header = _header(verb)
    keys, arguments = (half._fields for half in SIGNATURES[verb])
    assert _numbered(header["keys"]) == list(keys)
    assert _numbered(header["arguments"]) == list(arguments)


@pytest.mark.parametrize("verb", VERBS)
def test_header_matches_the_local_names(verb):
    """A script binds every fixed KEYS and ARGV entry of its header to a local of that name."""
    header = _header(verb)
    bound = _bound(header["body"])
    keys = [f"{name}_key" for name in _numbered(header["keys"])]
    assert bound["KEYS"] == keys
    assert bound["ARGV"] == _numbered(header["arguments"])


@pytest.mark.parametrize("verb", VERBS)
def test_header_gives_every_entry_its_unit_and_the_script_its_retry(verb):
    """Every entry has a unit or a Redis type, and RETRY says why a second run does no harm."""
    header = _header(verb)
    for line in (header["keys"] + header["arguments"]).splitlines():
        assert not line.startswith("  [") or _UNITS.search(line) or "pair" in line, line
    assert len(header["retry"].split()) >= 4


def test_no_script_touches_what_it_was_not_given():
    """No script scans, builds a key, or uses what fakeredis and Redis Cluster do not have."""
    for path in lua_folder().rglob("*.lua"):
        code = _COMMENT.sub("", path.read_text(encoding="utf-8"))
        for word in ("SCAN", "'KEYS'", "cmsgpack", "struct.", "bit.", "#!lua", "'EVAL"):
            assert word not in code, f"{path.name} uses {word}"
        assert not re.search(r"call\(\s*'\w+',\s*'", code), f"{path.name} names a key itself"


@pytest.mark.parametrize("verb", VERBS)
def test_a_script_uses_all_that_it_names(verb):
    """Every shared part in a script's USES line defines something that the whole script calls."""
    text = source_of(verb)
    for part in _header(verb)["uses"].split(", "):
        shared = (lua_folder() / "shared" / f"{part}.lua").read_text(encoding="utf-8")
        names = re.findall(r"^local function (\w+)", shared, re.MULTILINE)
        rest = text.replace(shared, "")
        assert any(f"{name}(" in rest for name in names), part
