"""Every topic that a process hears has limits of length and depth before decoding."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from central.agent import build_central
from edge.agent import build_edge
from edge.config import SmartCameraConfig
from runtime.bus import Bus, BusOptions
from runtime.metrics import Metrics
from runtime.virtual import VirtualRuntime
from tests.edge_world import edge_config
from tests.faults.site import central_config

ROOT = Path(__file__).resolve().parents[2]
TOO_DEEP = b'{"a":' + b"[" * 17 + b"]" * 17 + b"}"
TOO_LONG = b'"' + b"x" * 65_535 + b'"'
FILTERS = {"edge": 8, "central": 12}
"""How many filters each subscribes to: another one needs its limits too."""


class Heard(VirtualRuntime):
    """A virtual runtime that knows the buses it gave."""

    def __init__(self) -> None:
        super().__init__()
        self.filters: list[str] = []

    def bus(self, options: BusOptions) -> Bus:
        bus = super().bus(options)
        subscribe: Callable[..., None] = bus.subscribe

        def noted(topic_filter: str, *values: Any, **named: Any) -> None:
            self.filters.append(topic_filter)
            subscribe(topic_filter, *values, **named)

        bus.subscribe = noted  # type: ignore[method-assign] # the only way to see all of them
        return bus


def started(name: str, folder: Path) -> tuple[Heard, Metrics]:
    runtime, metrics = Heard(), Metrics()
    if name == "edge":
        camera = SmartCameraConfig(camera_id="x")
        build_edge(runtime, metrics, edge_config(folder, smart_cameras=(camera,))).start()
    else:
        config = central_config(folder)
        robots = "manufacturer,serial,node_id\nacme,agv-1,n1\n"
        (folder / "site" / "robots.csv").write_text(robots, encoding="utf-8")
        build_central(runtime, metrics, config).start()
    runtime.run_for(1.0)
    return runtime, metrics


@pytest.mark.parametrize("name", FILTERS)
def test_what_is_too_long_or_too_deep_is_refused_on_every_topic(name: str, tmp_path: Path) -> None:
    runtime, metrics = started(name, tmp_path)
    sender = runtime.broker.connect(BusOptions(client_id="sender"))
    sender.start()
    runtime.run_for(1.0)
    assert len(set(runtime.filters)) == FILTERS[name], runtime.filters

    def refused() -> int:
        counters = metrics.snapshot().counters
        return sum(n for key, n in counters.items() if "refused" in key or "malformed" in key)

    silent = []
    for topic_filter in sorted(set(runtime.filters)):
        for payload in (TOO_DEEP, TOO_LONG):
            before = refused()
            sender.publish(somebodys(topic_filter), payload)
            runtime.run_for(0.5)
            if refused() == before:
                silent.append((topic_filter, payload[:8]))
    assert silent == []


def somebodys(topic_filter: str) -> str:
    """Return a topic that the filter lets through, of somebody whom the process knows."""
    robot = ("/+/+/", "/acme/agv-1/") if topic_filter.startswith("uagv/") else ("", "")
    for known in (robot, ("device/+", "device/mqtt-1"), ("+", "x")):
        topic_filter = topic_filter.replace(*known) if known[0] else topic_filter
    return topic_filter


def test_nothing_that_comes_from_outside_is_decoded_past_the_limits() -> None:
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for part in ("wire", "edge", "central", "firmware_bridge")
        for file in (ROOT / part).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"(json\.|_decoder\.)(decode|loads)\(.*\bpayload\b", line)
        and not re.search(r"decode\(payload\)$", line)
    ]
    assert found == []
