"""Simulated goods are of lots: in the racks, on lorries, in hands and on their labels."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.opening import opening_movements
from edge.scanning.gs1 import ArticleLabel, read_label
from sim_hardware.devices import scan_text
from sim_hardware.world.generate import generate_site
from sim_hardware.world.lots import LOTS_MAX, NO_MARK, Deliveries, Mark, give_lots, mark_of
from sim_hardware.world.stock import PhysicalStock
from wire.ids import Gtin14
from wire.site import SiteError, parse_site

GTIN = "04006381333931"
OLD, NEW = mark_of(1), mark_of(2)
UNIT = Mark(serial="S1")
PLACES = ("bin:A", "bin:B", "robot:r")
MARKS = (NO_MARK, OLD, NEW)


def test_what_expires_first_is_taken_first_and_before_that_what_is_of_no_lot() -> None:
    stock = PhysicalStock()
    for mark, units in ((NEW, 5), (OLD, 3), (NO_MARK, 1)):
        stock.arrive("bin:A", GTIN, units, mark)
    assert stock.first("bin:A", GTIN, 9) == (NO_MARK, 1)
    stock.move(GTIN, 6, from_place="bin:A", to_place="robot:r")
    assert stock.marks_at("robot:r", GTIN) == {OLD: 3, NEW: 2}
    assert stock.first("bin:A", GTIN, 9) == (NEW, 3)
    stock.leave("robot:r", GTIN, 6)
    assert stock.lot_units_out(GTIN, "L1") == 3
    assert stock.lots() == [("bin:A", GTIN, "L2", 3)]


def test_a_lot_that_is_asked_for_is_taken_and_then_the_others() -> None:
    stock = PhysicalStock()
    stock.arrive("bin:A", GTIN, 3, OLD)
    stock.arrive("bin:A", GTIN, 3, NEW)
    assert stock.first("bin:A", GTIN, 5, "L2") == (NEW, 3)
    stock.move(GTIN, 4, from_place="bin:A", to_place="bin:B", mark=NEW)
    assert stock.marks_at("bin:B", GTIN) == {NEW: 3, OLD: 1}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["arrive", "move", "leave"]), st.sampled_from(PLACES),
            st.sampled_from(PLACES), st.sampled_from(MARKS), st.integers(1, 9),
        ),
        max_size=50,
    )
)  # fmt: skip
def test_no_unit_of_a_lot_is_made_or_lost(steps: list[tuple[str, str, str, Mark, int]]) -> None:
    stock = PhysicalStock()
    came: Counter[str] = Counter()
    for kind, place, other, mark, units in steps:
        if kind == "arrive":
            stock.arrive(place, GTIN, units, mark)
            came[mark.lot] += units
        elif stock.units_at(place, GTIN) >= units:
            if kind == "leave":
                stock.leave(place, GTIN, units)
            else:
                stock.move(GTIN, units, from_place=place, to_place=other, mark=mark)
        here = Counter({"L1": 0, "L2": 0})
        for at, _, lot, n in stock.lots():
            here[lot] += n
            assert 0 < n <= stock.units_at(at, GTIN)
        for lot in ("L1", "L2"):
            assert here[lot] + stock.lot_units_out(GTIN, lot) == came[lot]
        assert stock.missing() == {}


def test_labels_say_what_an_edge_reads() -> None:
    assert read_label(scan_text.article(GTIN, 12, NEW)) == ArticleLabel(
        Gtin14(GTIN), 12, "L2", "2040-03-01"
    )
    assert read_label(scan_text.article(GTIN, 1, UNIT)) == ArticleLabel(
        Gtin14(GTIN), 1, serial="S1"
    )
    assert read_label(scan_text.article(GTIN, 1)) == ArticleLabel(Gtin14(GTIN), 1)


def test_a_site_gets_lots_and_numbers_and_keeps_its_units() -> None:
    plain = generate_site(7)
    texts = give_lots(plain, share=0.5, numbered=2, seed=7)
    assert give_lots(plain, share=0.5, numbered=2, seed=7) == texts
    before, site = parse_site(plain), parse_site(texts)
    units: Counter[tuple[str, str]] = Counter()
    for row in site.opening:
        units[row.bin_id, row.gtin] += row.units
    assert units == {(row.bin_id, row.gtin): row.units for row in before.opening}
    with_lots = {row.gtin for row in site.opening if row.lot}
    assert len(with_lots) == round(0.5 * len({row.gtin for row in before.opening}))
    numbered = {(row.bin_id, row.gtin) for row in site.opening if row.serial}
    assert len(numbered) == 2
    assert all(site.bins[bin_id].kind == "pick" for bin_id, _ in numbered)
    moves = opening_movements(site, "A", 1)
    assert {move.lot for move in moves} == {"", "L1", "L2"}
    assert all(bool(move.expires_on) == bool(move.lot) for move in moves)


def test_a_site_that_says_its_lots_itself_keeps_them() -> None:
    plain = generate_site(7)
    head, first, *rest = plain["opening.csv"].splitlines()
    said = first.replace(",,,", ",OWN,2041-05-31,")
    texts = plain | {"opening.csv": "\n".join([head, said, *rest]) + "\n"}
    site = parse_site(give_lots(texts, share=1.0, numbered=0, seed=7))
    assert [row.lot for row in site.opening if row.lot not in {"L1", "L2"}] == ["OWN"]
    without = {name: text for name, text in plain.items() if name != "opening.csv"}
    assert parse_site(give_lots(without, share=1.0, numbered=1, seed=7)).opening == ()
    with pytest.raises(SiteError, match=r"opening.csv line 2"):
        give_lots(
            plain | {"opening.csv": "bin_id,gtin,units\nX,1,many\n"}, share=1, numbered=0, seed=7
        )


def test_each_lorry_brings_a_newer_lot_of_what_comes_in_lots() -> None:
    site = parse_site(give_lots(generate_site(7), share=0.5, numbered=0, seed=7))
    gtin = next(row.gtin for row in site.opening if row.lot == "L2")
    other = next(row.gtin for row in site.opening if not row.lot)
    coming = Deliveries(site.opening)
    assert [coming.next_of(gtin).lot for _ in range(2)] == ["L3", "L4"]
    assert coming.next_of(other) == NO_MARK
    assert [coming.next_of(gtin) for _ in range(LOTS_MAX)][-1] == mark_of(LOTS_MAX)


@pytest.mark.parametrize("rows", [("2,S1",), ("1,S1", "1,S1")])
def test_a_serial_number_of_the_first_day_is_of_one_unit(rows: tuple[str, ...]) -> None:
    texts = {
        "bins.csv": "bin_id,edge_id,kind,x_m,y_m,z_m,node_id\nA-01,A,pick,0,0,0,n1\n",
        "articles.csv": "gtin,sku,name,case_units,price_cents,supplier_id\n"
        f"{GTIN},MUG,Mug,6,100,S1\n",
        "opening.csv": "bin_id,gtin,units,serial\n"
        + "".join(f"A-01,{GTIN},{row}\n" for row in rows),
    }
    with pytest.raises(SiteError, match="serial 'S1' of 04006381333931: expected one unit"):
        parse_site(texts)
