"""Units are neither made nor lost, whatever people, robots, suppliers and readers do."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_hardware.config import SimOrders
from sim_hardware.world.stock import NotThereError, PhysicalStock
from tests.sim_floor import SITE, Bench, Master, Reader, make_bench, stock_action, tote_action
from wire import topics
from wire.codec import encode
from wire.messages import OrderLine, PersonTask, PurchaseOrder

PLACES = ("bin:A", "bin:B", "robot:r", "person:p", "tote:t")
GTINS = ("1", "2")
moves = st.tuples(
    st.sampled_from(["arrive", "leave", "move"]),
    st.sampled_from(PLACES),
    st.sampled_from(PLACES),
    st.sampled_from(GTINS),
    st.integers(1, 9),
)


@given(st.lists(moves, max_size=60))
def test_what_came_in_is_here_or_went_out(steps: list[tuple[str, str, str, str, int]]) -> None:
    stock = PhysicalStock()
    books: Counter[tuple[str, str]] = Counter()
    for kind, place, other, gtin, units in steps:
        enough = books[place, gtin] >= units
        if kind == "arrive":
            stock.arrive(place, gtin, units)
            books[place, gtin] += units
        elif not enough:
            with pytest.raises(NotThereError):
                stock.leave(place, gtin, units) if kind == "leave" else stock.move(
                    gtin, units, from_place=place, to_place=other
                )
        elif kind == "leave":
            stock.leave(place, gtin, units)
            books[place, gtin] -= units
        else:
            stock.move(gtin, units, from_place=place, to_place=other)
            books[place, gtin] -= units
            books[other, gtin] += units
        assert stock.missing() == {}
    assert stock.rows() == sorted((p, g, n) for (p, g), n in books.items() if n)


@settings(max_examples=10)
@given(st.integers(0, 2**32), st.data())
def test_a_floor_at_work_keeps_every_unit(seed: int, data: st.DataObject) -> None:
    """Random tasks, random refusals and silence, robots sent with and without stock to find."""
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench(
            Path(folder), seed=seed % 5, stray_scan_share=0.2, orders=SimOrders(day_s=5.0)
        )
        answers = data.draw(
            st.lists(st.sampled_from([None, None, None, "no: no", "silence"]), max_size=60)
        )
        Reader(bench, lambda _device, _text: answers.pop() if answers else None)
        start = total(bench)
        bought = give_work(bench, data)
        masters = [Master(bench, f"agv-{n}") for n in (1, 2)]
        for master in masters:
            send_somewhere(master, data)
        for _ in range(4):
            bench.runtime.run_for(15)
            assert bench.floor.world.stock.missing() == {}
        bench.floor.stop()
        truth = bench.floor.truth()
        assert truth.units_missing == {}
        assert all(units > 0 for _, _, units in truth.stock)
        packed = sum(start.values()) + bought - sum(total(bench).values())
        assert 0 <= packed <= bought + sum(start.values())


def total(bench: Bench) -> Counter[str]:
    """Return the units in the world by article."""
    found: Counter[str] = Counter()
    for _place, gtin, units in bench.floor.world.stock.rows():
        found[gtin] += units
    return found


def give_work(bench: Bench, data: st.DataObject) -> int:
    """Put random tasks on every screen and buy something; return the units bought."""
    stocked = data.draw(st.lists(st.sampled_from(bench.site.opening), min_size=6, max_size=12))
    gtin = stocked[0].gtin
    order = PurchaseOrder(
        po_id="PO1", supplier_id="S1", lines=(OrderLine(gtin=gtin, units=24),), ordered_at_ns=1
    )
    bench.bus.publish(topics.PURCHASE_ORDER.of(site=SITE, supplier="S1"), encode(order))
    tasks = [
        PersonTask(task_id="R1", kind="receive", gtin=gtin, units=24,
                   from_place="supplier:S1", to_place="bin:DOCK-1"),
        PersonTask(task_id="P1", kind="putaway", gtin=gtin, units=24,
                   from_place="bin:DOCK-1", to_place="bin:A-01-01-1"),
    ]  # fmt: skip
    bench.give_tasks("p1", *tasks)
    for number, row in enumerate(stocked):
        task = PersonTask(
            task_id=f"T{number}", kind=data.draw(st.sampled_from(["pick", "pick", "count"])),
            gtin=row.gtin, units=data.draw(st.integers(1, 60)),
            from_place=f"bin:{row.bin_id}", to_place=f"tote:O{number % 3}",
        )  # fmt: skip
        bench.give_tasks(f"p{3 + number % 4}", task)
    return 24


def send_somewhere(master: Master, data: st.DataObject) -> None:
    """Send a robot to take something; half of the time what it wants is not there."""
    row = data.draw(st.sampled_from(master.bench.site.opening))
    units = data.draw(st.integers(1, 80))
    hand = master.bench.floor.world.handover_bins[0]
    order, first = f"{master.serial}-o", master.start_node
    pick = f"pick/T-{master.serial}/{row.bin_id}/{row.gtin}/{units}"
    drop = f"drop/T-{master.serial}/A-01-01-1/{row.gtin}/{units}"
    there = master.bench.site.bins[row.bin_id].node_id
    goal = master.bench.site.bins["A-01-01-1"].node_id
    way = master.way(there, first)
    further = master.way(goal, there)[1:]
    end = master.way(hand.node_id, goal)[1:]
    nodes = [*way, *further, *end]
    tote = tote_action("pick", f"load/{master.serial}", "tote:O1", hand.bin_id)
    master.send(
        order,
        nodes,
        actions={
            len(way) - 1: (stock_action(pick),),
            len(way) + len(further) - 1: (stock_action(drop),),
            len(nodes) - 1: (tote,),
        }
        if further and end
        else {len(way) - 1: (stock_action(pick),)},
    )
