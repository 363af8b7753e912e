"""The dashboard in a real browser, over the real service."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from service.http.access import Token, Tokens
from tests.browser.conftest import PATIENCE_MILLISECONDS, Watch
from tests.browser.stage import SELLER, SPIN, YOGA, Stage
from tests.servers import RedisServer, valkey_binary

pytestmark = pytest.mark.asyncio(loop_scope="session")
expect.set_options(timeout=PATIENCE_MILLISECONDS)

PHONES = [{"viewport": {"width": width, "height": 800}, "is_mobile": True} for width in (320, 390)]
NO_POLLING = """
const wait = window.setTimeout;
window.setTimeout = (task, milliseconds) => milliseconds < 1900 ? wait(task, milliseconds) : 0;
"""
OTHER_SELLER = "https://courts.example.org/sellers/old-mill"
COURT = "https://courts.example.org/badminton/court-1"
NASTY = "<img src=x onerror=alert(1)>\"'`${1}</table><script>alert(2)</script>&amp;#seller=x"


def opportunity_row(page: Page, name: str) -> Locator:
    """Return the row of an Opportunity in a list."""
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


async def expect_spaces(page: Page, name: str, *numbers: int) -> None:
    """Wait until an Opportunity is booked, named, proposal, anonymous and free so many times."""
    cells = opportunity_row(page, name).locator("td.number")
    await expect(cells).to_have_text([str(number) for number in numbers])


async def fits(page: Page) -> bool:
    """Tell whether nothing sticks out at the side."""
    wide: bool = await page.evaluate(
        "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    )
    return wide


async def test_sellers_and_their_opportunities_are_shown_with_their_spaces(
    page: Page, stage: Stage
) -> None:
    """Each Seller has its Opportunities, with numbers and a bar that say where the spaces are."""
    await stage.register(20, YOGA)
    await stage.register(10, SPIN)
    await stage.register(1, COURT, seller=OTHER_SELLER, kind="Slot")
    await stage.order("B", 1, 4)
    await stage.order("C1", 2, 3)
    await stage.order("C2", 3, 2)
    await stage.propose(4, 1)
    await page.goto(f"{stage.url}/dashboard")
    await expect(page.get_by_role("heading", level=2)).to_contain_text(
        ["courts.example.org/sellers/old-mill", "leisure.example.com/sellers/riverside"]
    )
    await expect_spaces(page, "classes/sunrise-yoga", 4, 2, 1, 3, 10)
    await expect_spaces(page, "classes/spin-45", 0, 0, 0, 0, 10)
    await expect_spaces(page, "badminton/court-1", 0, 0, 0, 0, 1)
    bar = opportunity_row(page, "classes/sunrise-yoga").get_by_role("img")
    await expect(bar).to_have_accessible_name(
        "20 spaces: 4 booked, 2 named, 1 proposal, 3 anonymous, 10 free"
    )
    widths = await bar.locator(".segment").evaluate_all(
        "parts => parts.map((part) => part.getBoundingClientRect().width)"
    )
    assert widths[0] == pytest.approx(4 * widths[2], rel=0.2)
    assert widths[4] == pytest.approx(10 * widths[2], rel=0.2)


async def test_spaces_out_of_reach_are_told_apart(page: Page, stage: Stage) -> None:
    """Rule 28: what a pool has no more of is not shown as free, and the bar says why."""
    pool = "https://leisure.example.com/pools/lifeguards"
    await stage.register(3, pool, kind="CapacityPool")
    await stage.register(10, pools=[pool])
    await page.goto(f"{stage.url}/dashboard")
    await expect_spaces(page, "classes/sunrise-yoga", 0, 0, 0, 0, 3)
    bar = opportunity_row(page, "classes/sunrise-yoga").get_by_role("img")
    await expect(bar).to_have_accessible_name(
        "10 spaces: 3 free, 7 out of reach, since a pool has no more"
    )


async def test_what_changes_shows_up_by_itself(page: Page, stage: Stage) -> None:
    """What other calls change is shown because an event told of it, not by asking again."""
    await page.add_init_script(NO_POLLING)
    await stage.register(10)
    await page.goto(f"{stage.url}/dashboard")
    await expect(page.get_by_role("status").first).to_have_text("Live")
    await expect_spaces(page, "classes/sunrise-yoga", 0, 0, 0, 0, 10)
    await stage.order("C1", 1, 3)
    await expect_spaces(page, "classes/sunrise-yoga", 0, 0, 0, 3, 7)
    await stage.order("B", 1, 3)
    await expect_spaces(page, "classes/sunrise-yoga", 3, 0, 0, 0, 7)
    await stage.register(5, SPIN)
    await expect_spaces(page, "classes/spin-45", 0, 0, 0, 0, 5)


async def test_a_countdown_runs_and_its_lease_leaves_when_it_lapses(
    page: Page, make_stage: Callable[..., Awaitable[Stage]]
) -> None:
    """A live lease counts down by the service's clock; at its end the spaces are free again."""
    stage = await make_stage(anonymous_seconds=4)
    await stage.register(10)
    await page.goto(f"{stage.url}/dashboard#seller={SELLER}&id={YOGA}")
    await expect(page.get_by_text("Nobody holds a space")).to_be_visible()
    await stage.order("C1", 1, 2)
    countdown = page.get_by_role("table").locator("time")
    await expect(countdown).to_have_text("0:03")
    await expect(countdown).to_have_text("0:02")
    await expect(page.get_by_text("Nobody holds a space")).to_be_visible()
    await expect(page.locator(".tile", has_text="Free")).to_contain_text("10")


