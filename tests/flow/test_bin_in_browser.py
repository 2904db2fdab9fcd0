"""The drawer of a bin in a real browser: saying what it holds, and what it held at a past time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from central.ledger.times import utc_text
from tests.conftest import Address
from tests.desk_process import DeskProcess
from tests.desk_world import DeskWorld
from tests.flow.test_desk_in_browser import BROWSER_ARGUMENTS, opened
from wire.messages import AdjustStock

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture
def page(chromium: str, tmp_path: Path, broker: Address) -> Iterator[tuple[Any, DeskProcess]]:
    world = DeskWorld(tmp_path / "world", now_ns=time.time_ns())
    world.make_site()
    world.make_books()
    with DeskProcess(world, broker.port) as process, playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=chromium, headless=True, args=list(BROWSER_ARGUMENTS)
        )
        with opened(launched, process.url + "/", timezone_id="UTC") as shown:
            yield shown, process
        launched.close()


def test_a_person_says_what_a_bin_holds_and_looks_at_its_past(
    page: tuple[Any, DeskProcess],
) -> None:
    shown, desk = page
    heard: list[AdjustStock] = []

    def central(command: AdjustStock) -> tuple[bool, str]:
        heard.append(command)
        return command.units < 100, f"{command.bin_id}: edge A books it"

    desk.adjust_as_central(central)
    face = desk.world.faces[5]
    article = desk.world.site.articles[face.gtin]
    shown.get_by_label("Find a bin").fill(face.bin_id)
    shown.get_by_label("Find a bin").press("Enter")
    drawer = shown.locator("#bin")
    playwright.expect(drawer.locator("#bin-sure")).to_contain_text("The book is right with")
    playwright.expect(drawer.locator("#bin-sure")).to_contain_text("looked at")
    drawer.get_by_text("Say what it holds").click()
    playwright.expect(shown.locator("#adjust-article")).to_have_value(article.sku)
    shown.get_by_label("Units of the adjustment").fill("7")
    shown.locator("#adjust-reason").fill("damaged")
    shown.get_by_label("You are").fill("maria")
    shown.get_by_role("button", name="Book the difference").click()
    says = shown.locator("#adjust-says")
    playwright.expect(says).to_have_text(f"{face.bin_id}: edge A books it")
    playwright.expect(says).to_have_attribute("data-mood", "good")
    shown.get_by_label("Units are").select_option("by")
    shown.get_by_label("Units of the adjustment").fill("-3")
    shown.locator("#adjust-reason").fill("two words")
    shown.get_by_role("button", name="Book the difference").click()  # the field says what is wrong
    shown.locator("#adjust-reason").fill("stolen")
    shown.get_by_role("button", name="Book the difference").click()
    playwright.expect(shown.get_by_label("Units of the adjustment")).to_have_value("")
    assert [(c.bin_id, c.gtin, c.units, c.is_difference, c.reason, c.person_id) for c in heard] == [
        (face.bin_id, face.gtin, 7, False, "damaged", "maria"),
        (face.bin_id, face.gtin, -3, True, "stolen", "maria"),
    ]
    drawer.get_by_text("At any past time").click()
    at = utc_text(desk.world.now_ns)[:19]
    shown.locator("#past-at").fill(at)
    shown.get_by_role("button", name="Show", exact=True).click()
    found = shown.locator("#past-body")
    playwright.expect(found).to_contain_text(f"at {at[11:]}")
    shown.locator("#past-ago").fill("1440")  # a day ago nothing had been moved
    playwright.expect(found).to_contain_text("0 units at")
    playwright.expect(found).to_contain_text("Nothing was moved there until then.")
    playwright.expect(shown.locator("#past")).to_have_attribute("data-units", "0")
