"""The power goes at any write or sync: what was answered is there afterwards, and nothing half.

The disk loses, tears and reorders what was not synced. The same runs with synchronous=NORMAL must
lose something: otherwise they would not show what FULL is for.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

import central.store
import runtime.store
from tests.faults.books import losses
from tests.faults.disk import PowerCut
from tests.faults.pair import Pair
from tests.faults.summary import survived

OPERATIONS_MAX = 400
"""So far from its start a machine loses its power at most: at its start, in a checkpoint, later."""
CHECKPOINT_PAGES = 25
"""A checkpoint after so few pages, so that many cuts hit one."""


@pytest.fixture(autouse=True)
def checkpoints_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.store, "WAL_PAGES_PER_CHECKPOINT", CHECKPOINT_PAGES)
    monkeypatch.setattr(central.store, "WAL_PAGES_PER_CHECKPOINT", CHECKPOINT_PAGES)


class Cuts:
    """Power cuts of edge and central, one after the other."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair = pair
        self.chance = Random(f"{seed}/cuts")
        self.styles: set[str] = set()
        self.lost: list[str] = []

    def cut(self, machine: str) -> None:
        """Cut the power of a machine somewhere on its way; look at what is left; go on."""
        pair = self.pair
        disk = pair.edge_disk if machine == "edge" else pair.central_disk
        (pair.end_edge if machine == "edge" else pair.end_central)()
        disk.cut_at(self.chance.randint(1, OPERATIONS_MAX))
        try:
            self._start(machine)
            pair.run(60.0)
        except PowerCut:
            (pair.end_edge if machine == "edge" else pair.end_central)()
        else:
            pytest.fail("expected work for the disk within a minute")
        pair.run(0.001)  # what was said before the cut is heard
        self.styles.add(disk.power_up(self.chance))
        self._start(machine)
        self.lost += self._look(machine)

    def _start(self, machine: str) -> None:
        (self.pair.start_edge if machine == "edge" else self.pair.start_central)()

    def _look(self, machine: str) -> list[str]:
        """Return what is not there that must be: what was answered, what was acknowledged."""
        pair = self.pair
        edge, ledger = pair.edge_books(), pair.central_books()
        told = [f"central has {x}, the edge lost it" for x in ledger.moves.keys() - edge.moves]
        if machine == "edge":
            return losses(pair.accepted, edge) + told
        acked = pair.agent.store.rows_after(0, pair.agent.store.acked_seq)
        kept = ledger.moves.keys()
        ids = [event_id for event_id in edge.moves if event_id not in kept]
        lost = [f"{x} was acknowledged" for x in ids if any(x.encode() in row for _, row in acked)]
        return [*lost, *told, *ledger.wrong]


def run_cuts(pair: Pair, seed: int, rounds: int) -> Cuts:
    cuts = Cuts(pair, seed)
    pair.start()
    pair.run(0.1)
    for _ in range(rounds):
        cuts.cut("edge" if cuts.chance.random() < 2 / 3 else "central")
        pair.run(cuts.chance.random() * 0.3)
    cuts.lost += pair.settle()
    return cuts


@pytest.mark.parametrize(
    ("seed", "rounds"),
    [(1, 25), *(pytest.param(seed, 100, marks=pytest.mark.soak) for seed in (2, 3, 4, 5))],
)
def test_what_was_answered_survives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, rounds: int
) -> None:
    pair = Pair(tmp_path, monkeypatch, seed=seed)
    cuts = run_cuts(pair, seed, rounds)
    assert len(cuts.styles) > 2
    survived("power cut", rounds=rounds, scans=len(pair.accepted), losses=cuts.lost)


@pytest.mark.parametrize("machine", ["edge", "central"])
def test_these_cuts_find_a_store_that_does_not_sync_each_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    """The check of the checks: with synchronous=NORMAL on either machine something must be lost."""
    pair = Pair(tmp_path, monkeypatch, seed=1)
    rewritten: list[str] = []

    def weaken(sql: str) -> str:
        if sql != "PRAGMA synchronous=FULL":
            return sql
        rewritten.append(sql)
        return "PRAGMA synchronous=NORMAL"

    pair.disks.of(pair.edge_disk if machine == "edge" else pair.central_disk).rewrite = weaken
    cuts = Cuts(pair, 1)
    pair.start()
    for _ in range(15):
        pair.run(0.1)
        cuts.cut(machine)
        if cuts.lost:
            break
    assert rewritten, "the product sets synchronous itself"
    assert cuts.lost, "a store that does not sync each commit was not found out"