async def test_a_countdown_goes_by_the_clock_of_the_service(page: Page, stage: Stage) -> None:
    """A browser whose clock is wrong shows the right time to go."""
    await stage.register(10)
    await stage.order("C2", 1, 2)
    await page.clock.set_system_time("2020-02-02T02:02:02Z")
    await page.goto(f"{stage.url}/dashboard#seller={SELLER}&id={YOGA}")
    await expect(page.get_by_role("table").locator("time")).to_have_text(re.compile(r"1[45]:\d\d"))


async def test_what_lapses_next_and_the_conflicts_are_beside_the_lists(
    page: Page, stage: Stage
) -> None:
    """The leases that lapse next are listed, and refused OrderItems are counted by the minute."""
    await stage.register(5)
    await stage.order("C1", 1, 4)
    await page.goto(f"{stage.url}/dashboard")
    lapsing = page.get_by_role("region", name="Lapsing next")
    await expect(lapsing.get_by_role("listitem")).to_contain_text("classes/sunrise-yoga")
    await expect(lapsing.get_by_role("listitem")).to_contain_text("4 spaces")
    assert await stage.order("C1", 2, 3) == 409
    conflicts = page.get_by_role("region", name="Conflicts per minute")
    await expect(conflicts).to_contain_text("2 OrderItems were refused in the last hour")


async def test_search_narrows_the_lists(page: Page, stage: Stage) -> None:
    """Search finds Opportunities by a part of their id, and says when it finds none."""
    await stage.register(10, YOGA)
    await stage.register(10, SPIN)
    await page.goto(f"{stage.url}/dashboard")
    box = page.get_by_role("searchbox")
    await box.fill("SPIN")
    await expect(page.get_by_role("rowheader")).to_have_count(1)
    await expect(opportunity_row(page, "classes/spin-45")).to_be_visible()
    await box.fill("nowhere")
    await expect(page.get_by_text("No id contains «nowhere».")).to_be_visible()
    await page.get_by_role("link", name="Show all").click()
    await expect(page.get_by_role("rowheader")).to_have_count(2)
    await expect(box).to_have_value("")


