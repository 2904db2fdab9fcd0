"""The whole product while people err: the books differ by exactly what the incidents explain."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import msgspec
import pytest

from central.agent import build_central
from central.config import CentralConfig
from edge.agent import build_edge
from edge.config import EdgeConfig
from runtime.config import load_config
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimConfig, SimErrors, SimSuppliers
from sim_hardware.floor import SimulatedFloor, Truth, build_floor
from stockhelm.demo_site import Ports, write_demo

pytestmark = pytest.mark.soak
SECONDS = 45
PORTS = Ports(broker=1883, desk=8000, pictures=8001)
ERRORS = SimErrors(misplace=0.3, miscount=0.15, wrong_pick=0.15, forget_scan=0.05, steal=0.1)
SUPPLIERS = SimSuppliers(parts_max=3, part_gap_d=0.1, short_share=0.3, damaged_share=0.05)


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[SimulatedFloor, Truth]:
    """Return a floor that worked with careless people, and its truth beside central's books."""
    seed = 7
    demo = write_demo(
        tmp_path_factory.mktemp("errors"), seed=seed, speed=4.0, ports=PORTS, sales=None
    )
    runtime = VirtualRuntime(seed)
    for edge in demo.edges:
        config = load_config(demo.config(f"edge-{edge}"), EdgeConfig)
        build_edge(VirtualRuntime(seed, shared=runtime), Metrics(), config).start()
    central = load_config(demo.config("central"), CentralConfig)
    build_central(VirtualRuntime(seed, shared=runtime), Metrics(), central).start()
    sim = msgspec.structs.replace(
        load_config(demo.config("sim"), SimConfig), errors=(ERRORS,), suppliers=(SUPPLIERS,)
    )
    floor = build_floor(VirtualRuntime(seed, shared=runtime), sim, Metrics())
    floor.start()
    runtime.run_for(SECONDS)
    floor.freeze()
    runtime.run_for(10)
    with closing(sqlite3.connect(demo.data("central") / "central.db")) as db:
        books = db.execute("SELECT place, gtin, units FROM balance").fetchall()
    return floor, floor.truth(books)


def test_people_err_and_the_product_goes_on(worked: tuple[SimulatedFloor, Truth]) -> None:
    _, truth = worked
    assert {"misplaced", "miscounted", "wrong-pick", "stolen"} & set(truth.incidents_by_kind)
    assert sum(truth.incidents_by_kind.values()) >= 5
    assert sum(sum(kinds.values()) for kinds in truth.tasks_done.values()) >= 15
    assert truth.robot_conflicts == 0
    assert truth.units_missing == {}


def test_accuracy_falls_and_every_difference_has_its_incident(
    worked: tuple[SimulatedFloor, Truth],
) -> None:
    floor, truth = worked
    assert truth.accuracy is not None
    assert truth.accuracy.bin_share < 1.0
    assert truth.accuracy.unit_share > 0.9
    differences = {(place, gtin): off for place, gtin, off in truth.accuracy.differences}
    explained = floor.world.incidents.explain(differences)
    assert [pair for pair, found in explained.items() if not found] == []
