"""A generated warehouse looks like retail, and its floor like one that robots can always leave."""

from __future__ import annotations

import hashlib
import io
import json
import math
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from runtime.errors import StartError
from sim_hardware.world.catalogue import WEEKDAY_FACTOR
from sim_hardware.world.floor_map import FloorMap
from sim_hardware.world.warehouse.columns import metres, whole, words, write_csv
from sim_hardware.world.warehouse.demand import HISTORY_DAYS, velocity_classes
from sim_hardware.world.warehouse.floor import CHARGER
from sim_hardware.world.warehouse.generate import generate_warehouse, zone_names
from sim_hardware.world.warehouse.picture import warehouse_svg
from sim_hardware.world.warehouse.spec import WarehouseError, Wish, make_spec
from stockhelm.sim_generate import sim_generate
from tests.warehouses import open_places, reached, site, warehouse
from wire.site import FILES, parse_site

SIZES = (50, 400, 5_000)


# --- demand ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [400, 5_000, 30_000])
@pytest.mark.parametrize("seed", [1, 7])
def test_a_fifth_of_the_articles_make_most_of_the_units(bins: int, seed: int) -> None:
    w = warehouse(bins, seed)
    units = np.sort(w.sales.per_day(len(w.catalogue)))[::-1]
    share = units[: len(units) // 5].sum() / units.sum()
    assert 0.70 <= share <= 0.90


def test_slow_movers_sell_on_few_days_and_then_several_units() -> None:
    w = warehouse(30_000)
    days = np.bincount(w.sales.article, minlength=len(w.catalogue))
    zeros = 1.0 - days / HISTORY_DAYS
    of_class = [zeros[w.catalogue.velocity_class == number].mean() for number in range(3)]
    assert of_class[0] < 0.15
    assert of_class[0] < of_class[1] < of_class[2]
    assert of_class[2] > 0.75
    is_slow = w.catalogue.velocity_class[w.sales.article] == 2
    assert 1.3 < w.sales.units[is_slow].mean() < 3.0


def test_weekdays_differ_as_they_should() -> None:
    sales = warehouse(30_000).sales
    by_day = np.bincount(sales.day % 7, sales.units, 7)
    expected = np.array(WEEKDAY_FACTOR) / np.mean(WEEKDAY_FACTOR)
    assert by_day / by_day.mean() == pytest.approx(expected, abs=0.06)


def test_units_sold_are_what_the_orders_are_worth() -> None:
    w = warehouse(30_000)
    wanted = w.catalogue.units_per_day.sum()
    assert wanted == pytest.approx(4_500 * 1.7 * 2.02, rel=1e-6)
    assert w.sales.units.sum() / HISTORY_DAYS == pytest.approx(wanted, rel=0.1)


def test_promotions_lift_whole_weeks() -> None:
    w = warehouse(30_000)
    fast = np.argsort(-w.catalogue.units_per_day)[:300]
    table = np.zeros((len(w.catalogue), HISTORY_DAYS))
    table[w.sales.article, w.sales.day + HISTORY_DAYS] = w.sales.units
    weeks = table[fast].reshape(len(fast), HISTORY_DAYS // 7, 7).sum(axis=2)
    lifted = weeks > 1.6 * np.median(weeks, axis=1, keepdims=True)
    assert 0.01 < lifted.mean() < 0.10


def test_classes_split_the_units_at_80_and_95_percent() -> None:
    assert velocity_classes(np.array([1.0, 80.0, 15.0, 4.0])).tolist() == [2, 0, 1, 2]
    assert velocity_classes(np.array([5.0])).tolist() == [0]


# --- slots and stock -----------------------------------------------------------------------------


@pytest.mark.parametrize("bins", [400, 5_000, 30_000])
def test_the_faster_an_article_sells_the_nearer_it_stands(bins: int) -> None:
    w = warehouse(bins)
    is_face = w.slotting.is_face
    walk_m = w.floor.block.places.walk_m[w.rack.place[is_face]]
    article = w.slotting.article[is_face]
    of_class = [walk_m[w.catalogue.velocity_class[article] == n].mean() for n in range(3)]
    assert of_class[0] < of_class[1] < of_class[2]
    faces = np.bincount(article, minlength=len(w.catalogue))
    speed = w.catalogue.units_per_day / faces
    by_speed, by_walk = (np.argsort(np.argsort(values)) for values in (speed[article], walk_m))
    both = np.cov(by_speed, by_walk)
    assert both[0, 1] / math.sqrt(both[0, 0] * both[1, 1]) < -0.8


def test_the_reserve_of_fast_movers_stands_near_too() -> None:
    w = warehouse(30_000)
    is_reserve = ~w.slotting.is_face[w.opening.rack]
    walk_m = w.floor.block.places.walk_m[w.rack.place[w.opening.rack[is_reserve]]]
    classes = w.catalogue.velocity_class[w.opening.article[is_reserve]]
    of_class = [walk_m[classes == number].mean() for number in range(3)]
    assert of_class[0] < of_class[1] < of_class[2]


@pytest.mark.parametrize("bins", SIZES)
def test_every_article_has_a_face_and_fast_ones_several(bins: int) -> None:
    w = warehouse(bins)
    faces = np.bincount(w.slotting.article[w.slotting.is_face], minlength=len(w.catalogue))
    assert faces.min() == 1
    assert faces[w.catalogue.velocity_class == 0].min() >= 2
    assert faces[w.catalogue.velocity_class == 2].max() == 1


@pytest.mark.parametrize("bins", SIZES)
def test_no_bin_holds_more_than_fits_and_each_holds_one_article(bins: int) -> None:
    found = site(bins)
    assert len({row.bin_id for row in found.opening}) == len(found.opening)
    for row in found.opening:
        there = found.bins[row.bin_id]
        assert row.units <= there.capacity_units
        assert there.kind in {"pick", "reserve"}
        assert there.gtin in {"", row.gtin}
    reserve = [row for row in found.bins.values() if row.kind == "reserve"]
    full = {row.bin_id for row in found.opening}
    assert 0.1 < sum(row.bin_id in full for row in reserve) / len(reserve) < 0.92


def test_there_is_work_on_the_first_day() -> None:
    found = site(5_000)
    faces = [row for row in found.opening if found.bins[row.bin_id].kind == "pick"]
    low = [row for row in faces if row.units < 0.3 * found.bins[row.bin_id].capacity_units]
    assert 0.01 < len(low) / len(faces) < 0.1
    stocked = {r.gtin for r in found.opening if found.bins[r.bin_id].kind == "reserve"}
    assert len(found.articles) - len(stocked) == math.ceil(len(found.articles) / 100)


def test_longer_cover_means_more_stock() -> None:
    units = [
        generate_warehouse(make_spec(Wish(bins=2_000, cover_d=days))).opening.units.sum()
        for days in (5.0, 20.0, 40.0)
    ]
    assert units[0] < units[1] < units[2]


# --- the floor -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", SIZES)
def test_the_floor_stays_connected_without_any_one_node(bins: int) -> None:
    floor = warehouse(bins).floor
    assert open_places(floor) == set()
    assert reached(floor, 0, without=1).sum() == len(floor) - 1


@pytest.mark.parametrize("bins", SIZES)
def test_every_bin_is_reached_from_every_dock_and_back(bins: int) -> None:
    found = site(bins)
    ways = FloorMap(found)
    assert {(e.from_node, e.to_node) for e in found.edges} == {
        (e.to_node, e.from_node) for e in found.edges
    }
    docks = [row for row in found.bins.values() if row.kind == "dock"]
    assert docks
    for dock in docks:
        far_m = [ways.walk_m(dock.node_id, row.node_id) for row in found.bins.values()]
        width_m = max(n.x_m for n in found.nodes.values())
        depth_m = max(n.y_m for n in found.nodes.values())
        assert max(far_m) <= 1.5 * (width_m + depth_m)
        node = warehouse(bins).floor.numbers[0, round(dock.x_m / 1.5)]
        assert reached(warehouse(bins).floor, int(node)).all()


@pytest.mark.parametrize("bins", SIZES)
def test_lanes_join_neighbours_only_and_nodes_are_far_enough_apart(bins: int) -> None:
    found = site(bins)
    for edge in found.edges:
        a, b = found.nodes[edge.from_node], found.nodes[edge.to_node]
        assert math.dist((a.x_m, a.y_m), (b.x_m, b.y_m)) == pytest.approx(1.5)
    assert len({(n.x_m, n.y_m) for n in found.nodes.values()}) == len(found.nodes)


def test_ten_thousand_robots_stand_apart_and_a_third_of_the_bays_charge() -> None:
    w = generate_warehouse(make_spec(Wish(bins=100_000, robots=10_000)))
    assert len(set(w.robot_nodes.tolist())) == 10_000
    chargers = int((w.floor.kinds == CHARGER).sum())
    assert chargers == pytest.approx(10_000 / 3, rel=0.01)
    assert reached(w.floor, 0).all()


def test_each_robot_of_a_small_site_has_a_charger() -> None:
    found = site(400)
    assert {found.nodes[robot.node_id].kind for robot in found.robots} == {"charger"}


# --- the site ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bins", SIZES)
def test_the_product_accepts_it_and_finds_what_it_needs(bins: int) -> None:
    found = site(bins)
    assert len(found.bins) == bins
    kinds = Counter(row.kind for row in found.bins.values())
    assert set(kinds) == {"dock", "pick", "reserve", "pack"}
    for zone in {row.edge_id for row in found.bins.values()}:
        mine = found.edge_bins(zone).values()
        hands = sum(row.bin_id.startswith("HAND-") for row in mine)
        assert hands >= 1
        assert sum(row.kind == "pack" for row in mine) - hands >= 1
        roles = {r for p in found.people.values() if p.edge_id == zone for r in p.roles.split()}
        wanted = {"pick", "putaway", "count"}
        docks = [row for row in mine if row.kind == "dock"]
        assert roles == wanted | ({"receive"} if docks else set())
    assert {row.supplier_id for row in found.articles.values()} <= set(found.suppliers)
    assert all(gtin.startswith("0952") for gtin in found.articles)


def test_a_seed_gives_the_same_files_whatever_the_hash_seed() -> None:
    script = (
        "import hashlib\n"
        "from sim_hardware.world.warehouse.files import warehouse_texts\n"
        "from sim_hardware.world.warehouse.generate import generate_warehouse\n"
        "from sim_hardware.world.warehouse.picture import warehouse_svg\n"
        "from sim_hardware.world.warehouse.spec import Wish, make_spec\n"
        "w = generate_warehouse(make_spec(Wish(bins=700, seed=5)))\n"
        "told = repr(warehouse_texts(w)) + warehouse_svg(w)\n"
        "print(hashlib.sha256(told.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("0", "77")
    }  # fmt: skip
    assert len(digests) == 1
    assert warehouse(400, 1).opening.units.tolist() != warehouse(400, 7).opening.units.tolist()


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        (Wish(bins=49), "bins 49: expected 50 to 1000000"),
        (Wish(bins=2_000_000), "bins 2000000: expected 50 to 1000000"),
        (Wish(bins=100, skus=60), "skus 60: expected 1 to 48"),
        (Wish(bins=100, robots=26), "robots 26: expected 0 to 25"),
        (Wish(bins=100, zones=3), "zones 3: expected 1 to 2"),
        (Wish(bins=100, people=0), "people 0: expected 1 to 50000"),
        (Wish(bins=100, orders_per_day=0.0), "orders_per_day 0: expected 1 to 5000000"),
        (Wish(bins=100, cover_d=-1.0), "cover_d -1: expected 0 to 365"),
    ],
)
def test_what_cannot_be_built_is_refused_with_what_can(wish: Wish, text: str) -> None:
    with pytest.raises(WarehouseError, match=text):
        make_spec(wish)


