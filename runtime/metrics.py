"""Figures of a running process: counters by label and latencies, written down at the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

SAMPLES_MAX: Final = 200_000
LABELS_MAX: Final = 2_000
"""Labels kept of one counter; with more of them the others are counted together as `OTHERS`."""
OTHERS: Final = "others"


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True):
    """Median and tail of one latency, milliseconds."""

    count: int
    p50: float
    p99: float


class MetricsSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of a process at one moment. Counter keys: `name` or `name{label}`."""

    counters: dict[str, int]
    latencies_ms: dict[str, LatencySummary]
    samples_ms: dict[str, list[float]] = {}
    """What is behind the latencies, where asked for: several processes can be joined."""


class Metrics:
    """Counters and latencies; any thread may write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: Counter[str] = Counter()
        self._labels: Counter[str] = Counter()
        """How many labels each counter has."""
        self._samples: dict[str, list[float]] = {}
        self._seen: Counter[str] = Counter()

    def count(self, name: str, label: str = "", by: int = 1) -> None:
        """Add `by` to a counter. A label may come from a message: their number is bounded."""
        key = f"{name}{{{label}}}" if label else name
        with self._lock:
            if key not in self._counters and label:
                if self._labels[name] >= LABELS_MAX:
                    key = f"{name}{{{OTHERS}}}"
                else:
                    self._labels[name] += 1
            self._counters[key] += by

    def latency(self, name: str, latency_ms: float) -> None:
        """Keep one sample; past the limit the oldest samples are overwritten in a ring."""
        self.latencies(name, (latency_ms,))

    def latencies(self, name: str, latencies_ms: Sequence[float]) -> None:
        """Keep some samples; past the limit the oldest ones are overwritten in a ring."""
        with self._lock:
            samples = self._samples.setdefault(name, [])
            room = SAMPLES_MAX - len(samples)
            samples += latencies_ms[:room]
            for number, latency_ms in enumerate(latencies_ms[room:], self._seen[name] + room):
                samples[number % SAMPLES_MAX] = latency_ms
            self._seen[name] += len(latencies_ms)

    def snapshot(self, *, with_samples: bool = False) -> MetricsSnapshot:
        """Return all figures now."""
        with self._lock:
            latencies = {
                name: LatencySummary(
                    count=self._seen[name],
                    p50=float(np.percentile(samples, 50)),
                    p99=float(np.percentile(samples, 99)),
                )
                for name, samples in self._samples.items()
                if samples
            }
            return MetricsSnapshot(
                counters=dict(self._counters),
                latencies_ms=latencies,
                samples_ms={n: list(s) for n, s in self._samples.items()} if with_samples else {},
            )
