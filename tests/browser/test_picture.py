"""The picture of the dashboard that the README shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.scene import AQUA, RIVERSIDE, SPIN, play
from tests.browser.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIGHT = {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 1.5}
VIEWS = {
    "light": SIGHT,
    "dark": SIGHT | {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True},
}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(("context", "name"), [(VIEWS[n], n) for n in VIEWS], indirect=["context"])
async def test_a_picture_can_be_taken(page: Page, stage: Stage, name: str, tmp_path: Path) -> None:
    """The dashboard of a busy evening can be shown; UPDATE_PICTURES=1 renews the README's."""
    await play(stage)
    await page.goto(f"{stage.url}/dashboard")
    await expect(page.get_by_role("rowheader")).to_have_count(8)
    await expect(page.get_by_role("status").first).to_have_text("Live")
    await page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
    folder = IMAGES if name == "light" and os.environ.get("UPDATE_PICTURES") else tmp_path
    picture = await page.screenshot(path=folder / "dashboard.png", full_page=True)
    assert picture.startswith(PNG)
    await page.goto(f"{stage.url}/dashboard#seller={RIVERSIDE}&id={SPIN}")
    await expect(page.get_by_role("table", name="Live leases").get_by_role("row")).to_have_count(4)
    picture = await page.screenshot(path=tmp_path / "opportunity.png", full_page=True)
    assert picture.startswith(PNG)
    assert AQUA not in await page.get_by_role("main").inner_text()
