"""Faults of what sees: cameras, their lenses and light, the wind that moves them, planners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from runtime.seeds import Random
from sim_hardware.devices.lens import Lens, Optics
from sim_hardware.faults.lines import share
from sim_hardware.faults.model import Begin, End, FaultError, FaultKind, Parameter, Stage, Values
from sim_hardware.faults.reach import lens_of, powered

DIGITS: Final = 9


def _optics(change: Callable[[Values], dict[str, float]]) -> Begin:
    """Return what begins a fault that changes what a lens makes of a picture."""

    def begin(stage: Stage, target: str, values: Values, _chance: Random) -> End:
        lens = lens_of(stage.floor, target)
        changed = change(values)
        before = {name: getattr(lens.optics, name) for name in changed}
        _set(lens, changed)
        return lambda: _set(lens, before)

    return begin


def _set(lens: Lens, changed: dict[str, Any]) -> None:
    optics: Optics = replace(lens.optics, **changed)
    lens.optics = optics


def _dead(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    camera = powered(stage.floor, target)
    camera.power_off()
    return camera.power_on


def _missed(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    camera = stage.floor.smart_cameras[target]
    more = values.number("share")

    def change(by: float) -> None:
        camera.miss_share = round(camera.miss_share + by, DIGITS)

    change(more)
    return lambda: change(-more)


def _wind(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    wind = stage.floor.drones[target].autopilot.wind
    before = (wind.mps, wind.from_deg)
    wind.mps, wind.from_deg = values.number("speed"), values.number("from")

    def end() -> None:
        wind.mps, wind.from_deg = before

    return end


def _planner_asleep(stage: Stage, _target: str, _values: Values, _chance: Random) -> End:
    planner = stage.floor.planner
    if planner is None:
        raise FaultError("planner-asleep: nobody simulated sits at the desk of this site")
    planner.asleep = True

    def wake() -> None:
        planner.asleep = False

    return wake


KINDS: Final = (
    FaultKind(
        name="dead-camera", group="world", target="camera",
        text="it gives no picture and no sighting", begin=_dead,
    ),
    FaultKind(
        name="dirty-lens", group="world", target="lens", text="its lens is smeared",
        parameters={"dirt": share(0.6, "of the lens")},
        begin=_optics(lambda v: {"dirt": v.number("dirt")}),
    ),
    FaultKind(
        name="low-light", group="world", target="lens", text="it is dark where it looks",
        parameters={"light": Parameter("share", 0.06, 0.0, 1.0, "of what is right")},
        begin=_optics(
            lambda v: {"light_min": v.number("light"), "light_max": v.number("light")}
        ),
    ),
    FaultKind(
        name="glare", group="world", target="lens",
        text="a reflection bleaches part of its picture",
        parameters={"glare": share(0.6, "of the picture's width")},
        begin=_optics(lambda v: {"glare": v.number("glare")}),
    ),
    FaultKind(
        name="camera-blocked", group="world", target="lens",
        text="something stands in front of what it looks at",
        parameters={"hidden": share(0.6, "of the picture")},
        begin=_optics(lambda v: {"occlusion": v.number("hidden")}),
    ),
    FaultKind(
        name="camera-shifted", group="world", target="lens",
        text="somebody knocked against it: it looks from aside and out of focus",
        parameters={
            "tilt": Parameter("share", 0.25, 0.0, 0.4, "of the width that corners are off"),
            "blur": Parameter("px", 4.0, 0.0, 20.0, "of the focus"),
        },
        begin=_optics(lambda v: {"tilt": v.number("tilt"), "blur_px": v.number("blur")}),
    ),
    FaultKind(
        name="missed-labels", group="world", target="smart camera",
        text="it decodes fewer of the labels it sees",
        parameters={"share": share(0.5, "more are missed")}, begin=_missed,
    ),
    FaultKind(
        name="drone-wind", group="world", target="drone",
        text="wind pushes it: it sways, is slower and needs more battery",
        parameters={
            "speed": Parameter("m/s", 2.0, 0.0, 15.0, "of the wind"),
            "from": Parameter("deg", 270.0, 0.0, 360.0, "0 is north, 90 is east"),
        },
        begin=_wind,
    ),
    FaultKind(
        name="planner-asleep", group="world", target="site",
        text="the simulated planner decides nothing until they wake", begin=_planner_asleep,
    ),
)  # fmt: skip
