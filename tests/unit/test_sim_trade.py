"""Simulated customers and suppliers on the wire, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.seeds import stream
from sim_hardware.config import SimOrders
from sim_hardware.site_folder import read_demand
from sim_hardware.world import customers
from sim_hardware.world.order_file import OrderFileError, group_orders, read_order_file
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
from wire.site import SiteError

DAY_S = 60.0
GTINS = {"A1": "09521321000018", "B2": "09521321000025"}


def orders(bench: Bench) -> list[CustomerOrder]:
    wanted = topics.CUSTOMER_ORDER.of(site=SITE)
    return [decode(payload, CustomerOrder) for payload in bench.payloads(wanted)]


def notices(bench: Bench) -> list[SupplierNotice]:
    wanted = topics.SUPPLIER_NOTICE.of(site=SITE, supplier="S1")
    return [decode(payload, SupplierNotice) for payload in bench.payloads(wanted)]


def buy(bench: Bench, po_id: str = "PO1", units: int = 48) -> str:
    gtin = bench.site.opening[0].gtin
    order = PurchaseOrder(
        po_id=po_id, supplier_id="S1", lines=(OrderLine(gtin=gtin, units=units),), ordered_at_ns=1
    )
    bench.bus.publish(topics.PURCHASE_ORDER.of(site=SITE, supplier="S1"), encode(order))
    return gtin


def sales_file(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(["date,sku,quantity", *rows]) + "\n", encoding="utf-8")
    return path


def accept_all(bench: Bench) -> None:
    """Answer every order as a shop does."""
    heard: list[tuple[str, bytes]] = []

    def answer() -> None:
        wanted = topics.CUSTOMER_ORDER.of(site=SITE)
        fresh, heard[:] = bench.said[len(heard) :], bench.said
        for payload in (p for name, p in fresh if name == wanted):
            order = decode(payload, CustomerOrder)
            status = OrderStatus(
                order_id=order.order_id, status="accepted", text="", changed_at_ns=1
            )
            bench.bus.publish(topics.ORDER_STATUS.of(site=SITE), encode(status))

    bench.lane.call_every(0.5, answer)


def test_drawn_orders_look_like_the_articles_demand(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, orders=SimOrders(day_s=DAY_S, orders_per_day=60))
    accept_all(bench)
    bench.runtime.run_for(10 * DAY_S)
    found = orders(bench)
    assert 500 < len(found) < 700
    assert len({order.order_id for order in found}) == len(found)
    assert {len(order.lines) for order in found} == {1, 2, 3}
    assert {line.units for order in found for line in order.lines} == {1, 2, 3, 4}
    demands = read_demand(tmp_path / "site", bench.site)
    units = {
        d.gtin: sum(x.units for o in found for x in o.lines if x.gtin == d.gtin) for d in demands
    }
    fast, slow = demands[:5], demands[-5:]
    assert sum(units[d.gtin] for d in fast) > 10 * sum(units[d.gtin] for d in slow)
    assert bench.floor.truth().units_ordered == sum(units.values())


def test_an_order_is_said_again_until_the_shop_answers(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, orders=SimOrders(day_s=DAY_S, orders_per_day=30))
    bench.runtime.run_until(lambda: bool(orders(bench)), 60)
    first = orders(bench)[0]
    bench.runtime.run_for(15)
    again = [order for order in orders(bench) if order.order_id == first.order_id]
    assert len(again) >= 3
    assert set(again) == {first}
    accept_all(bench)
    bench.runtime.run_for(4)
    said = len([order for order in orders(bench) if order.order_id == first.order_id])
    bench.runtime.run_for(20)
    assert len([o for o in orders(bench) if o.order_id == first.order_id]) == said


def test_a_shop_that_does_not_answer_is_told_ever_more_seldom_and_given_up_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customers, "GIVE_UP_S", 3_600.0)  # a day takes seconds to simulate
    bench = make_bench(tmp_path, orders=SimOrders(day_s=DAY_S, orders_per_day=10))
    bench.runtime.run_until(lambda: bool(orders(bench)), DAY_S)
    bench.floor.freeze()
    bench.runtime.run_for(600)
    first = orders(bench)[0].order_id
    assert 15 <= len([o for o in orders(bench) if o.order_id == first]) <= 25
    assert bench.floor.unanswered_orders == 1
    bench.runtime.run_for(customers.GIVE_UP_S)
    assert bench.metrics.snapshot().counters["orders_given_up"] == 1
    assert bench.floor.unanswered_orders == 0


def test_a_file_of_sales_is_ordered_date_by_date_to_the_unit(tmp_path: Path) -> None:
    skus = ["SKU-001", "SKU-002", "SKU-003", "SKU-004", "SKU-005", "SKU-006"]
    rows = [f"2017-01-01,{sku},{n + 10}" for n, sku in enumerate(skus)]
    rows += ["2017-01-03,SKU-001,14"]
    path = sales_file(tmp_path, *rows)
    given = SimOrders(kind="file", day_s=DAY_S, path=str(path))
    bench = make_bench(tmp_path, orders=given)
    accept_all(bench)
    bench.runtime.run_for(DAY_S)
    found = orders(bench)
    gtins = {row.sku: row.gtin for row in bench.site.articles.values()}
    lines = [(line.gtin, line.units) for order in found for line in order.lines]
    assert sorted(lines) == sorted((gtins[sku], n + 10) for n, sku in enumerate(skus))
    assert all(1 <= len(order.lines) <= 4 for order in found)
    bench.runtime.run_for(DAY_S)
    assert len(orders(bench)) == len(found)  # 2017-01-02: nobody bought anything
    bench.runtime.run_for(DAY_S)
    assert [order.lines for order in orders(bench)[len(found) :]] == [
        (OrderLine(gtin=gtins["SKU-001"], units=14),)
    ]


def test_days_before_the_first_date_are_history(tmp_path: Path) -> None:
    path = sales_file(tmp_path, "2017-01-01,A1,1", "2017-01-05,B2,2")
    days = read_order_file(path, GTINS, first_date="2017-01-04")
    assert days == [[], [(GTINS["B2"], 2)]]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ("2017-01-01,X9,1", "line 3: sku 'X9' is not in articles.csv"),
        ("2017-01-01,A1,0", "line 3: quantity '0', expected a whole number from 1 to 1000000"),
        ("2017-01-01,A1,1.5", "line 3: quantity '1.5'"),
        ("2017-01-01,A1", "line 3: quantity ''"),
        ("01.01.2017,A1,1", "line 3: date '01.01.2017': expected YYYY-MM-DD"),
    ],
)
def test_a_bad_row_is_named_with_its_line(tmp_path: Path, row: str, text: str) -> None:
    path = sales_file(tmp_path, "2017-01-01,A1,1", row)
    with pytest.raises(OrderFileError) as error:
        read_order_file(path, GTINS)
    assert text in str(error.value)


def test_a_file_without_its_columns_or_without_sales_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("date;sku;quantity\n", encoding="utf-8")
    with pytest.raises(OrderFileError, match="missing: date, sku, quantity"):
        read_order_file(path, GTINS)
    path.write_text("date,sku,quantity\n", encoding="utf-8")
    with pytest.raises(OrderFileError, match="no sales from the first line on"):
        read_order_file(path, GTINS)
    with pytest.raises(OrderFileError, match="cannot be read"):
        read_order_file(tmp_path / "absent.csv", GTINS)


def test_real_sales_come_through_whole(data_dir: Path) -> None:
    path = data_dir / "demand" / "cj_A_orders_top40.csv"
    lines = path.read_text(encoding="utf-8").splitlines()[1:]
    gtins = {line.split(",")[1]: "" for line in lines}
    days = read_order_file(path, {sku: f"{n:014}" for n, sku in enumerate(gtins)})
    assert sum(units for day in days for _, units in day) == sum(
        int(line.split(",")[2]) for line in lines
    )
    rng = stream(1, "test")
    for day in days:
        grouped = group_orders(rng, day)
        assert [line for order in grouped for line in order] == day


def test_a_purchase_is_confirmed_at_once_and_stands_at_the_dock_later(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, orders=SimOrders(day_s=DAY_S, orders_per_day=0))
    gtin = buy(bench)
    bench.runtime.run_for(0.1)
    assert [notice.status for notice in notices(bench)] == ["confirmed"]
    assert bench.units("supplier:S1", gtin) == 0
    bench.runtime.run_for(0.25 * DAY_S * 1.3)
    assert notices(bench)[-1].status == "arrived"
    assert notices(bench)[-1].lines == (OrderLine(gtin=gtin, units=48),)
    assert bench.units("supplier:S1", gtin) == 48


def test_a_purchase_said_twice_is_delivered_once(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, orders=SimOrders(day_s=DAY_S, orders_per_day=0))
    buy(bench)
    gtin = buy(bench)
    bench.runtime.run_for(DAY_S)
    buy(bench)
    bench.runtime.run_for(DAY_S)
    assert bench.units("supplier:S1", gtin) == 48
    assert bench.floor.truth().deliveries == 1
    statuses = [notice.status for notice in notices(bench)]
    assert statuses[:2] == ["confirmed", "confirmed"]
    assert set(statuses[2:]) == {"arrived"}
    assert len(statuses) <= 2 + 5 + 1


@pytest.mark.parametrize("payload", [b"", b"\x00", b'{"type":"PurchaseOrder"}'])
def test_a_purchase_that_is_none_is_refused(tmp_path: Path, payload: bytes) -> None:
    bench = make_bench(tmp_path)
    bench.bus.publish(topics.PURCHASE_ORDER.of(site=SITE, supplier="S1"), payload)
    bench.runtime.run_for(1)
    assert notices(bench) == []
    assert bench.metrics.snapshot().counters["wire_refused{PurchaseOrder}"] == 1


def test_a_history_that_is_wrong_is_named_with_its_line(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    path = tmp_path / "site" / "history.csv"
    path.write_text("day,gtin,units\n-1,00000000000000,1\n", encoding="utf-8")
    with pytest.raises(SiteError, match="line 2: gtin '00000000000000' is not in articles"):
        read_demand(tmp_path / "site", bench.site)
    path.write_text("day,gtin,units\n-1,12,1\n", encoding="utf-8")
    with pytest.raises(SiteError, match="line 2: GTIN '12': expected 8, 12, 13 or 14 digits"):
        read_demand(tmp_path / "site", bench.site)
    path.unlink()
    assert {d.mean_units_per_day for d in read_demand(tmp_path / "site", bench.site)} == {1.0}


def test_a_history_may_write_short_gtins(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    gtins = [article.gtin for article in bench.site.articles.values()]
    rows = "".join(f"-1,{gtin.removeprefix('0')},{n}\n" for n, gtin in enumerate(gtins, start=1))
    path = tmp_path / "site" / "history.csv"
    path.write_text("day,gtin,units\n" + rows, encoding="utf-8")
    wanted = {demand.gtin for demand in read_demand(tmp_path / "site", bench.site)}
    assert gtins[0].startswith("0")
    assert wanted == set(gtins)
