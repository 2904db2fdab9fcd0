"""The generated site: a floor that robots can always leave, stock that gives work at once."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from sim_hardware.world.generate import LOW_FACES, generate_site
from wire.ids import parse_gtin
from wire.site import Site, parse_site

SEEDS = (1, 7, 41)


def neighbours(site: Site) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for edge in site.edges:
        found[edge.from_node].add(edge.to_node)
    return found


def reachable(graph: dict[str, set[str]], start: str, without: str = "") -> set[str]:
    seen, queue = {start}, [start]
    for here in queue:
        for there in graph[here] - seen - {without}:
            seen.add(there)
            queue.append(there)
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_the_floor_stays_connected_without_any_one_node(seed: int) -> None:
    site = parse_site(generate_site(seed))
    graph = neighbours(site)
    assert all(a in graph[b] for a, others in graph.items() for b in others)
    for gone in site.nodes:
        start = next(name for name in site.nodes if name != gone)
        assert len(reachable(graph, start, gone)) == len(site.nodes) - 1, gone


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_are_far_enough_apart_for_two_robots(seed: int) -> None:
    site = parse_site(generate_site(seed))
    places = [(n.x_m, n.y_m) for n in site.nodes.values()]
    gaps = [math.dist(a, b) for i, a in enumerate(places) for b in places[:i]]
    assert min(gaps) >= 1.2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_site_is_the_one_of_the_demo(seed: int) -> None:
    site = parse_site(generate_site(seed))
    kinds = Counter((row.edge_id, row.kind) for row in site.bins.values())
    assert kinds == {
        ("A", "dock"): 2, ("A", "reserve"): 112,
        ("B", "pick"): 60, ("B", "reserve"): 16, ("B", "pack"): 6,
    }  # fmt: skip
    assert len(site.articles) == 40
    assert len(site.robots) == 6
    assert len({robot.node_id for robot in site.robots}) == 6
    assert sorted(site.people) == ["p1", "p2", "p3", "p4", "p5", "p6"]
    faces = {row.gtin for row in site.bins.values() if row.kind == "pick"}
    assert faces == set(site.articles)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_bin_holds_more_than_fits_and_some_faces_are_nearly_empty(seed: int) -> None:
    site = parse_site(generate_site(seed))
    held: Counter[str] = Counter()
    for row in site.opening:
        held[row.bin_id] += row.units
    assert all(units <= site.bins[bin_id].capacity_units for bin_id, units in held.items())
    faces = [row for row in site.bins.values() if row.kind == "pick"]
    assert sum(held[f.bin_id] <= f.capacity_units * 0.1 for f in faces) >= LOW_FACES
    slotted = [row for row in site.opening if site.bins[row.bin_id].kind == "pick"]
    assert all(site.bins[row.bin_id].gtin == row.gtin for row in slotted)


def test_articles_bear_numbers_that_no_product_on_sale_has() -> None:
    site = parse_site(generate_site(7))
    assert all(parse_gtin(gtin).startswith("0952") for gtin in site.articles)


def test_a_seed_gives_the_same_site_whatever_the_hash_seed() -> None:
    script = (
        "import hashlib; from sim_hardware.world.generate import generate_site;"
        "print(hashlib.sha256(repr(generate_site(5)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": hash_seed},
        ).stdout
        for hash_seed in ("0", "1", "77")
    }  # fmt: skip
    assert len(digests) == 1
    assert generate_site(5) != generate_site(6)


def test_given_sales_decide_who_is_a_fast_mover() -> None:
    history = [(-2, "slow", 1), (-1, "fast", 30), (-1, "fast", 10), (-2, "fast", 40)]
    texts = generate_site(7, skus=["slow", "fast"], history=history)
    site = parse_site(texts)
    gtins = {row.sku: row.gtin for row in site.articles.values()}
    assert texts["history.csv"].splitlines() == [
        "day,gtin,units", f"-2,{gtins['slow']},1", f"-2,{gtins['fast']},40",
        f"-1,{gtins['fast']},40",
    ]  # fmt: skip
    size = {
        row.gtin: row.capacity_units
        for row in site.bins.values()
        if row.edge_id == "B" and row.kind == "reserve"
    }
    assert size[gtins["fast"]] > size[gtins["slow"]]


@pytest.mark.parametrize(
    ("skus", "history", "text"),
    [
        ([], None, ""),
        ([f"s{n}" for n in range(61)], None, "61 SKUs: expected 1 to 60"),
        (["a", "a"], None, "one of them stands there twice"),
        (["a"], [(-1, "b", 1)], "SKU 'b' is none of the 1 articles"),
        (["a"], [(0, "a", 1)], "day 0, expected days before the first one"),
    ],
)
def test_what_cannot_be_a_site_is_refused(
    skus: list[str], history: list[tuple[int, str, int]] | None, text: str
) -> None:
    if not text:
        assert len(parse_site(generate_site(7, skus=skus, history=history)).articles) == 40
        return
    with pytest.raises(ValueError, match=text):
        generate_site(7, skus=skus, history=history)
