"""Serial ports live: what is closed twice closes nobody else's handle."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from runtime.live import LiveRuntime


def test_a_device_closed_twice_closes_nobody_elses_handles(tmp_path: Path) -> None:
    runtime = LiveRuntime()
    device = runtime.ports.create(str(tmp_path / "line"), runtime.lane("device"), lambda _: None)
    device.close()
    others = [os.dup(0) for _ in range(64)]  # they take the numbers that became free
    device.close()
    runtime.close()
    for handle in others:
        os.fstat(handle)
        os.close(handle)


def test_a_runtime_is_idle_once_all_that_was_queued_is_done() -> None:
    runtime = LiveRuntime()
    first, second = runtime.lane("first"), runtime.lane("second")
    done: list[int] = []
    for number in range(200):
        first.post(partial(second.post, partial(done.append, number)))
    while not runtime.idle:
        runtime.wait(0.001)
    assert done == list(range(200))
    runtime.close()
