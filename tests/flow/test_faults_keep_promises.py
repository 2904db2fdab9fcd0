"""The whole product keeps its promises whatever happens on its wires and to its processes.

None of these faults changes the world behind the books' back, so in the end every bin is as the
books say. All of it is in virtual time; the seed decides everything.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faulty_site import FaultySite, Trouble

SECONDS = 45
MIXES = {
    "cables": (
        Trouble(4, "serial-split", for_s=8),
        Trouble(13, "serial-delay", for_s=6),
        Trouble(20, "serial-stall", for_s=5),
        Trouble(26, "unplug", for_s=4),
        Trouble(32, "half-line", for_s=10),
    ),
    "an untidy network": (
        Trouble(4, "message-duplicate", for_s=38),
        Trouble(5, "message-reorder", for_s=30),
        Trouble(12, "message-delay", for_s=12),
        Trouble(25, "message-loss", for_s=15),
        Trouble(30, "wrong-header-ids", for_s=10),
        Trouble(34, "repeats-old-state", for_s=8),
    ),
    "boots and clocks": (
        Trouble(6, "brown-out", for_s=4),
        Trouble(16, "clock-jump", for_s=20, values=(("by", "-1 h"),)),
        Trouble(18, "brown-out", for_s=3),
        Trouble(30, "link-lost", for_s=4),
        Trouble(36, "silent-after-reconnect", for_s=5),
    ),
    "processes": (
        Trouble(6, "broker-gone", for_s=4),
        Trouble(16, "kill-central", for_s=4),
        Trouble(24, "kill-edge", for_s=4),
        Trouble(30, "partition", "central", for_s=5),
        Trouble(36, "partition", "edge A", for_s=5),
    ),
    "all at once": (
        Trouble(5, "serial-noise", for_s=30, values=(("rate", 3),)),
        Trouble(6, "message-duplicate", for_s=30),
        Trouble(7, "message-reorder", for_s=30),
        Trouble(10, "kill-edge", for_s=3),
        Trouble(14, "broker-gone", for_s=5),
        Trouble(15, "brown-out", for_s=6),
        Trouble(22, "partition", "central", for_s=18),
        Trouble(28, "kill-central", for_s=4),
        Trouble(36, "link-lost", for_s=4),
    ),
}


@pytest.mark.timeout(300)
@pytest.mark.soak
@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_books_and_world_agree_in_the_end(tmp_path: Path, mix: tuple[Trouble, ...]) -> None:
    site = FaultySite(tmp_path, 7, mix)
    try:
        truth = site.run(SECONDS)
        _, differing = site.books.bins(truth.stock, truth.in_flight_bins)
        assert differing == []
        assert site.books.not_whole() == []  # balanced, rebuilt equal, all of it at central
        assert site.good <= site.accepted()
        assert site.edge_movements() == site.central_movements()
        assert truth.robot_conflicts == 0
        assert truth.units_missing == {}
        assert sum(sum(done.values()) for done in truth.tasks_done.values()) >= 8
        assert sum(use.actions for use in truth.robots_used.values()) >= 8
    finally:
        site.close()
