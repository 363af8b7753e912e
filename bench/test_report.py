from pathlib import Path

import pytest

from bench import half_load, instructions, page
from bench.comparison import at_random, benchmark_load, through_webdis
from bench.direct import words_of
from bench.growth import Compared
from bench.half_load import Latency
from bench.open_loop import percentile
from bench.picture import bars, lines
from bench.recorded import Recorded
from bench.report import Findings, Goal, Table, figure, ratio
from bench.traffic import Template, c1, uuid
from bench.wrk import Load, LoadError, median, parsed


def test_wrk_is_understood():
    """The line that wrk.lua prints becomes a rate and latencies."""
    load = parsed("Running 2s test\nresult 20000 2000000 0 0 6400 12800\n")
    assert load == Load(20_000, 2.0, 6.4, 12.8)
    assert load.rate == 10_000
    assert load.microseconds == 100


@pytest.mark.parametrize(
    "output", ["", "result 10 1000 1 0 5 6\n", "result 10 1000 0 2 5 6\n", "result 0 9 0 0 0 0\n"]
)
def test_a_load_that_was_not_answered_counts_as_nothing(output):
    """One refused or lost request spoils a measurement, and so does none at all."""
    with pytest.raises(LoadError):
        parsed(output)


def test_redis_benchmark_is_understood():
    """The last line of its CSV becomes a rate and latencies, whatever the command contains."""
    head = '"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms"'
    line = '"EVALSHA a,b c","50000.00","1.1","0.1","0.9","1.5","2.5","4.0"'
    load = benchmark_load(f"{head}\n{line}\n")
    assert (load.rate, load.p50_ms, load.p99_ms) == (50_000, 0.9, 2.5)
    with pytest.raises(LoadError):
        benchmark_load("Error from server: NOSCRIPT")


def test_medians_are_taken_of_each_figure():
    """Of several rounds the median rate counts, and the median of each latency."""
    loads = [Load(300, 1, 3.0, 30.0), Load(100, 1, 1.0, 50.0), Load(200, 1, 2.0, 40.0)]
    assert median(loads) == Load(200, 1, 2.0, 40.0)


def test_every_round_of_half_load_has_its_own_ratio():
    """The median of p99 by p50 is that of the rounds, not that of their medians."""
    rounds = [Latency(9, 1.0, 6.0, 6.0), Latency(9, 2.0, 4.0, 2.0), Latency(9, 4.0, 12.0, 3.0)]
    assert half_load.median(rounds) == Latency(9, 2.0, 6.0, 3.0)


def test_what_has_grown_is_compared_turn_by_turn():
    """A machine that was busy in one turn makes no ratio, and half of all go from low to high."""
    many, few = [22.0, 120.0, 24.0, 26.0, 18.0], [20.0, 100.0, 20.0, 20.0, 20.0]
    assert Compared.by_turns(many, few) == Compared(24.0, 20.0, 1.2, (1.1, 1.2))


def test_a_percentile_is_a_value_that_was_measured():
    """The nearest rank: 99 of 100 values do not exceed p99."""
    assert percentile(range(1, 101), 99) == 99
    assert percentile(range(1, 101), 50) == 50
    assert percentile([7.0], 99) == 7.0
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)


def test_a_template_is_always_equally_long():
    """Whoever fills a request, its Content-Length is right."""
    request = c1(items=3)
    head, _, body = request.fill(12_345_678, 9_999_999).partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert uuid(12_345_678).encode() in head
    assert body.count(b"9999999") == 6
    assert len(Template("@hex15@|@ref@")) == 32


def test_a_command_that_was_watched_is_understood():
    """A line of MONITOR becomes words again; what a script ran is left out."""
    line = r'+1.5 [0 unix:/a b] "EVALSHA" "" "a \"b\"" "\x41\\\n"'
    assert words_of(line) == ["EVALSHA", "", 'a "b"', "A\\\n"]
    assert words_of('+1.5 [0 lua] "GET" "a"') == []


def test_a_script_call_is_made_through_others():
    """For webdis slashes part the words; redis-benchmark chooses the digits itself."""
    call = Recorded(["EVALSHA", "a/b.c", "x|@uuid@", "@ref@", "w@order@"])
    request = through_webdis(call).fill(1).decode()
    assert "EVALSHA/a%2Fb%2ec/x%7C00000001-" not in request
    assert f"EVALSHA/a%2Fb%2ec/x%7C{uuid(1)}/" in request
    assert at_random("x|@uuid@") == "x|00000000-0000-4000-8000-__rand_int__"
    assert at_random("w@order@") == "w0000__rand_int__"


def test_callgrind_is_understood():
    """The total of a dump is read."""
    assert instructions.total("events: Ir\nfn=1\n1 5\n\ntotals: 12345\n") == 12_345


def test_a_goal_is_met_or_not():
    """The table says goal and result; what was not measured is not met."""
    assert Goal.at_least("a", 20, 20.0).met
    assert not Goal.at_least("a", 20, 19.9).met
    assert Goal.at_most("a", 3, 3.0).met
    assert not Goal.at_most("a", 3, None).met
    text = Findings("h", goals=[Goal.at_most("a", 3, 4.0)], missing=["wrk"]).markdown()
    assert "| a | ≤ 3 | 4.00 | **not met** |" in text
    assert "Not measured: wrk" in text


def test_ratios_are_only_of_what_was_measured():
    """A peer that is missing gives no ratio."""
    assert ratio(6.0, 3.0) == 2.0
    assert ratio(6.0, None) is None
    assert ratio(None, 3.0) is None
    assert [figure(number) for number in (1234.5, 12.34, 1.234)] == ["1,234", "12.3", "1.23"]


def test_the_latest_run_of_a_section_is_kept_whole():
    """A new run takes the place of the one before, of which a line stays; all else is kept."""
    text = page.updated("# Benchmarks\n\nHow to.\n", "A", "Growth", "2026-01-01, one: 5.", "| x |")
    text = page.updated(text, "A", "Peers", "2026-01-02, two: 6.", "body of two")
    text = page.updated(text, "B", "Growth", "2026-01-03, three: 7.", "body of three")
    text = page.updated(text, "A", "Growth", "2026-01-04, four: 8.", "body of four")
    text = page.updated(text, "A", "Growth", "2026-01-05, five: 9.", "body of five")
    assert text.startswith("# Benchmarks\n\nHow to.\n\n## Measured on A\n\n### ")
    assert "body of four" not in text
    for once in ("body of two", "body of three", "body of five", "four: 8.", "one: 5."):
        assert text.count(once) == 1
    assert text.index("- Growth, 2026-01-04, four: 8.") < text.index("- Growth, 2026-01-01, one")
    assert text.index("### Earlier runs") < text.index("## Measured on B")


def test_pictures_are_drawn(tmp_path: Path):
    """Curves and bars become files of the name that the page links to."""
    curves = {"over HTTP": [(1.0, 2.0), (10.0, 3.0)]}
    assert lines(tmp_path / "a.png", "Title", "across", "up", curves) == "a.png"
    assert bars(tmp_path / "b.png", "Title", "across", {"ours": 5.0, "a peer": 1.0}, "our") == (
        "b.png"
    )
    assert all((tmp_path / name).stat().st_size > 5_000 for name in ("a.png", "b.png"))


def test_a_table_is_markdown():
    """Numbers stand to the right of what they are about."""
    text = Table("T", "How.", ("what", "bytes"), [("a lease", "400")]).markdown()
    assert text == "#### T\n\nHow.\n\n| what | bytes |\n| --- | ---: |\n| a lease | 400 |\n"
