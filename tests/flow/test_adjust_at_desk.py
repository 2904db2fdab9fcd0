"""What a planner says at the desk that a bin holds: checked by central, booked by the edge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from central import tables as t
from central.ledger.verify import verify_ledger
from tests.central_world import CUP, PEN, CentralWorld


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CentralWorld]:
    given = {}
    if getattr(request, "param", "") == "postgresql":
        given["database_url"] = request.getfixturevalue("postgres_url")
    found = CentralWorld(tmp_path, **given)
    found.open_stock()
    yield found
    found.kill()


def asked(world: CentralWorld) -> list[tuple[str, str, int]]:
    return [(row.command_id, row.person_id, row.ok) for row in world.rows(select(t.decision))]


@pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)
def test_it_is_booked_by_the_edge_with_reason_and_person_and_kept(world: CentralWorld) -> None:
    world.adjust(77)
    world.rt.run_for(3.0)
    (answer,) = world.adjusted
    assert answer.ok
    assert answer.text == f"A-01 holds 80 x {PEN}; edge A books -3 as damaged of maria"
    assert (world.balance("bin:A-01"), world.balance("loss:")) == (77, 3)
    (move,) = world.rows(select(t.movement).where(t.movement.c.to_place == "loss:"))
    assert (move.edge_id, move.reason, move.person_id) == ("A", "damaged", "maria")
    assert asked(world) == [("a1", "maria", 1)]
    assert world.metrics.snapshot().counters["adjustments{taken}"] == 1
    assert verify_ledger(world.engine).balanced


def test_a_repeated_command_is_answered_the_same_and_booked_once(world: CentralWorld) -> None:
    for _ in range(3):
        world.adjust(-2, is_difference=True)
        world.rt.run_for(2.0)
    assert len({answer.text for answer in world.adjusted}) == 1
    assert len(world.adjusted) == 3
    assert world.balance("bin:A-01") == 78


@pytest.mark.parametrize(
    ("units", "fields", "says"),
    [
        (-81, {"is_difference": True}, f"A-01 holds 80 x {PEN}: it cannot hold 81 less"),
        (-1, {}, "expected 0 units or more in the bin, got -1"),
        (
            79,
            {"reason": "lot-said"},
            "reason 'lot-said' is what programs write: expected a word of your own",
        ),
        (
            79,
            {"reason": "opening"},
            "reason 'opening' is what programs write: expected a word of your own",
        ),
        (79, {"lot": "L\n"}, "lot 'L\\n': expected at most 20 characters that can be read"),
        (1, {"bin_id": "Z-99"}, "there is no bin 'Z-99' in bins.csv"),
        (1, {"gtin": "05000000000005"}, "there is no article '05000000000005' in articles.csv"),
    ],
)
def test_a_refusal_says_why_and_is_kept_too(
    world: CentralWorld, units: int, fields: dict[str, Any], says: str
) -> None:
    world.adjust(units, **fields)
    world.rt.run_for(1.0)
    world.adjust(units, **fields)
    world.rt.run_for(3.0)
    assert [(answer.ok, answer.text) for answer in world.adjusted] == [(False, says)] * 2
    assert asked(world) == [("a1", "maria", 0)]
    assert world.rows(select(t.edge_command)) == []
    assert world.metrics.snapshot().counters["adjustments{refused}"] == 1


def test_what_comes_too_late_is_not_booked(world: CentralWorld) -> None:
    world.adjust(70, expires_at_ns=world.shared.now_ns() - 5 * 10**9)
    world.rt.run_for(3.0)
    (answer,) = world.adjusted
    assert answer.text == (
        "came 5 s too late to central, so nothing is booked: look what A-01 holds now, and ask"
        " again"
    )
    assert world.balance("bin:A-01") == 80


def test_what_agrees_with_the_book_books_nothing(world: CentralWorld) -> None:
    world.adjust(80)
    world.rt.run_for(3.0)
    world.adjust(80)
    world.rt.run_for(3.0)
    said = f"A-01 holds 80 x {PEN} already: nothing is booked"
    assert [(answer.ok, answer.text) for answer in world.adjusted] == [(True, said)] * 2
    assert world.balance("bin:A-01") == 80


def test_saying_what_a_bin_holds_ends_what_an_older_count_proposed(world: CentralWorld) -> None:
    """Else approving that would book its difference a second time."""
    proposal = {
        "proposal_id": "adjust-9", "kind": "adjust", "status": "waiting", "gtin": PEN, "units": 30,
        "from_place": "bin:A-01", "to_place": "loss:", "reason": "counted 50", "numbers": "{}",
        "causes": "[]", "created_at_ns": 1, "expires_at_ns": 2**62,
    }  # fmt: skip
    other = proposal | {"proposal_id": "adjust-10", "gtin": CUP}
    with world.engine.begin() as conn:
        conn.execute(t.proposal.insert(), [proposal, other])
    world.adjust(-1, is_difference=True)
    world.rt.run_for(1.0)
    status = {row.proposal_id: row.status for row in world.proposals("adjust")}
    assert status == {"adjust-9": "waiting", "adjust-10": "waiting"}
    world.adjust(50, command_id="a2")
    world.rt.run_for(1.0)
    found = {row.proposal_id: row for row in world.proposals("adjust")}
    assert (found["adjust-9"].status, found["adjust-9"].decided_by) == ("expired", "maria")
    assert found["adjust-10"].status == "waiting"
    world.rt.run_for(3.0)
    assert world.balance("bin:A-01") == 50


@pytest.mark.parametrize("world", ["sqlite", "postgresql"], indirect=True)
def test_goods_come_out_of_quarantine_and_go_back(world: CentralWorld) -> None:
    world.edges["B"].move(PEN, 6, "bin:B-11", "quarantine:", lot="L1", reason="quarantine")
    world.rt.run_for(1.0)
    said = {"is_difference": True, "quarantine": True, "reason": "looked-at-good"}
    world.adjust(4, **said)
    world.rt.run_for(3.0)
    (answer,) = world.adjusted
    assert answer.ok, answer.text
    assert (world.balance("bin:A-01"), world.balance("quarantine:")) == (84, 2)
    (move,) = world.rows(select(t.movement).where(t.movement.c.from_place == "quarantine:"))
    assert (move.edge_id, move.lot, move.reason, move.person_id) == (
        "A", "L1", "looked-at-good", "maria",
    )  # fmt: skip
    world.adjust(-4, command_id="a2", lot="L1", **said)
    world.rt.run_for(3.0)
    assert (world.balance("bin:A-01"), world.balance("quarantine:")) == (80, 6)
    assert (world.balance("loss:"), world.balance("found:")) == (0, 0)
    assert verify_ledger(world.engine).balanced


@pytest.mark.parametrize(
    ("units", "fields", "says"),
    [
        (7, {}, f"6 x {PEN} of lot L1 are in quarantine, 7 asked for: there are 6 of lot L1"),
        (1, {"lot": "L2"}, f"0 x {PEN} of lot L2 are in quarantine, 1 asked for"),
        (1, {"gtin": CUP}, f"0 x {CUP} are in quarantine, 1 asked for"),
        (1, {"is_difference": False}, "quarantine: expected by how many units the bin has more"),
    ],
)
def test_more_than_is_in_quarantine_does_not_come_out(
    world: CentralWorld, units: int, fields: dict[str, Any], says: str
) -> None:
    world.edges["B"].move(PEN, 6, "bin:B-11", "quarantine:", lot="L1", reason="quarantine")
    world.rt.run_for(1.0)
    world.adjust(units, **{"is_difference": True, "quarantine": True} | fields)
    world.rt.run_for(2.0)
    (answer,) = world.adjusted
    assert not answer.ok
    assert answer.text.startswith(says)
    assert world.balance("quarantine:") == 6


def test_of_several_lots_in_quarantine_one_is_named(world: CentralWorld) -> None:
    for lot in ("L1", "L2"):
        world.edges["B"].move(PEN, 3, "bin:B-11", "quarantine:", lot=lot, reason="quarantine")
    world.rt.run_for(1.0)
    world.adjust(2, is_difference=True, quarantine=True)
    world.rt.run_for(2.0)
    assert world.adjusted[0].text.endswith("2 asked for: there are 3 of lot L1, 3 of lot L2")
    world.adjust(2, command_id="a2", is_difference=True, quarantine=True, lot="L2")
    world.adjust(2, command_id="a3", is_difference=True, quarantine=True, lot="L2")
    world.rt.run_for(2.0)
    assert [answer.ok for answer in world.adjusted] == [False, True, False]