async def test_an_opportunity_has_a_page_to_bookmark(page: Page, stage: Stage) -> None:
    """An Opportunity's page lists its leases, has an address of its own, and back leads back."""
    await stage.register(10)
    await stage.order("C1", 7, 2)
    await stage.order("C2", 8, 1)
    await page.goto(f"{stage.url}/dashboard")
    await page.get_by_role("link", name="classes/sunrise-yoga").first.click()
    rows = page.get_by_role("table", name="Live leases").locator("tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("Anonymous")
    await expect(rows.first).to_contain_text("00000000-0000-0000-0000-000000000007")
    await expect(rows.last).to_contain_text("Named")
    await page.reload()
    await expect(rows).to_have_count(2)
    await page.go_back()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sellers")


async def test_an_unknown_opportunity_says_what_to_do(
    page: Page, stage: Stage, watch: Watch
) -> None:
    """The page of an Opportunity that is not registered says so, and leads to all Sellers."""
    watch.expect("404")
    await page.goto(f"{stage.url}/dashboard#seller={SELLER}&id={YOGA}")
    await expect(page.get_by_role("alert")).to_contain_text("is not registered")
    await page.get_by_role("link", name="Show all Sellers").click()
    await expect(page.get_by_text("No Opportunity is registered yet")).to_be_visible()


async def test_the_page_works_without_a_mouse(page: Page, stage: Stage) -> None:
    """By keyboard alone one skips to the content, searches, opens an Opportunity and goes back."""
    await stage.register(10, YOGA)
    await stage.register(10, SPIN)
    await page.goto(f"{stage.url}/dashboard")
    await expect(page.get_by_role("rowheader")).to_have_count(2)
    keyboard = page.keyboard
    await keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.get_by_role("main")).to_be_focused()
    await keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await keyboard.type("spin")
    await keyboard.press("Enter")
    await expect(page.get_by_role("rowheader")).to_have_count(1)
    link = page.get_by_role("rowheader").get_by_role("link")
    for _ in range(10):
        await keyboard.press("Tab")
        if await link.evaluate("link => link === document.activeElement"):
            break
    await expect(link).to_be_focused()
    assert await link.evaluate("link => getComputedStyle(link).outlineStyle") != "none"
    await keyboard.press("Enter")
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_contain_text("classes/spin-45")
    await expect(heading).to_be_focused()
    await page.go_back()
    await expect(page.get_by_role("rowheader")).to_have_count(1)


async def test_focus_stays_where_it_is_while_the_page_is_live(page: Page, stage: Stage) -> None:
    """A change of the numbers takes nobody's place on the page away."""
    await stage.register(10)
    await page.goto(f"{stage.url}/dashboard")
    link = page.get_by_role("rowheader").get_by_role("link")
    await link.focus()
    await stage.order("C1", 1, 3)
    await expect_spaces(page, "classes/sunrise-yoga", 0, 0, 0, 3, 7)
    await expect(link).to_be_focused()


@pytest.mark.parametrize("context", PHONES, indirect=True, ids=["320", "390"])
async def test_the_page_fits_a_phone(page: Page, stage: Stage) -> None:
    """On a narrow screen nothing sticks out at the side, however long the ids are."""
    long_id = f"https://example.com/{'x' * 1500}"
    await stage.register(1_000_000, long_id, seller=f"https://example.com/{'y' * 300}")
    await stage.register(10)
    await stage.order("C2", 1, 2)
    await page.goto(f"{stage.url}/dashboard")
    await expect_spaces(page, "classes/sunrise-yoga", 0, 2, 0, 0, 8)
    assert await fits(page)
    await page.goto(f"{stage.url}/dashboard#seller={SELLER}&id={YOGA}")
    await expect(page.get_by_role("table", name="Live leases").get_by_role("row")).to_have_count(2)
    assert await fits(page)


