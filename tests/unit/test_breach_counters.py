"""The figures that watch promises (docs/promises.md) move when one is broken, and only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlite_utils

from central.config import PolicyConfig
from central.replenish.types import Plan, Proposal
from central.tables import reservation
from edge.agent import ADDED_UP_S
from edge.counting.store import FILE_NAME
from tests.central_world import PEN, CentralWorld
from tests.edge_world import MUG, EdgeWorld, article_label, bin_label, command_label, task


def of_central(world: CentralWorld, name: str) -> dict[str, int]:
    counters = world.metrics.snapshot().counters
    return {key: count for key, count in counters.items() if key.partition("{")[0] == name}


@pytest.fixture
def central(tmp_path: Path) -> CentralWorld:
    world = CentralWorld(tmp_path, policy=PolicyConfig(auto_units_max=20))
    world.open_stock()
    return world


def test_a_promise_that_is_taken_back_is_counted(central: CentralWorld) -> None:
    for person in central.people.values():
        person.idle = True
    central.order("O1", (PEN, 15))
    central.rt.run_for(1.0)
    assert [(row.place, row.units) for row in central.rows(reservation.select())] == [
        ("bin:B-11", 15)
    ]
    central.edges["B"].move(PEN, 3, "bin:B-11", "loss:")  # 17 are left: enough
    central.rt.run_for(1.0)
    assert of_central(central, "reservations_cut") == {}
    central.edges["B"].move(PEN, 3, "bin:B-11", "loss:")
    central.rt.run_for(1.0)
    assert of_central(central, "reservations_cut") == {"reservations_cut": 1}


def proposal(**fields: Any) -> Proposal:
    values = {
        "kind": "refill", "gtin": PEN, "units": 12, "from_place": "bin:A-01",
        "to_place": "bin:B-12", "reason": "runs low", "numbers": {"position_units": 4},
    }  # fmt: skip
    return msgspec.convert(values | fields, Proposal)


@pytest.mark.parametrize(
    ("fields", "counted"),
    [({}, {}), ({"reason": ""}, {"proposals_unexplained{refill}": 1}),
     ({"numbers": {}}, {"proposals_unexplained{refill}": 1})],
    ids=["explained", "no reason", "no numbers"],
)  # fmt: skip
def test_a_proposal_that_says_no_reason_is_counted(
    central: CentralWorld, fields: dict[str, Any], counted: dict[str, int]
) -> None:
    central.keeper.take_plan(Plan(proposals=(proposal(**fields),), forecasts=()))
    central.rt.run_for(1.0)
    assert len(central.proposals("refill")) == 1
    assert of_central(central, "proposals_unexplained") == counted


def test_counts_that_no_journal_adds_up_to_are_counted(tmp_path: Path) -> None:
    world = EdgeWorld(tmp_path).start()
    world.tell_tasks(task())
    world.scan(command_label("PICK"), bin_label("A-01"), article_label(units=3))
    world.run(2 * ADDED_UP_S)
    world.restart()
    assert world.counter(f"counts_unbalanced{{{MUG}}}") == 0
    (file,) = tmp_path.rglob(FILE_NAME)
    db = sqlite_utils.Database(file)
    with db.conn:
        db.execute("UPDATE counts SET units = units + 1 WHERE place = 'bin:A-01'")
    db.close()
    world.run(ADDED_UP_S)
    assert world.counter(f"counts_unbalanced{{{MUG}}}") == 1
    world.restart()  # its figures begin anew
    assert world.counter(f"counts_unbalanced{{{MUG}}}") == 1
