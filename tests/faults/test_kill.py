"""kill -9 of edge and central at random moments: at their start, at work, both at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.faults.forks import Forks
from tests.faults.live_site import LiveSite
from tests.faults.summary import survived

START_S_MAX = 0.25
"""A kill at the start comes within this."""


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("seed", "rounds"), [(1, 10), pytest.param(2, 210, marks=pytest.mark.soak)]
)
def test_every_accepted_scan_survives_kill_9(
    tmp_path: Path, forks: Forks, seed: int, rounds: int
) -> None:
    with LiveSite(tmp_path, forks, seed=seed) as site:
        chance = site.chance
        site.wait_for_scans(3)
        for _ in range(rounds):
            victims = chance.choice((("edge",), ("central",), ("edge", "central")))
            if chance.random() < 0.7:
                site.wait_for_scans(chance.randint(1, 6))
                time.sleep(chance.random() * 0.02)
            else:
                time.sleep(chance.random() * START_S_MAX)
            for name in victims:
                site.kill(name)
            for name in victims:
                site.start(name)
        lost = site.settle()
        survived(
            "kill -9 of edge and central", rounds=rounds, scans=len(site.accepted), losses=lost
        )