async def test_ids_are_shown_as_text(page: Page, stage: Stage) -> None:
    """Whatever an id is made of, it is text on every page, and its links lead to it."""
    await stage.register(10, NASTY, seller=NASTY)
    await stage.order("C1", 1, 2, NASTY, seller=NASTY)
    await page.goto(f"{stage.url}/dashboard")
    link = page.get_by_role("rowheader").get_by_role("link", name=NASTY, exact=True)
    await expect(link).to_have_text(NASTY)
    await expect(page.get_by_role("heading", level=2).first).to_have_text(NASTY)
    await link.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(NASTY)
    await expect(page.get_by_role("table", name="Live leases").get_by_role("row")).to_have_count(2)
    await page.get_by_role("navigation").get_by_role("link", name=NASTY, exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(NASTY)
    await page.get_by_role("searchbox").fill(NASTY)
    await expect(page.get_by_text(f"1 Opportunity with «{NASTY}»", exact=True)).to_be_visible()


async def test_the_page_lets_no_foreign_script_or_style_in(
    page: Page, stage: Stage, watch: Watch
) -> None:
    """The content security policy stops inline scripts, inline styles and markup from text."""
    watch.expect("Content Security Policy", "Trusted")
    await page.goto(f"{stage.url}/dashboard")
    await expect(page.get_by_text("No Opportunity is registered yet")).to_be_visible()
    stopped = await page.evaluate(
        """async () => {
          const stopped = new Set();
          const violation = "securitypolicyviolation";
          addEventListener(violation, (event) => stopped.add(event.effectiveDirective));
          const script = document.createElement("script");
          script.append("window.intruder = true");
          document.body.append(script);
          document.body.setAttribute("style", "color: red");
          try { document.body.innerHTML = "<p>"; } catch { stopped.add("innerHTML"); }
          await fetch("https://example.com/").catch(() => {});
          while (stopped.size < 4) await new Promise((resolve) => setTimeout(resolve, 20));
          return [[...stopped], window.intruder ?? null];
        }"""
    )
    assert stopped[1] is None
    assert {"style-src-attr", "innerHTML", "connect-src"} < set(stopped[0])


async def test_a_service_with_tokens_asks_for_one(
    page: Page, make_stage: Callable[..., Awaitable[Stage]], watch: Watch
) -> None:
    """Where tokens are set the page asks for one, keeps it in the tab, and can forget it."""
    watch.expect("401", "403")
    digest = hashlib.sha256(b"for-the-wall").hexdigest()
    stage = await make_stage(tokens=Tokens([Token("wall", "read", digest)]))
    await page.goto(f"{stage.url}/dashboard")
    field = page.get_by_label("Token of scope read")
    await expect(field).to_be_focused()
    await field.fill("wrong")
    await field.press("Enter")
    await expect(page.get_by_text("This API token is not known here.")).to_be_visible()
    await field.fill("for-the-wall")
    await page.get_by_role("button", name="Show the dashboard").click()
    await expect(page.get_by_text("No Opportunity is registered yet")).to_be_visible()
    await expect(page.get_by_role("status").first).to_have_text("Live")
    await page.reload()
    await expect(page.get_by_text("No Opportunity is registered yet")).to_be_visible()
    await page.get_by_role("button", name="Forget the token").click()
    await expect(field).to_be_focused()


async def test_the_page_tells_of_an_outage_and_recovers(
    page: Page, short_folder: Path, watch: Watch
) -> None:
    """While Redis is away the page says so and keeps what it knew; afterwards it goes on."""
    watch.expect("503")
    with RedisServer(valkey_binary(), short_folder, appendonly="yes") as server:
        async with Stage(server.url) as stage:
            await stage.register(10)
            await page.goto(f"{stage.url}/dashboard")
            await expect_spaces(page, "classes/sunrise-yoga", 0, 0, 0, 0, 10)
            server.stop()
            await expect(page.get_by_role("alert")).to_contain_text("Redis is out of reach")
            await expect_spaces(page, "classes/sunrise-yoga", 0, 0, 0, 0, 10)
            server.start()
            await expect(page.get_by_role("alert")).to_be_hidden()
            await stage.order("C1", 1, 3)
            await expect_spaces(page, "classes/sunrise-yoga", 0, 0, 0, 3, 7)


@pytest.mark.parametrize("context", [{"reduced_motion": "reduce"}], indirect=True, ids=["reduced"])
async def test_nothing_moves_for_those_who_ask_for_that(page: Page, stage: Stage) -> None:
    """With reduced motion the bars jump to their length."""
    await stage.register(10)
    await page.goto(f"{stage.url}/dashboard")
    segment = page.locator(".segment").first
    assert await segment.evaluate("part => getComputedStyle(part).transitionDuration") == "0s"
