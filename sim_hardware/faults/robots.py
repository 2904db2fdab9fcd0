"""Faults of the bodies of robots and drones: batteries, wheels, grippers, radios."""

from __future__ import annotations

from typing import Final

from runtime.seeds import Random
from sim_hardware.devices.line import Direction
from sim_hardware.faults.lines import Drop, put_on, share
from sim_hardware.faults.model import End, FaultKind, Parameter, Stage, Values, word
from sim_hardware.faults.reach import line_of

PERCENT: Final = 100.0
FULL: Final = 1.0
SPIN_MPS: Final = 0.5
"""Slower wheels do not spin."""


def _drained(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    """Let a battery be nearly empty; at the end it is swapped for a full one."""
    left = values.number("left")
    robot = stage.floor.robots.get(target)
    if robot is not None:
        robot.drain(left)
        return robot.swap_battery
    autopilot = stage.floor.drones[target].autopilot
    autopilot.battery_pct = min(autopilot.battery_pct, left * PERCENT)

    def swap() -> None:
        autopilot.battery_pct = FULL * PERCENT

    return swap


def _slip(stage: Stage, target: str, values: Values, chance: Random) -> End:
    robot = stage.floor.robots[target]
    most_m = values.number("slip")

    def spin() -> None:
        if robot.vehicle.speed_mps >= SPIN_MPS:
            robot.slip(chance.uniform(0.0, most_m))

    return stage.lane.call_every(values.number("every"), spin).cancel


def _lost(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    robot = stage.floor.robots[target]
    robot.lose_position()
    return robot.find_position


def _stuck(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    robot = stage.floor.robots[target]
    robot.block_wheels()
    return robot.free_wheels


def _estop(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    robot = stage.floor.robots[target]
    robot.press_estop(values.word("release"))
    return robot.release_estop


def _fails(stage: Stage, target: str, values: Values, chance: Random) -> End:
    """Let some of its picks and drops fail; nothing is moved by those."""
    hands = stage.floor.robots[target].hands
    of_all = values.number("share")

    def fails() -> str:
        return "the gripper did not close" if chance.random() < of_all else ""

    hands.troubles.append(fails)
    return lambda: hands.troubles.remove(fails)


def _drops(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    robot = stage.floor.robots[target]
    robot.drop_load()
    return robot.pick_up_load


def _link(stage: Stage, target: str, _values: Values, chance: Random) -> End:
    return put_on(line_of(stage.floor, target), tuple(Direction), Drop(chance, 1.0))


KINDS: Final = (
    FaultKind(
        name="drained-battery", group="world", target="battery",
        text="its battery is nearly empty; at the end it is swapped for a full one",
        parameters={"left": share(0.0, "of a full charge is left")}, begin=_drained,
    ),
    FaultKind(
        name="robot-slip", group="world", target="robot",
        text="its wheels spin: it counts more way than it goes; over 0.5 m it loses its position",
        parameters={
            "slip": Parameter("m", 0.3, 0.0, 5.0, "at most, each time"),
            "every": Parameter("s", 1.0, 0.05, 600.0, "between two slips"),
        },
        begin=_slip,
    ),
    FaultKind(
        name="robot-lost", group="world", target="robot",
        text="it does not know where it is, says so and stands", begin=_lost,
    ),
    FaultKind(
        name="robot-stuck", group="world", target="robot",
        text="its wheels are blocked: it wants to drive and does not, and says nothing of it",
        begin=_stuck,
    ),
    FaultKind(
        name="robot-estop", group="world", target="robot",
        text="somebody presses its emergency stop; at the end it is released",
        parameters={"release": word("MANUAL", ("AUTOACK", "MANUAL", "REMOTE"), "how it is done")},
        begin=_estop,
    ),
    FaultKind(
        name="action-fails", group="world", target="robot",
        text="some of its picks and drops fail, and it says so",
        parameters={"share": share(0.5, "of its picks and drops")}, begin=_fails,
    ),
    FaultKind(
        name="robot-drops-load", group="world", target="robot", parts_books_from_world=True,
        text="what it carries falls down; at the end somebody puts it back", begin=_drops,
    ),
    FaultKind(
        name="drone-lost-link", group="world", target="drone",
        text="it is out of its radio's reach: nothing passes, both ways", begin=_link,
    ),
)  # fmt: skip
