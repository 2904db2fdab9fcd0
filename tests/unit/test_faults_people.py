"""Faults of people, labels, suppliers and customers show in the world, and are over after."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim_hardware.config import SimOrders
from tests.fault_stage import Faulty, make_stage
from tests.sim_floor import GLN, SITE, Bench, Reader
from wire import topics
from wire.codec import decode, encode
from wire.messages import CustomerOrder, OrderLine, PersonTask, PurchaseOrder, SupplierNotice
from wire.site import OpeningRow

PERSON = "p1"
DAY_S = 30.0


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return make_stage(tmp_path, orders=SimOrders(day_s=DAY_S, orders_per_day=30), drones=())


def face(bench: Bench) -> OpeningRow:
    """Return a full pick face whose neighbour holds another article."""
    return next(
        row for row in bench.site.opening
        if bench.site.bins[row.bin_id].kind == "pick" and row.units >= 12
        and bench.floor.world.neighbours(row.bin_id)
    )  # fmt: skip


def pick(row: OpeningRow, task_id: str) -> PersonTask:
    return PersonTask(
        task_id=task_id, kind="pick", gtin=row.gtin, units=2, from_place=f"bin:{row.bin_id}",
        to_place=f"tote:{task_id}", order_id=task_id,
    )  # fmt: skip


def do_picks(faulty: Faulty, row: OpeningRow, prefix: str, count: int = 3) -> None:
    """Let the person do some picks."""
    for number in range(count):
        faulty.bench.give_tasks(PERSON, pick(row, f"{prefix}{number}"))
        faulty.run(15)


def incidents(faulty: Faulty) -> dict[str, int]:
    return dict(faulty.bench.floor.world.incidents.kinds)


@pytest.mark.parametrize(
    ("kind", "incident"),
    [
        ("wrong-pick", "wrong-pick"),
        ("forgotten-scan", "unscanned"),
        ("miscount", "miscounted"),
        ("pilfering", "stolen"),
    ],
)
def test_a_person_errs_while_it_lasts_and_then_no_more(
    faulty: Faulty, kind: str, incident: str
) -> None:
    Reader(faulty.bench)
    row = face(faulty.bench)
    end = faulty.begin(kind, PERSON, share="100 %")
    do_picks(faulty, row, "T")
    assert set(incidents(faulty)) == {incident}
    end()
    before = incidents(faulty)
    do_picks(faulty, row, "U")
    assert incidents(faulty) == before
    assert faulty.bench.floor.truth().units_missing == {}


def test_goods_go_into_the_neighbouring_bin(faulty: Faulty) -> None:
    Reader(faulty.bench)
    world = faulty.bench.floor.world
    row = face(faulty.bench)
    dock = next(b for b in faulty.bench.site.bins.values() if b.kind == "dock")
    world.stock.arrive(f"bin:{dock.bin_id}", row.gtin, 4)
    end = faulty.begin("misplacement", PERSON, share=1)
    for task_id, wrong in (("T1", 2), ("T2", 0)):
        there = faulty.bench.units(f"bin:{row.bin_id}", row.gtin)
        task = PersonTask(
            task_id=task_id, kind="putaway", gtin=row.gtin, units=2,
            from_place=f"bin:{dock.bin_id}", to_place=f"bin:{row.bin_id}",
        )  # fmt: skip
        faulty.bench.give_tasks(PERSON, task)
        faulty.run(25)
        assert faulty.bench.units(f"bin:{row.bin_id}", row.gtin) == there + 2 - wrong
        assert incidents(faulty) == {"misplaced": 1}
        end()


def test_rates_add_up_and_are_as_before_in_the_end(faulty: Faulty) -> None:
    rates = faulty.bench.floor.people[PERSON].errors
    ends = [faulty.begin("miscount", PERSON, share=share) for share in (0.1, 0.2)]
    assert rates.miscount == pytest.approx(0.3)
    for end in ends:
        end()
    assert rates.miscount == 0.0


def test_units_vanish_from_a_bin_for_good(faulty: Faulty) -> None:
    row = face(faulty.bench)
    end = faulty.begin("theft", row.bin_id, units=5)
    assert faulty.bench.units(f"bin:{row.bin_id}", row.gtin) == row.units - 5
    end()
    assert faulty.bench.units(f"bin:{row.bin_id}", row.gtin) == row.units - 5
    truth = faulty.bench.floor.truth()
    assert truth.units_missing == {}
    assert [(i.kind, i.units) for i in truth.incidents] == [("stolen", 5)]


def test_nobody_works_while_they_are_away(faulty: Faulty) -> None:
    reader, row = Reader(faulty.bench), face(faulty.bench)
    end = faulty.begin("person-away", PERSON)
    faulty.bench.give_tasks(PERSON, pick(row, "T1"))
    faulty.run(60)
    assert reader.scans == []
    end()
    faulty.run(20)
    assert faulty.bench.floor.truth().tasks_done[PERSON] == {"pick": 1}


def label_scans(reader: Reader) -> set[str]:
    start = f"]C1414{GLN}254"
    return {text.removeprefix(start) for _, text in reader.scans if text.startswith(start)}


def test_swapped_labels_are_read_as_each_other(faulty: Faulty) -> None:
    reader, row = Reader(faulty.bench), face(faulty.bench)
    other = faulty.bench.floor.world.neighbours(row.bin_id)[0].bin_id
    end = faulty.begin("label-swap", row.bin_id)
    do_picks(faulty, row, "T", 1)
    assert label_scans(reader) == {other}
    reader.scans.clear()
    end()
    do_picks(faulty, row, "U", 1)
    assert label_scans(reader) == {row.bin_id}


def test_a_damaged_label_is_not_read(faulty: Faulty) -> None:
    reader, row = Reader(faulty.bench), face(faulty.bench)
    end = faulty.begin("damaged-label", row.bin_id)
    do_picks(faulty, row, "T", 1)
    assert label_scans(reader) == set()
    assert faulty.bench.floor.truth().scan_refusals["unreadable"] >= 3
    assert faulty.bench.floor.truth().tasks_done[PERSON] == {}
    end()
    do_picks(faulty, row, "U", 1)
    assert label_scans(reader) == {row.bin_id}


# --- suppliers and customers --------------------------------------------------------------------


def buy(faulty: Faulty, po_id: str, gtin: str = "") -> tuple[str, str]:
    """Order 100 of an article; return (supplier, GTIN)."""
    row = faulty.bench.site.articles[gtin or faulty.bench.site.opening[0].gtin]
    order = PurchaseOrder(
        po_id=po_id, supplier_id=row.supplier_id, lines=(OrderLine(gtin=row.gtin, units=100),),
        ordered_at_ns=1,
    )  # fmt: skip
    wanted = topics.PURCHASE_ORDER.of(site=SITE, supplier=row.supplier_id)
    faulty.bench.bus.publish(wanted, encode(order))
    return row.supplier_id, row.gtin


def lead_s(faulty: Faulty, supplier: str) -> float:
    return faulty.bench.site.suppliers[supplier].lead_time_d * DAY_S


def arrived(faulty: Faulty, po_id: str, supplier: str) -> bool:
    wanted = topics.SUPPLIER_NOTICE.of(site=SITE, supplier=supplier)
    notices = [decode(payload, SupplierNotice) for payload in faulty.bench.payloads(wanted)]
    return any(n.po_id == po_id and n.status == "arrived" for n in notices)


def at_the_gate(faulty: Faulty, supplier: str) -> dict[str, int]:
    return faulty.bench.floor.world.stock_at(f"supplier:{supplier}")


def test_a_late_supplier_comes_days_later(faulty: Faulty) -> None:
    supplier, _ = buy(faulty, "PO0")
    faulty.run(1)
    end = faulty.begin("supplier-late", supplier, delay="3 days")
    faulty.run(1.3 * lead_s(faulty, supplier))
    assert not arrived(faulty, "PO0", supplier)
    faulty.run(3 * DAY_S)
    assert arrived(faulty, "PO0", supplier)
    end()
    buy(faulty, "PO1")
    faulty.run(1.3 * lead_s(faulty, supplier))
    assert arrived(faulty, "PO1", supplier)


@pytest.mark.parametrize(
    ("kind", "share", "units"),
    [("supplier-short", 0.3, 70), ("supplier-over", 0.2, 120), ("supplier-damage", 1.0, 0)],
)
def test_a_supplier_brings_less_or_more_or_broken_goods(
    faulty: Faulty, kind: str, share: float, units: int
) -> None:
    supplier, gtin = buy(faulty, "PO0")
    end = faulty.begin(kind, supplier, share=share)
    faulty.run(1.4 * lead_s(faulty, supplier))
    assert at_the_gate(faulty, supplier).get(gtin, 0) == units
    end()
    buy(faulty, "PO1")
    faulty.run(1.4 * lead_s(faulty, supplier))
    assert at_the_gate(faulty, supplier)[gtin] == units + 100


def test_a_pallet_holds_another_article_than_its_paper_says(faulty: Faulty) -> None:
    gtin = faulty.bench.site.opening[0].gtin
    sku = faulty.bench.site.articles[gtin].sku
    faulty.begin("wrong-pallet", sku)
    supplier, _ = buy(faulty, "PO0")
    faulty.run(1.4 * lead_s(faulty, supplier))
    [(other, units)] = at_the_gate(faulty, supplier).items()
    assert (other != gtin, units) == (True, 100)
    buy(faulty, "PO1")
    faulty.run(1.4 * lead_s(faulty, supplier))
    assert at_the_gate(faulty, supplier) == {gtin: 100, other: 100}


def test_a_wrong_pallet_that_has_not_come_when_it_ends_never_comes(faulty: Faulty) -> None:
    gtin = faulty.bench.site.opening[0].gtin
    faulty.begin("wrong-pallet", gtin)()
    supplier, _ = buy(faulty, "PO0")
    faulty.run(1.4 * lead_s(faulty, supplier))
    assert at_the_gate(faulty, supplier) == {gtin: 100}


def ordered(faulty: Faulty) -> list[CustomerOrder]:
    payloads = faulty.bench.payloads(topics.CUSTOMER_ORDER.of(site=SITE))
    return list({o.order_id: o for o in (decode(p, CustomerOrder) for p in payloads)}.values())


def test_everything_is_ordered_many_times_as_much(faulty: Faulty) -> None:
    def in_two_days() -> int:
        before = len(ordered(faulty))
        faulty.run(2 * DAY_S)
        return len(ordered(faulty)) - before

    usual = in_two_days()
    end = faulty.begin("demand-surge", "all", factor="5 x")
    assert in_two_days() > 3 * usual
    end()
    assert in_two_days() < 2 * usual


def test_it_pours_and_umbrellas_are_wanted(faulty: Faulty) -> None:
    weather = faulty.bench.floor.weather
    end = faulty.begin("cloudburst", "site", rain="10 mm/h")
    assert weather.rain_mm_h == 10
    assert weather.factor("Umbrella, folding") == pytest.approx(8)
    end()
    assert weather.rain_mm_h == 0
    assert weather.factor("Umbrella, folding") == 1


def test_orders_stop_coming_and_then_come_all_at_once(faulty: Faulty) -> None:
    end = faulty.begin("feed-missing", "site")
    before = len(ordered(faulty))
    faulty.run(2 * DAY_S)
    assert len(ordered(faulty)) == before
    end()
    faulty.run(0.1)
    assert len(ordered(faulty)) - before > 30


def test_weather_reports_stop_coming(faulty: Faulty) -> None:
    heard: list[object] = []
    faulty.bench.floor.weather_feed.listen(heard.append)
    end = faulty.begin("weather-feed-missing", "site")
    faulty.run(3 * DAY_S)
    assert heard == []
    end()
    faulty.run(3 * DAY_S)
    assert heard
