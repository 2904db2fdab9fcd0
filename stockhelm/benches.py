"""The benches there are, by name: what each one measures."""

from __future__ import annotations

from typing import Final

BENCHES: Final = {
    "loop": "scan to durable, scan to central, start to the first robot's task, memory, kernels"
    " (about two minutes)",
    "sim": "the simulated floor: the same run every time, world seconds per second with 1 000"
    " scanners, a day of a small site, warehouses of up to a million bins (about ten minutes)",
    "belief": "errors found per count against ABC, oldest first and random, and whether the stated"
    " probabilities are true, in a stochastic model (about four minutes)",
}
