"""Devices that lose their power and boot again, with nothing of what was only in memory."""

from __future__ import annotations

from typing import Final

from runtime.seeds import Random
from sim_hardware.devices.line import Direction
from sim_hardware.faults.lines import Cut
from sim_hardware.faults.model import End, FaultKind, Stage, Values
from sim_hardware.faults.reach import has_line, line_of, powered


def _brown_out(stage: Stage, target: str, _values: Values, chance: Random) -> End:
    device = powered(stage.floor, target)
    if not has_line(stage.floor, target):
        device.power_off()
        return device.power_on
    way = line_of(stage.floor, target).ways[Direction.FROM_DEVICE]
    # Posted, so that the beginning of the line is on the wire before the line is gone.
    cut = Cut(chance, lambda: stage.lane.post(go_dark))
    ended = False

    def go_dark() -> None:
        if not ended:
            device.power_off()

    def end() -> None:
        nonlocal ended
        ended = True
        way.effects.remove(cut)
        if cut.done:
            device.power_on()

    way.effects.append(cut)
    return end


KINDS: Final = (
    FaultKind(
        name="brown-out", group="wire", target="device",
        text="its power fails (on a serial line: in the middle of what it says next); it forgets"
        " everything (also what it did and nobody heard); at the end it boots",
        parts_books_from_world=True,
        begin=_brown_out,
    ),
)  # fmt: skip
