"""Counting rounds of fixed cameras: what central asks to be looked at, answered from pictures.

A round is answered by the next pictures of its camera, LOOKS_MAX at most, or ends where there are
none. Its events are named after it, so that a round told twice is one to whoever hears it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from edge.vision.core import Sighting
from runtime.clock import Clock
from runtime.metrics import Metrics
from wire.messages import BinSighted, LookAtBins, MissionEnded, SeenArticle

LOOKS_MAX: Final = 3
"""Pictures, or failures to get one, after which a round ends with what was seen."""
ROUNDS_MAX: Final = 16
"""Rounds of one edge at a time; more are refused."""
ENDED_KEPT_MAX: Final = 1_000
DETAIL_MAX: Final = 400
log = structlog.get_logger()


@dataclass(slots=True)
class _Round:
    command: LookAtBins
    looks: int = 0
    seen: list[str] = field(default_factory=list)


class CameraRounds:
    """The rounds of all fixed cameras of one edge agent. Everything happens on its vision lane."""

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        cameras: Iterable[str],
        tell: Callable[[list[BinSighted | MissionEnded]], None],
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._cameras = frozenset(cameras)
        self._tell = tell
        self._rounds: dict[str, _Round] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def begin(self, command: LookAtBins) -> bool:
        """Take a round, unless it is known; return whether its camera is to look now."""
        if command.round_id in self._rounds or command.round_id in self._ended:
            return False
        if command.camera_id not in self._cameras:
            self._end(_Round(command), f"{command.camera_id} is no camera of this edge", ok=False)
        elif len(self._rounds) >= ROUNDS_MAX:
            self._end(_Round(command), f"{ROUNDS_MAX} rounds wait already", ok=False)
        else:
            self._rounds[command.round_id] = _Round(command)
            return True
        return False

    def waits(self, camera_id: str) -> bool:
        """Return whether a round waits for this camera's next picture."""
        return any(one.command.camera_id == camera_id for one in self._rounds.values())

    def looked(self, camera_id: str, sightings: Iterable[Sighting], at_ns: int) -> None:
        """Answer the rounds of a camera from what one picture shows."""
        by_bin = {sighting.bin_id: sighting for sighting in sightings}
        for one in self._of(camera_id):
            one.looks += 1
            asked = dict.fromkeys(one.command.bins)
            fresh = [by_bin[b] for b in asked if b in by_bin and b not in one.seen]
            one.seen += [sighting.bin_id for sighting in fresh]
            self._metrics.count("sightings", camera_id, len(fresh))
            self._tell([self._sighted(one.command, sighting, at_ns) for sighting in fresh])
            if len(one.seen) == len(asked) or one.looks >= LOOKS_MAX:
                text = f"looked {one.looks} times; {len(one.seen)} of {len(asked)} bins read"
                self._end(one, text, ok=bool(one.seen))

    def failed(self, camera_id: str, reason: str) -> None:
        """Note that a camera gave no picture; after some of that its rounds end."""
        for one in self._of(camera_id):
            one.looks += 1
            if one.looks >= LOOKS_MAX:
                self._end(one, reason, ok=bool(one.seen))

    def watch(self) -> None:
        """End the rounds whose time is over: a silent camera answers none."""
        now_ns = self._clock.now_ns()
        for one in list(self._rounds.values()):
            if now_ns >= one.command.expires_at_ns:
                self._end(one, "expired before the camera looked", ok=bool(one.seen))

    def _of(self, camera_id: str) -> list[_Round]:
        return [one for one in self._rounds.values() if one.command.camera_id == camera_id]

    def _sighted(self, command: LookAtBins, sighting: Sighting, at_ns: int) -> BinSighted:
        return BinSighted(
            event_id=f"{command.camera_id}/{command.round_id}/{sighting.bin_id}",
            bin_id=sighting.bin_id,
            articles=tuple(SeenArticle(gtin=g, labels=labels) for g, labels in sighting.articles),
            device_id=command.camera_id,
            observed_at_ns=at_ns,
            received_at_ns=self._clock.now_ns(),
            task_id=command.round_id,
        )

    def _end(self, one: _Round, detail: str, *, ok: bool) -> None:
        command, now_ns = one.command, self._clock.now_ns()
        self._rounds.pop(command.round_id, None)
        self._ended[command.round_id] = None
        while len(self._ended) > ENDED_KEPT_MAX:
            self._ended.popitem(last=False)
        log.info("camera round ended", round=command.round_id, ok=ok, detail=detail)
        self._metrics.count("missions_ended", "ok" if ok else "failed")
        ended = MissionEnded(
            event_id=f"{command.camera_id}/{command.round_id}", mission_id=command.round_id,
            drone_id=command.camera_id, ok=ok, detail=detail[:DETAIL_MAX],
            bins_seen=tuple(one.seen), observed_at_ns=now_ns, received_at_ns=now_ns,
        )  # fmt: skip
        self._tell([ended])
