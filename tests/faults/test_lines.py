"""Lines to the broker are cut, half open, reset, late and slow; the books agree afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.forks import Forks
from tests.faults.live_site import LiveSite, wait
from tests.faults.proxy import Proxy
from tests.faults.summary import survived

HALF_OPEN_S_MAX = 60.0
"""A client gives up a silent line after at most two keepalives of 20 s."""


def partition(proxy: Proxy, seconds: float) -> None:
    proxy.held = frozenset({"up", "down"})
    time.sleep(seconds)
    proxy.held = frozenset()


def deaf(proxy: Proxy, seconds: float) -> None:
    proxy.held = frozenset({"down"})
    time.sleep(seconds)
    proxy.held = frozenset()


def mute(proxy: Proxy, seconds: float) -> None:
    proxy.held = frozenset({"up"})
    time.sleep(seconds)
    proxy.held = frozenset()


def reset(proxy: Proxy, seconds: float) -> None:
    proxy.reset()
    time.sleep(seconds)


def partition_and_reset(proxy: Proxy, seconds: float) -> None:
    """What was sent into the partition is lost with the line."""
    proxy.held = frozenset({"up", "down"})
    time.sleep(seconds)
    proxy.reset()
    proxy.held = frozenset()


def latency(proxy: Proxy, seconds: float) -> None:
    proxy.latency_s = 0.1
    time.sleep(seconds)
    proxy.latency_s = 0.0


def slow(proxy: Proxy, seconds: float) -> None:
    proxy.bytes_per_s = 4_000.0
    time.sleep(seconds)
    proxy.bytes_per_s = 0.0


FAULTS: dict[str, Callable[[Proxy, float], None]] = {
    "partition": partition,
    "one way only": deaf,
    "the other way only": mute,
    "reset": reset,
    "partition, then reset": partition_and_reset,
    "latency 100 ms": latency,
    "slow line, 4 kB/s": slow,
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("seed", "rounds"), [(1, 1), pytest.param(2, 10, marks=pytest.mark.soak)])
def test_books_agree_after_every_fault_of_a_line(
    tmp_path: Path, forks: Forks, seed: int, rounds: int
) -> None:
    site = LiveSite(tmp_path, forks, seed=seed)
    with Proxy(site.broker.port) as at_edge, Proxy(site.broker.port) as at_central:
        site.ports = {"edge": at_edge.port, "central": at_central.port}
        with site:
            site.wait_for_scans(3)
            faults = [*FAULTS.values()] * rounds
            site.chance.shuffle(faults)
            for fault in faults:
                fault(site.chance.choice((at_edge, at_central)), site.chance.uniform(0.1, 0.5))
                site.wait_for_scans(2)
            lost = site.settle()
    survived(
        "line partitioned, one-way, reset, late, slow",
        rounds=len(faults), scans=len(site.accepted), losses=lost,
    )  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.soak
@pytest.mark.parametrize("name", ["edge", "central"])
def test_a_half_open_line_is_given_up_and_made_anew(
    tmp_path: Path, forks: Forks, name: str
) -> None:
    site = LiveSite(tmp_path, forks, seed=3)
    with Proxy(site.broker.port) as proxy:
        site.ports[name] = proxy.port
        with site:
            site.wait_for_scans(3)
            proxy.half_open()
            assert wait(lambda: proxy.lines_made == 2, HALF_OPEN_S_MAX), "no new line was made"
            site.wait_for_scans(3)
            lost = site.settle()
    survived("line half open", rounds=1, scans=len(site.accepted), losses=lost)