def test_zones_have_names_of_one_length() -> None:
    assert zone_names(3) == ["A", "B", "C"]
    assert zone_names(28)[25:] == ["AZ", "BA", "BB"]
    assert len(set(zone_names(676))) == 676


# --- the folder and the map ----------------------------------------------------------------------


def test_the_command_writes_a_site_that_can_be_read_and_says_how_it_was_made(
    tmp_path: Path,
) -> None:
    folder, drawing = tmp_path / "site", tmp_path / "site.svg"
    console = Console(file=io.StringIO(), width=200)
    sim_generate(folder, Wish(bins=400, seed=3), console, map_file=drawing)
    found = parse_site({name: (folder / name).read_text() for name in FILES})
    assert len(found.bins) == 400
    spec = json.loads((folder / "generated.json").read_text())
    assert (spec["bins"], spec["seed"], spec["zones"]) == (400, 3, 2)
    assert ET.parse(drawing).getroot().tag.endswith("svg")
    again = tmp_path / "again"
    sim_generate(again, Wish(bins=400, seed=3), console)
    digests = [
        hashlib.sha256(b"".join(f.read_bytes() for f in sorted(d.iterdir()))).hexdigest()
        for d in (folder, again)
    ]
    assert digests[0] == digests[1]


def test_the_command_line_says_what_it_made_or_why_not(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "stockhelm", "sim", "generate", str(tmp_path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    refused = run("--bins", "60", "--robots", "999")
    assert refused.returncode == 2
    assert refused.stderr == "stockhelm: no such warehouse: robots 999: expected 0 to 15\n"
    made = run("--bins", "60", "--robots", "15", "--skus", "9", "--zones", "1", "--seed", "2")
    assert made.returncode == 0, made.stderr
    found = parse_site({name: (tmp_path / name).read_text() for name in FILES})
    assert (len(found.bins), len(found.robots), len(found.articles)) == (60, 15, 9)
    assert "9 articles, 15 robots" in " ".join(made.stdout.split())


def test_a_folder_with_a_site_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("mine\n")
    with pytest.raises(StartError, match=r"holds people\.csv already"):
        sim_generate(tmp_path, Wish(bins=50), Console(file=io.StringIO()))
    assert [file.name for file in tmp_path.iterdir()] == ["people.csv"]


def test_a_map_that_is_no_svg_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"a\.png: expected a name that ends in \.svg"):
        sim_generate(
            tmp_path / "s", Wish(bins=50), Console(file=io.StringIO()), map_file=Path("a.png")
        )
    assert not (tmp_path / "s").exists()


def test_the_map_shows_each_robot_dock_and_zone() -> None:
    w = warehouse(5_000)
    root = ET.fromstring(warehouse_svg(w))
    colors = Counter(item.get("fill") for item in root.iter("{http://www.w3.org/2000/svg}rect"))
    assert colors["#0f172a"] == w.spec.robots + 1  # and the legend's
    assert colors["#1d4ed8"] == w.spec.sizes.docks + 1
    texts = {item.text for item in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"A", "B"} <= texts


# --- columns -------------------------------------------------------------------------------------


def test_columns_are_written_as_a_csv_writer_would() -> None:
    file = io.BytesIO()
    write_csv(
        file,
        "id,name,x_m",
        [
            b"B-", whole(np.array([1, 12, 3]), 2), b",",
            words(("ä", '"a, b"', ""), np.array([0, 1, -1])), b",",
            metres(np.array([1.5, -0.375, 12.0])),
        ],
    )  # fmt: skip
    assert file.getvalue().decode() == 'id,name,x_m\nB-01,ä,1.5\nB-12,"a, b",-0.375\nB-03,,12.0\n'
