"""The benches there are, by name: what each one measures."""

from __future__ import annotations

from typing import Final

BENCHES: Final = {
    "loop": "scan to durable, scan to central, start to the first robot's task, memory, kernels"
    " (about two minutes)",
    "sim": "the simulated floor: warehouses of 10 000 to a million bins (about half a minute)",
}
