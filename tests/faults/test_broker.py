"""The broker ends right after it acknowledged a journal batch that central does not have yet.

Its PUBACK is no promise: what it held is gone with it (SIGKILL), or comes a second time (SIGTERM).
Rows leave the edge's outbox at central's acknowledgement only, so nothing is lost or doubled.
"""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.faults.forks import Forks
from tests.faults.live_site import LiveSite
from tests.faults.proxy import PUBACK, PUBLISH, Packet, Proxy, Way
from tests.faults.summary import survived

WAIT_S = 30.0


class KillAtPuback:
    """Sends a signal to the broker at the PUBACK of a journal batch."""

    def __init__(self, pid: int, number: signal.Signals) -> None:
        self.done = threading.Event()
        self._pid = pid
        self._number = number
        self._batches: set[int] = set()

    def __call__(self, way: Way, packet: Packet) -> None:
        if way == "up" and packet.kind == PUBLISH and "/journal" in packet.topic:
            self._batches.add(packet.packet_id)
        acknowledged = way == "down" and packet.kind == PUBACK
        if acknowledged and packet.packet_id in self._batches and not self.done.is_set():
            os.kill(self._pid, self._number)
            self.done.set()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("seed", "rounds"), [(1, 2), pytest.param(2, 30, marks=pytest.mark.soak)])
def test_nothing_is_lost_with_a_broker_that_dies_after_its_puback(
    tmp_path: Path, forks: Forks, seed: int, rounds: int
) -> None:
    site = LiveSite(tmp_path, forks, seed=seed)
    with Proxy(site.broker.port) as at_edge, Proxy(site.broker.port) as at_central:
        site.ports = {"edge": at_edge.port, "central": at_central.port}
        with site:
            for turn in range(rounds):
                site.wait_for_scans(3)
                number = signal.SIGKILL if turn % 2 else signal.SIGTERM
                at_central.held = frozenset({"down"})  # central does not hear of the batch
                pid = site.broker.pid
                assert pid is not None
                at_edge.on_packet = killer = KillAtPuback(pid, number)
                assert killer.done.wait(WAIT_S), "no journal batch was acknowledged"
                at_central.reset()
                at_central.held = frozenset()
                (site.broker.kill if number == signal.SIGKILL else site.broker.stop)()
                site.broker.start()
            site.wait_for_scans(3)
            lost = site.settle()
    survived(
        "broker SIGTERM and SIGKILL after a PUBACK",
        rounds=rounds, scans=len(site.accepted), losses=lost,
    )  # fmt: skip
