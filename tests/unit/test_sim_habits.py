"""How suppliers deliver and what customers feel like, when they are not as usual."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from runtime.config import ConfigError
from sim_hardware.config import SimOrders, SimPromotion, SimSuppliers, SimWeather
from sim_hardware.world.weather import WeatherReport
from tests.sim_floor import SITE, Bench, make_bench
from wire import topics
from wire.codec import decode, encode
from wire.messages import (
    CustomerOrder,
    OrderLine,
    OrderStatus,
    PurchaseOrder,
    SupplierNotice,
)

DAY_S = 60.0
LEAD_D = 0.25
DAILY = SimOrders(day_s=DAY_S, orders_per_day=300)


def buying(tmp_path: Path, *habits: SimSuppliers) -> Bench:
    return make_bench(tmp_path, suppliers=habits, orders=SimOrders(day_s=DAY_S, orders_per_day=0))


def buy(bench: Bench, po_id: str, units: int = 48, supplier: str = "S1", article: int = 0) -> str:
    gtin = list(bench.site.articles)[article]
    order = PurchaseOrder(
        po_id=po_id, supplier_id=supplier, lines=(OrderLine(gtin=gtin, units=units),),
        ordered_at_ns=1,
    )  # fmt: skip
    bench.bus.publish(topics.PURCHASE_ORDER.of(site=SITE, supplier=supplier), encode(order))
    return gtin


def arrivals(bench: Bench, po_id: str, supplier: str = "S1") -> list[int]:
    """Return what the notices said has come, each figure once."""
    wanted = topics.SUPPLIER_NOTICE.of(site=SITE, supplier=supplier)
    said = [decode(payload, SupplierNotice) for payload in bench.payloads(wanted)]
    told = [sum(x.units for x in n.lines) for n in said
            if n.po_id == po_id and n.status == "arrived"]  # fmt: skip
    return sorted(set(told))


def came(bench: Bench, gtin: str, supplier: str = "S1") -> int:
    return bench.units(f"supplier:{supplier}", gtin)


def test_a_delayed_supplier_comes_so_much_later_and_then_all_is_as_before(tmp_path: Path) -> None:
    bench = buying(tmp_path)
    gtin = buy(bench, "PO1")
    bench.runtime.run_for(5)
    bench.floor.suppliers.delay("S1", 1.0)
    bench.runtime.run_for(0.7 * DAY_S)
    assert came(bench, gtin) == 0
    bench.runtime.run_for(0.7 * DAY_S)
    assert came(bench, gtin) == 48
    bench.floor.suppliers.delay("S1", 0.0)
    buy(bench, "PO2")
    bench.runtime.run_for(1.3 * LEAD_D * DAY_S)
    assert came(bench, gtin) == 96


def test_a_short_delivery_is_on_the_paper_and_broken_units_are_not(tmp_path: Path) -> None:
    bench = buying(tmp_path)
    bench.floor.suppliers.short("S1", 0.25)
    gtin = buy(bench, "PO1")
    bench.runtime.run_for(DAY_S)
    assert came(bench, gtin) == 36
    assert arrivals(bench, "PO1") == [36]
    bench.floor.suppliers.short("S1", 0.0)
    bench.floor.suppliers.damage("S1", 0.5)
    buy(bench, "PO2", 100)
    bench.runtime.run_for(DAY_S)
    broken = bench.units("damaged:S1", gtin)
    assert 25 < broken < 75
    assert came(bench, gtin) == 36 + 100 - broken
    assert arrivals(bench, "PO2") == [100]
    assert bench.floor.truth().units_missing == {}


def test_more_than_was_ordered_may_come(tmp_path: Path) -> None:
    bench = buying(tmp_path)
    bench.floor.suppliers.over("S1", 0.5)
    gtin = buy(bench, "PO1", 10)
    bench.runtime.run_for(DAY_S)
    assert came(bench, gtin) == 15
    assert arrivals(bench, "PO1") == [15]


def test_one_pallet_is_wrong_and_its_paper_says_nothing(tmp_path: Path) -> None:
    bench = buying(tmp_path)
    asked, instead = list(bench.site.articles)[:2]
    bench.floor.suppliers.wrong_pallet("S1", asked, instead)
    buy(bench, "PO1", 24)
    bench.runtime.run_for(DAY_S)
    assert (came(bench, asked), came(bench, instead)) == (0, 24)
    assert arrivals(bench, "PO1") == [24]
    buy(bench, "PO2", 24)
    bench.runtime.run_for(DAY_S)
    assert came(bench, asked) == 24


def test_an_order_may_come_in_several_lorries_that_tell_what_came_so_far(tmp_path: Path) -> None:
    habit = SimSuppliers(parts_max=4, part_gap_d=0.5)
    bench = buying(tmp_path, habit)
    gtin = ""
    for number in range(6):
        gtin = buy(bench, f"PO{number}", 40)
    bench.runtime.run_for(6 * DAY_S)
    told = [arrivals(bench, f"PO{number}") for number in range(6)]
    assert all(figures[-1] == 40 for figures in told)
    assert any(len(figures) > 1 for figures in told)
    assert came(bench, gtin) == 6 * 40
    assert bench.floor.truth().deliveries == sum(len(figures) for figures in told)


@pytest.mark.parametrize("lead", ["uniform", "lognormal", "gamma"])
def test_lead_times_spread_about_the_suppliers_own(tmp_path: Path, lead: str) -> None:
    row = {"supplier_ids": ["S1"], "lead": lead, "lead_spread": 0.5}
    bench = buying(tmp_path, msgspec.convert(row, SimSuppliers))
    for number in range(200):
        buy(bench, f"PO{number}")
    at_s: list[float] = []
    for _ in range(400):
        bench.runtime.run_for(0.01 * DAY_S)
        fresh = bench.floor.suppliers.deliveries - len(at_s)
        at_s += [bench.floor.world.time.now_s] * fresh
    assert len(at_s) == 200
    days = [s / bench.floor.world.time.speed / DAY_S for s in at_s]
    mean = sum(days) / len(days)
    spread = (sum((d - mean) ** 2 for d in days) / len(days)) ** 0.5
    assert mean == pytest.approx(LEAD_D, rel=0.15)
    width = 0.5 / 3**0.5 if lead == "uniform" else 0.5
    assert spread / LEAD_D == pytest.approx(width, rel=0.3)


def test_what_is_no_supplier_or_article_is_refused_by_name(tmp_path: Path) -> None:
    bench = buying(tmp_path)
    with pytest.raises(ValueError, match=r"supplier 'S9' is not in suppliers.csv; there is S1, S2"):
        bench.floor.suppliers.delay("S9", 1.0)
    with pytest.raises(ValueError, match="article '123' is not in"):
        bench.floor.suppliers.wrong_pallet("S1", "123", next(iter(bench.site.articles)))


# --- customers ------------------------------------------------------------------------------------


def selling(tmp_path: Path, orders: SimOrders = DAILY, **config: Any) -> Bench:
    bench = make_bench(tmp_path, orders=orders, **config)

    def accept() -> None:
        fresh, heard[0] = bench.said[heard[0] :], len(bench.said)
        for payload in (p for name, p in fresh if name == wanted):
            order = decode(payload, CustomerOrder)
            status = OrderStatus(
                order_id=order.order_id, status="accepted", text="", changed_at_ns=1
            )
            bench.bus.publish(topics.ORDER_STATUS.of(site=SITE), encode(status))

    wanted = topics.CUSTOMER_ORDER.of(site=SITE)
    heard = [0]
    bench.lane.call_every(0.5, accept)
    return bench


def all_orders(bench: Bench) -> list[CustomerOrder]:
    wanted = topics.CUSTOMER_ORDER.of(site=SITE)
    return [decode(payload, CustomerOrder) for payload in bench.payloads(wanted)]


def lines_of(bench: Bench, *words: str) -> tuple[int, int]:
    """Return how many lines are for articles with such a word in the name, and for others."""
    found = Counter(
        any(word in bench.site.articles[line.gtin].name.lower() for word in words)
        for order in {o.order_id: o for o in all_orders(bench)}.values() for line in order.lines
    )  # fmt: skip
    return found[True], found[False]


def count(bench: Bench, days: float) -> int:
    """Let days pass; return how many orders were made."""
    before = bench.floor.customers.orders_created
    bench.runtime.run_for(days * DAY_S)
    return bench.floor.customers.orders_created - before


def test_rain_sells_umbrellas_and_rain_capes_and_nothing_else(tmp_path: Path) -> None:
    bench = selling(tmp_path)
    count(bench, 3)
    wet, other = lines_of(bench, "umbrella", "rain")
    bench.floor.weather.set(10.0)
    count(bench, 3)
    wet_in_rain, other_in_rain = (
        now - before
        for now, before in zip(lines_of(bench, "umbrella", "rain"), (wet, other), strict=True)
    )
    assert wet_in_rain > 4 * wet
    assert 0.6 * other < other_in_rain < 1.5 * other
    bench.floor.weather.clear()
    before = lines_of(bench, "umbrella", "rain")[0]
    count(bench, 3)
    assert lines_of(bench, "umbrella", "rain")[0] - before < 2 * wet + 20


def test_a_surge_ends_by_itself_or_when_it_is_told_to(tmp_path: Path) -> None:
    bench = selling(tmp_path)
    usual = count(bench, 2)
    bench.floor.customers.surge("all", 4.0, 2 * DAY_S)
    assert 3.2 * usual < count(bench, 2) < 4.8 * usual
    assert count(bench, 2) < 1.4 * usual
    end = bench.floor.customers.surge("all", 0.0)
    assert count(bench, 1) == 0
    end()
    assert count(bench, 2) > 0.6 * usual


def test_a_promotion_known_beforehand_sells_one_article_from_its_first_day(tmp_path: Path) -> None:
    bench = selling(
        tmp_path, promotions=(SimPromotion(what="black tea", factor=10.0, from_day=2, to_day=4),)
    )
    counts = [0]
    for _ in range(3):
        count(bench, 2)
        counts.append(lines_of(bench, "black tea")[0])
    before, during, after = (b - a for a, b in pairwise(counts))
    assert during > 4 * before
    assert after < 2 * before + 20


def test_weekdays_the_year_and_a_trend_make_days_differ(tmp_path: Path) -> None:
    week = SimOrders(day_s=DAY_S, orders_per_day=200, weekday_factors=(0, 1, 2, 1, 1, 1, 1))
    bench = selling(tmp_path / "week", week)
    days = [count(bench, 1) for _ in range(3)]
    assert days[0] <= 5  # the last of it is the next day's
    assert days[2] > 1.5 * days[1] > 150
    trend = SimOrders(day_s=DAY_S, orders_per_day=200, trend_per_day=0.5)
    bench = selling(tmp_path / "trend", trend)
    days = [count(bench, 1) for _ in range(4)]
    assert days[3] > 1.8 * days[0]
    swing = SimOrders(day_s=DAY_S, orders_per_day=200, yearly_swing=1.0, yearly_best_day=182.6)
    assert count(selling(tmp_path / "year", swing), 2) < 10


def test_orders_wait_while_the_feed_is_down_and_some_are_cancelled(tmp_path: Path) -> None:
    bench = selling(tmp_path)
    count(bench, 0.2)
    customers = bench.floor.customers
    customers.pause_feed()
    bench.runtime.run_for(2)
    heard = len({o.order_id for o in all_orders(bench)})
    made = count(bench, 0.5)
    assert len({o.order_id for o in all_orders(bench)}) == heard
    assert customers.withdraw_waiting(3) == 3
    customers.resume_feed()
    bench.runtime.run_for(0.2)
    assert len({o.order_id for o in all_orders(bench)}) >= heard + made - 3
    assert customers.orders_withdrawn == 3


def test_a_thing_that_nobody_sells_is_refused_with_what_is_near(tmp_path: Path) -> None:
    bench = selling(tmp_path)
    with pytest.raises(ValueError, match=r"'Umbrela' is no GTIN.*did you mean 'Umbrella'"):
        bench.floor.customers.surge("Umbrela", 2.0, 1.0)
    with pytest.raises(ConfigError, match="promotions and orders: 'anvil' is no GTIN"):
        selling(tmp_path / "2", promotions=(SimPromotion(what="anvil", factor=2.0),))
    with pytest.raises(ConfigError, match="weekday_factors has 3 numbers, expected 7 or none"):
        selling(tmp_path / "3", SimOrders(weekday_factors=(1, 1, 1)))


def test_drawn_weather_rains_its_share_and_the_feed_tells_every_change(tmp_path: Path) -> None:
    bench = selling(
        tmp_path, SimOrders(day_s=DAY_S, orders_per_day=0),
        weather=SimWeather(kind="drawn", rain_share=0.25, spell_h=3.0),
    )  # fmt: skip
    told: list[WeatherReport] = []
    bench.floor.weather_feed.listen(told.append)
    wet = 0
    for _ in range(1_000):
        bench.runtime.run_for(DAY_S / 24)
        wet += bench.floor.weather.rain_mm_h > 0
    assert 0.18 < wet / 1_000 < 0.33
    assert len(told) > 200
    assert {bool(report.rain_mm_h) for report in told} == {True, False}
    bench.floor.weather_feed.pause()
    heard, last = len(told), bench.floor.weather_feed.last
    bench.floor.weather.set(30.0)
    assert (len(told), bench.floor.weather_feed.last) == (heard, last)
    bench.floor.weather_feed.resume()
    assert told[-1].text == "rain, 30.0 mm/h"
