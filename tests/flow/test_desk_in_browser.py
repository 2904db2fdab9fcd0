"""The planners' page in a real browser: on a desk of the test's own, and on the whole demo."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from sqlalchemy import insert, update

from central import tables as t
from central.rules import Rules, write_rules
from stockhelm.broker import free_port
from tests.conftest import ROOT, Address
from tests.desk_process import DeskProcess, decide, eventually
from tests.desk_world import DeskWorld
from wire.messages import DecideProposal, PinTask

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER_ARGUMENTS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
)
DEMO_START_S_MAX = 180  # the first start compiles kernels
LOOP_S_MAX = 240
SPEED = "10"  # of the world; the page draws all the while, and that is what costs most
EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """Yield one browser for all tests here: each opens a context of its own, which shares nothing.

    To start one takes longer than most of these tests.
    """
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=chromium, headless=True, args=list(BROWSER_ARGUMENTS)
        )
        yield launched
        launched.close()


@pytest.fixture
def desk(tmp_path: Path, broker: Address) -> Iterator[DeskProcess]:
    world = DeskWorld(tmp_path / "world", now_ns=time.time_ns())
    world.make_site()
    world.make_books()
    with DeskProcess(world, broker.port) as process:
        yield process


@contextlib.contextmanager
def opened(browser: Any, url: str, **options: Any) -> Iterator[Any]:
    """Yield the page at `url`; what its console or the network complains about fails the test."""
    wrong: list[str] = []
    context = browser.new_context(**options)
    try:
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on(
            "request", lambda asked: wrong.append(asked.url) if not ours(asked.url, url) else None
        )
        page.goto(url)
        yield page
    finally:
        context.close()
    # A refusal (409, 503) is an answer that the page shows; the browser logs it all the same.
    assert [text for text in wrong if "the server responded with a status of" not in text] == []


def ours(asked: str, url: str) -> bool:
    return asked.startswith((url, url.replace("http", "ws"), "data:"))


def row(page: Any, proposal_id: str) -> Any:
    return page.locator(f'#proposals-rows [data-proposal-id="{proposal_id}"]')


# --- the page over books and robots of the test's own --------------------------------------------


def test_a_planner_sees_why_approves_and_sees_the_answer(desk: DeskProcess, browser: Any) -> None:
    heard: list[DecideProposal] = []

    def central(command: DecideProposal) -> tuple[bool, str]:
        heard.append(command)
        decide(desk.world, command.proposal_id, "approved", command.person_id)
        desk.say_changed("proposal")
        return True, "approved: 48 units"

    desk.answer_as_central(central)
    with opened(browser, desk.url + "/") as page:
        page.get_by_role("button", name="Why P-101").click()
        behind = page.locator("#behind-P-101")
        playwright.expect(behind).to_contain_text("Filled up to")
        playwright.expect(behind).to_contain_text("105")
        playwright.expect(behind).to_contain_text("O1044")
        page.get_by_label("Other units for P-101").fill("48")
        page.get_by_label("Reason for deciding P-101").fill("half is enough")
        page.get_by_label("You are").fill("maria")
        page.get_by_role("button", name="Approve P-101").click()
        said = page.get_by_role("status").filter(has_text="P-101")
        playwright.expect(said).to_have_text("P-101: approved: 48 units")
        playwright.expect(row(page, "P-101")).to_have_count(0)
        decided = page.locator('#decided-rows [data-proposal-id="P-101"]')
        playwright.expect(decided).to_have_attribute("data-status", "approved")
    assert [(c.units, c.reason, c.person_id) for c in heard] == [(48, "half is enough", "maria")]


def test_no_more_than_is_free_can_be_approved(desk: DeskProcess, browser: Any) -> None:
    heard: list[int] = []

    def central(command: DecideProposal) -> tuple[bool, str]:
        heard.append(command.units)
        return False, "96 cannot be approved: 70 are free at A-1; enter 70 or fewer"

    desk.answer_as_central(central)
    source = desk.world.reserve[4]
    gtin = desk.world.faces[12].gtin
    write(desk, t.balance, t.balance.c.place == f"bin:{source}", units=70, gtin=gtin)
    desk.say_changed("balance")
    with opened(browser, desk.url + "/") as page:
        units = page.get_by_label("Other units for P-101")
        playwright.expect(units).to_have_attribute("max", "70")
        playwright.expect(row(page, "P-101")).to_contain_text("70 free")
        approve = page.get_by_role("button", name="Approve P-101")
        units.fill("9999")
        approve.click()
        says = page.locator("#says")
        playwright.expect(says).to_have_text(f"P-101: 70 are free at {source}, not 9999.")
        playwright.expect(says).to_have_attribute("data-mood", "bad")
        assert heard == []
        units.fill("")
        approve.click()
        playwright.expect(says).to_have_text(
            "P-101: 96 cannot be approved: 70 are free at A-1; enter 70 or fewer"
        )
        playwright.expect(approve).to_be_enabled()
        assert heard == [0]
        # A purchase has no such limit, and a count has no units to choose.
        purchase = page.get_by_label("Other units for P-102")
        playwright.expect(purchase).to_have_attribute("max", "1000000")
        playwright.expect(page.get_by_label("Other units for P-103")).to_have_count(0)


def test_an_answer_can_be_read_whatever_is_open_below_it(desk: DeskProcess, browser: Any) -> None:
    def central(command: DecideProposal) -> tuple[bool, str]:
        decide(desk.world, command.proposal_id, "rejected", command.person_id)
        desk.say_changed("proposal")
        return True, "rejected"

    desk.answer_as_central(central)
    with opened(browser, desk.url + "/", viewport={"width": 1280, "height": 800}) as page:
        page.get_by_role("button", name="Reject P-103").click()
        says = page.locator("#says")
        playwright.expect(says).to_have_text("P-103: rejected")
        before = says.bounding_box()["height"]
        page.get_by_text("Decided lately").click()
        playwright.expect(page.locator('#decided-rows [data-proposal-id="P-103"]')).to_be_visible()
        assert says.bounding_box()["height"] == before > 30


def test_what_lies_below_the_edge_of_the_list_is_announced(desk: DeskProcess, browser: Any) -> None:
    with opened(browser, desk.url + "/", viewport={"width": 1280, "height": 800}) as page:
        more = page.locator("#proposals-more")
        playwright.expect(more).to_have_text("2 more below ↓")
        page.locator("#proposals-list").evaluate("list => list.scrollTo(0, list.scrollHeight)")
        playwright.expect(more).to_be_hidden()


def test_a_newcomer_is_told_once_what_the_page_is_and_the_rules_stay(
    desk: DeskProcess, browser: Any
) -> None:
    rules = Rules(
        day_s=120.0, auto_units_max=60, auto_buy_cents_max=500_000,
        auto_adjust_units_max=6, auto_adjust_cents_max=5_000,
    )  # fmt: skip
    with desk.world.engine().begin() as books:
        write_rules(books, rules)
    with opened(browser, desk.url + "/") as page:
        intro = page.locator("#intro")
        playwright.expect(intro).to_contain_text("This page shows FC1 as it is now")
        playwright.expect(page.locator("#rules")).to_have_text(
            "Policy itself approves moves of up to 60 units, purchases of up to 5,000.00"
            " and sure counts that change up to 6 units worth 50.00."
            " A day (d) lasts 2 min on this site."
        )
        page.get_by_role("button", name="Got it").click()
        playwright.expect(intro).to_be_hidden()
        page.reload()
        row(page, "P-101").wait_for()
        playwright.expect(intro).to_be_hidden()
        playwright.expect(page.locator("#rules")).to_be_visible()


def test_while_central_is_silent_nothing_can_be_decided(desk: DeskProcess, browser: Any) -> None:
    desk.edges_speak()
    with opened(browser, desk.url + "/") as page:
        pill = page.locator('[data-link="central"]')
        approve = page.get_by_role("button", name="Approve P-101")
        playwright.expect(pill).to_have_attribute("data-state", "good")
        playwright.expect(approve).to_be_enabled()
        desk.central_is_up = False
        playwright.expect(pill).to_have_text("Central not heard", timeout=15_000)
        playwright.expect(approve).to_be_disabled()
        playwright.expect(page.locator("#stale")).to_contain_text("Central is not heard")
        playwright.expect(page.locator('[data-link="edge-A"]')).to_have_text("Edge A")
        desk.central_is_up = True
        playwright.expect(pill).to_have_text("Central up")
        playwright.expect(approve).to_be_enabled()
        playwright.expect(page.locator("#stale")).to_be_hidden()


def test_names_of_robots_side_by_side_do_not_cover_each_other(
    desk: DeskProcess, browser: Any
) -> None:
    desk.robots_speak()
    with opened(browser, desk.url + "/") as page:
        row(page, "P-101").wait_for()
        boxes = page.evaluate(
            """async () => {
                const { paintNames } = await import("/static/paint.js");
                const context = document.createElement("canvas").getContext("2d");
                const drawn = [];
                context.fillText = (text, x, y) =>
                    drawn.push([x, y, context.measureText(text).width, 11]);
                const robots = [0, 14, 28, 42].map((x, index) => ({ index, shown: { x, y: 50 } }));
                const names = new Map(robots.map(({ index }) => [index, `agv-${index}`]));
                paintNames(context, { at: (x, y) => [x, y], scale: 10 }, robots, names, {});
                return drawn;
            }"""
        )
        assert len(boxes) == 4
        for i, (ax, ay, aw, ah) in enumerate(boxes):
            for bx, by, bw, bh in boxes[:i]:
                assert ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay


def test_small_words_are_right(desk: DeskProcess, browser: Any) -> None:
    task = t.task.c.task_id
    write(desk, t.task, task == "T-203", units=1, gtin="")
    write(desk, t.proposal, t.proposal.c.proposal_id == "P-103", units=1)
    write(desk, t.customer_order, t.customer_order.c.order_id == "O1044", order_id="O6b043ba9-44")
    with opened(browser, desk.url + "/", viewport={"width": 1280, "height": 800}) as page:
        tasks = page.locator("#tasks-rows")
        playwright.expect(tasks.locator('[data-task-id="T-203"]')).to_contain_text("1 unit")
        playwright.expect(tasks.locator('[data-task-id="T-203"]')).not_to_contain_text("1 units")
        playwright.expect(row(page, "P-103").locator("strong")).to_have_text("Count 1 bin")
        way = tasks.locator('[data-task-id="T-210"] [data-part="way"]')
        playwright.expect(way).to_have_text(desk.world.reserve[9])
        order = page.locator('[data-order-id="O6b043ba9-44"] .id')
        assert order.evaluate("node => node.getClientRects().length") == 1


def test_a_refusal_is_shown_and_can_be_tried_again(desk: DeskProcess, browser: Any) -> None:
    desk.answer_as_central(lambda _: (False, "the bin is empty meanwhile"))
    with opened(browser, desk.url + "/") as page:
        reject = page.get_by_role("button", name="Reject P-102")
        reject.click()
        playwright.expect(page.locator("#says")).to_have_text("P-102: the bin is empty meanwhile")
        playwright.expect(reject).to_be_enabled()


def test_a_planner_decides_with_the_keyboard_alone(desk: DeskProcess, browser: Any) -> None:
    heard: list[str] = []

    def central(command: DecideProposal) -> tuple[bool, str]:
        heard.append(command.proposal_id)
        return True, "approved: 96 units"

    desk.answer_as_central(central)
    with opened(browser, desk.url + "/") as page:
        row(page, "P-101").wait_for()
        page.keyboard.press("Tab")
        playwright.expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        approve = page.get_by_role("button", name="Approve P-101")
        for _ in range(8):
            page.keyboard.press("Tab")
            if approve.evaluate("button => button === document.activeElement"):
                break
        page.keyboard.press("Enter")
        playwright.expect(page.locator("#says")).to_have_text("P-101: approved: 96 units")
    assert heard == ["P-101"]


def test_the_page_follows_the_floor_by_itself(desk: DeskProcess, browser: Any) -> None:
    face = desk.world.faces[2]
    with opened(browser, desk.url + "/") as page:
        playwright.expect(page.locator('[data-figure="robots"] dd').first).to_have_text("0 of 6")
        desk.robots_speak()
        playwright.expect(page.locator('[data-figure="robots"] dd').first).to_have_text("6 of 6")
        robot = page.locator('[data-robot-id="helmworks/agv-1"]')
        playwright.expect(robot).to_contain_text("24 x")
        page.get_by_label("Find a bin").fill(face.bin_id)
        page.get_by_label("Find a bin").press("Enter")
        drawer = page.locator(f'[data-bin-id="{face.bin_id}"]')
        before = shown_units(page, face.bin_id)
        write(desk, t.balance, t.balance.c.place == f"bin:{face.bin_id}", units=before + 24)
        desk.say_changed("balance")
        playwright.expect(drawer).to_have_attribute("data-units", str(before + 24))
        task = page.locator('#tasks-rows [data-task-id="T-201"]')
        playwright.expect(task).to_have_attribute("data-status", "moving")
        write(desk, t.task, t.task.c.task_id == "T-201", status="done", done_at_ns=time.time_ns())
        desk.say_changed("task")
        playwright.expect(task).to_have_attribute("data-status", "done")


def test_lots_of_a_bin_and_what_is_put_aside_are_shown(desk: DeskProcess, browser: Any) -> None:
    face = desk.world.faces[2]
    place, aside, gtin = f"bin:{face.bin_id}", "quarantine:", face.gtin
    rows = [(place, "L2", 3), (place, "L1", 2), (aside, "L1", 5)]
    engine = desk.world.engine()
    with engine.begin() as writing:
        writing.execute(insert(t.balance).values(place=aside, gtin=gtin, units=5))
        writing.execute(
            insert(t.lot_balance),
            [{"place": p, "gtin": gtin, "lot": lot, "units": units} for p, lot, units in rows],
        )
        days = [("L1", "2027-02-28"), ("L2", "2027-05-31")]
        writing.execute(
            insert(t.lot), [{"gtin": gtin, "lot": lot, "expires_on": day} for lot, day in days]
        )
        serial = {"gtin": gtin, "serial": "SN-77", "place": place, "lot": ""}
        writing.execute(insert(t.serial_place), [serial])
    engine.dispose()
    with opened(browser, desk.url + "/") as page:
        page.get_by_label("Find a bin").fill(face.bin_id)
        page.get_by_label("Find a bin").press("Enter")
        drawer = page.locator("#bin-body")
        playwright.expect(drawer).to_contain_text("SN-77")
        said = drawer.inner_text()
        assert said.index("2027-02-28") < said.index("2027-05-31"), "what is to go first, first"
        playwright.expect(page.locator("#adjust")).to_be_visible()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Quarantine").click()
        playwright.expect(drawer).to_contain_text("Put aside")
        playwright.expect(drawer).to_contain_text("2027-02-28")
        playwright.expect(page.locator("#adjust")).to_be_hidden()


def test_the_map_is_drawn_and_its_bins_are_reached_by_keyboard(
    desk: DeskProcess, browser: Any
) -> None:
    with opened(browser, desk.url + "/", viewport={"width": 1400, "height": 900}) as page:
        row(page, "P-101").wait_for()
        floor = page.locator("#floor-live")
        floor.focus()
        page.keyboard.press("ArrowRight")
        says = page.locator("#floor-says")
        playwright.expect(says).to_contain_text("units")
        first = says.inner_text()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("ArrowRight")
        playwright.expect(says).not_to_have_text(first)
        page.keyboard.press("Enter")
        bin_id = says.inner_text().split(" ")[0]
        playwright.expect(page.locator("#bin")).to_have_attribute("data-bin-id", bin_id)
        page.keyboard.press("Escape")
        playwright.expect(page.locator("#bin")).to_be_hidden()
        colours = page.evaluate(
            """() => {
                const still = document.getElementById("floor-still");
                const paint = still.getContext("2d");
                const at = paint.getImageData(0, 0, still.width, still.height).data;
                const seen = new Set();
                for (let i = 0; i < at.length; i += 4)
                    seen.add(at[i] << 16 | at[i + 1] << 8 | at[i + 2]);
                return seen.size;
            }"""
        )
        assert colours > 20


def test_a_task_is_pinned_to_a_robot(desk: DeskProcess, browser: Any) -> None:
    heard: list[PinTask] = []

    def central(command: PinTask) -> tuple[bool, str]:
        heard.append(command)
        return bool(command.robot_id), f"{command.robot_id or 'any'} it is"

    desk.pin_as_central(central)
    with opened(browser, desk.url + "/") as page:
        task = page.locator("#tasks-rows tr", has=page.locator("select.pin:visible")).first
        choice = task.locator("select.pin")
        choice.focus()
        choice.select_option("any robot")
        says = task.get_by_role("status")
        playwright.expect(says).to_have_text("any it is")
        robots = choice.locator("option").all_inner_texts()[2:]
        assert robots
        choice.focus()
        choice.select_option(robots[0])
        playwright.expect(says).to_have_text(f"{robots[0]} it is")
    assert [(c.robot_id, c.person_id) for c in heard] == [("", "planner"), (robots[0], "planner")]
    assert len({c.task_id for c in heard}) == 1


def test_a_part_of_the_floor_is_closed_for_robots_and_opened_again(
    desk: DeskProcess, browser: Any
) -> None:
    desk.zone_as_central()
    node = next(iter(desk.world.site.nodes))
    with opened(browser, desk.url + "/") as page, httpx.Client(base_url=desk.url) as api:
        page.get_by_role("button", name="Stop zone").click()
        says = page.locator("#zone-says")
        page.get_by_label("Nodes").fill("nowhere")
        page.get_by_role("button", name="Close for robots").click()
        playwright.expect(says).to_have_text(
            "node 'nowhere' is not in nodes.csv: nothing is closed"
        )
        box = page.locator("#floor-live").bounding_box()
        page.mouse.move(box["x"] + 2, box["y"] + 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2, steps=4)
        page.mouse.up()
        playwright.expect(says).to_have_text(re.compile(r"^[\d,]+ nodes are marked\.$"))
        marked = page.get_by_label("Nodes").input_value().split()
        page.get_by_label("Minutes", exact=True).fill("10")
        page.locator("#zone-reason").fill("people in the aisle")
        page.get_by_role("button", name="Close for robots").click()
        zone = page.locator("#zones li")
        playwright.expect(zone).to_contain_text(
            f"Closed: {len(marked)} nodes ({', '.join(sorted(marked)[:6])}"
        )
        playwright.expect(zone).to_contain_text("people in the aisle, by planner, opens in")
        (told,) = api.get("/api/zones").json()
        assert told["nodes"] == sorted(marked)
        zone.get_by_role("button", name=re.compile("Open zone .* again")).click()
        playwright.expect(page.locator("#zones")).to_be_hidden()
        assert api.get("/api/zones").json() == []
        answer = api.post("/api/zones", json={"nodes": [node], "minutes": 5, "person": "ann"})
        assert (answer.status_code, answer.json()["ok"]) == (200, True)
        assert api.post("/api/zones", json={"minutes": 5, "person": "ann"}).status_code == 422
        refused = api.post("/api/zones/none/lift", json={"person": "ann"})
        assert refused.status_code == 409
        assert refused.json()["detail"].startswith("zone 'none' is not closed now")


def test_names_from_outside_are_text_and_nothing_else(desk: DeskProcess, browser: Any) -> None:
    write(
        desk,
        t.proposal,
        t.proposal.c.proposal_id == "P-101",
        reason=EVIL,
        causes=f'["{"x" * 20}<b>"]',
    )
    write(desk, t.task, t.task.c.task_id == "T-201", detail=EVIL)
    with opened(browser, desk.url + "/") as page:
        playwright.expect(row(page, "P-101")).to_contain_text(EVIL)
        page.get_by_role("button", name="Why P-101").click()
        playwright.expect(page.locator("#behind-P-101")).to_contain_text("<b>")
        playwright.expect(page.locator('[data-task-id="T-201"]')).to_contain_text(EVIL)
        assert page.locator("main img").count() == 0
        assert page.title() == "FC1 · stockhelm"


def test_a_lost_desk_is_said_and_the_page_comes_back_by_itself(
    tmp_path: Path, broker: Address, browser: Any
) -> None:
    world = DeskWorld(tmp_path / "world", now_ns=time.time_ns())
    world.make_site()
    world.make_books()
    first = DeskProcess(world, broker.port)
    with contextlib.ExitStack() as running:
        running.enter_context(first)
        context = browser.new_context()
        running.callback(context.close)
        page = context.new_page()
        page.goto(first.url + "/")
        pill = page.locator("#link-page")
        playwright.expect(pill).to_have_text("Live")
        approve = page.get_by_role("button", name="Approve P-101")
        playwright.expect(approve).to_be_enabled()
        first.service.stop()
        playwright.expect(pill).to_have_text("Reconnecting")
        playwright.expect(page.locator("#stale")).to_contain_text("The desk is not heard")
        for name, text in (("broker", "Broker unknown"), ("central", "Central unknown")):
            told = page.locator(f'[data-link="{name}"]')
            playwright.expect(told).to_have_text(text)
            playwright.expect(told).to_have_attribute("data-state", "unknown")
        playwright.expect(approve).to_be_disabled()
        playwright.expect(page.get_by_role("button", name="Reject P-101")).to_be_disabled()
        second = DeskProcess(world, broker.port, port=first.port)
        running.enter_context(second)
        playwright.expect(pill).to_have_text("Live", timeout=15_000)
        playwright.expect(page.locator("#stale")).to_be_hidden()
        playwright.expect(approve).to_be_enabled()
        playwright.expect(page.locator('[data-link="broker"]')).to_have_text("Broker up")
        decide(world, "P-103", "rejected", "maria")
        second.say_changed("proposal")
        playwright.expect(row(page, "P-103")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_a_phone_and_can_be_read_in(
    desk: DeskProcess, browser: Any, scheme: str
) -> None:
    options = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme, "has_touch": True}
    with opened(browser, desk.url + "/", **options) as page:
        row(page, "P-101").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        too_small = page.evaluate(
            """() => [...document.querySelectorAll(".buttons button")]
                .filter((button) => button.getBoundingClientRect().height < 40).length"""
        )
        assert too_small == 0
        assert page.evaluate(CONTRAST) >= 4.5


CONTRAST = """() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
            .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/, 0\\)$|transparent/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    let least = 21;
    const texts = document.querySelectorAll(
        ".chip, .pill, .reason, .way, dt, dd, small, button, th, .count, label");
    for (const node of texts) {
        if (!node.textContent.trim() || !node.checkVisibility()) continue;
        const [a, b] = [light(getComputedStyle(node).color), light(behind(node))]
            .sort((x, y) => y - x);
        least = Math.min(least, (a + 0.05) / (b + 0.05));
    }
    return least;
}"""


def eventual_units(page: Any, bin_id: str) -> str:
    page.wait_for_selector(f'[data-bin-id="{bin_id}"][data-units]')
    return str(page.locator(f'[data-bin-id="{bin_id}"]').get_attribute("data-units"))


def shown_units(page: Any, bin_id: str) -> int:
    return int(eventual_units(page, bin_id))


def changes(before: Any, after: Any) -> dict[str, int]:
    """Return by how much each movement between two looks at a bin changed it."""
    place = f"bin:{after['bin']['bin_id']}"
    known = {event["event_id"] for event in before["events"]}
    return {
        event["event_id"]: event["units"] if event["to_place"] == place else -event["units"]
        for event in after["events"]
        if event["kind"] == "moved" and event["event_id"] not in known
    }


def write(desk: DeskProcess, table: Any, where: Any, **values: Any) -> None:
    engine = desk.world.engine()
    with engine.begin() as books:
        books.execute(update(table).where(where).values(**values))
    engine.dispose()


# --- the whole demo ------------------------------------------------------------------------------


class Demo:
    """`stockhelm demo` as a person starts it."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "stockhelm", "demo", "--port", str(self.port), "--seed", "7",
                "--speed", SPEED,
                "--directory", str(directory),
            ],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for_page(self) -> None:
        def there() -> bool:
            assert self.process.poll() is None, f"the demo ended: {self.text}"
            return self.url in self.text

        eventually(there, DEMO_START_S_MAX)

    def children(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def end(self) -> None:
        """Make sure that nothing of the demo is left, whatever happened."""
        left = [] if self.process.poll() is not None else self.children()
        if self.process.poll() is None:
            self.process.kill()
        for child in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self.process.wait(10)
        self._reading.join(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path / "demo")
    yield running
    running.end()


@pytest.mark.long
@pytest.mark.timeout(400)
def test_an_approval_on_the_live_page_ends_in_a_finished_task_and_a_changed_count(
    demo: Demo, browser: Any
) -> None:
    demo.wait_for_page()
    with opened(browser, demo.url) as page, httpx.Client(base_url=demo.url) as api:
        waiting = page.locator('#proposals-rows [data-kind="transfer"]').first
        waiting.wait_for(timeout=LOOP_S_MAX * 1_000)
        proposal_id = waiting.get_attribute("data-proposal-id")
        bin_id = waiting.get_attribute("data-to-bin")
        units = int(waiting.get_attribute("data-units"))
        assert re.search(r"[0-9]", waiting.locator(".reason").inner_text())
        before = api.get(f"/api/bins/{bin_id}").json()
        page.get_by_role("button", name=f"Approve {proposal_id}").click()
        playwright.expect(page.locator("#says")).to_contain_text(
            f"{proposal_id}: approved: {units} units"
        )
        page.get_by_label("Find a bin").fill(bin_id)
        page.get_by_label("Find a bin").press("Enter")
        drawer = page.locator(f'#bin[data-bin-id="{bin_id}"]')
        of_it = page.locator(f'#tasks-rows [data-proposal-id="{proposal_id}"]')
        of_it.and_(page.locator('[data-status="done"]')).first.wait_for(timeout=LOOP_S_MAX * 1_000)
        why = api.get(f"/api/proposals/{proposal_id}").json()
        assert {task["status"] for task in why["tasks"]} == {"done"}
        assert {task["worker_kind"] for task in why["tasks"]} == {"robot"}
        brought = {e["event_id"] for e in why["events"] if e["to_place"] == f"bin:{bin_id}"}
        after = api.get(f"/api/bins/{bin_id}").json()
        change = changes(before, after)
        assert sum(change[event_id] for event_id in brought) == units
        assert after["bin"]["units"] - before["bin"]["units"] == sum(change.values())
        eventually(
            lambda: (
                shown_units(page, bin_id) == api.get(f"/api/bins/{bin_id}").json()["bin"]["units"]
            )
        )
        playwright.expect(drawer).to_contain_text(f"+{units}")
    children = demo.children()
    assert children
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(30) == 0
    assert [child for child in children if child.is_running()] == []
