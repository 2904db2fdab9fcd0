"""The fleet's planner on a generated floor: crowded, with stations as goals, and all arrive."""

from __future__ import annotations

import numpy as np
import pytest

from central.fleet.graph import FloorGraph
from central.fleet.kernels import distance_field, pibt_step
from sim_hardware.world.warehouse.files import warehouse_texts
from sim_hardware.world.warehouse.generate import generate_warehouse
from sim_hardware.world.warehouse.spec import Wish, make_spec
from wire.site import parse_site


@pytest.mark.parametrize(
    ("bins", "robots", "steps_max"), [(50, 12, 400), (400, 100, 1_500), (4_000, 300, 1_500)]
)
def test_everybody_reaches_three_stations_in_turn(bins: int, robots: int, steps_max: int) -> None:
    wish = Wish(bins=bins, robots=robots, zones=1 if bins < 100 else 2)
    site = parse_site(warehouse_texts(generate_warehouse(make_spec(wish))))
    graph = FloorGraph(site.nodes, site.edges)
    rng = np.random.default_rng(11)
    stations = np.array([i for i, kind in enumerate(graph.kinds) if kind == "station"])
    errands = stations[rng.integers(0, len(stations), (robots, 3))]
    nobody = np.zeros(len(graph), np.uint8)
    goals, row_of = np.unique(errands, return_inverse=True)
    fields = np.array([distance_field(*graph.reverse, nobody, int(goal)) for goal in goals])
    assert np.isfinite(fields).all()
    rows = row_of.reshape(errands.shape).astype(np.int32)
    at = np.array([graph.number[robot.node_id] for robot in site.robots], np.int32)
    before = np.full(robots, -1, np.int32)
    done, waits = np.zeros(robots, np.int64), np.zeros(robots, np.int64)
    for step in range(steps_max):
        row = np.where(done < 3, rows[np.arange(robots), np.minimum(done, 2)], -1)
        order = np.lexsort((np.arange(robots), -waits)).astype(np.int32)
        after = pibt_step(
            graph.indptr, graph.indices, graph.xy32_m, fields, row.astype(np.int32), before, at,
            order, np.zeros(robots, np.uint8), nobody, step,
        )  # fmt: skip
        assert len(set(after.tolist())) == robots
        before, at = np.where(after != at, at, before).astype(np.int32), after
        there = (done < 3) & (at == errands[np.arange(robots), np.minimum(done, 2)])
        done += there
        waits = np.where(there | (done == 3), 0, waits + 1)
        if (done == 3).all():
            return
    pytest.fail(f"{int((done < 3).sum())} of {robots} robots still drive after {steps_max} steps")
