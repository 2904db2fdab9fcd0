"""Faults of the building: what stands in the way, doors that close, labels."""

from __future__ import annotations

import functools
from typing import Final

from runtime.seeds import Random
from sim_hardware.faults.model import End, FaultKind, Stage, Values, name_of
from sim_hardware.faults.targets import lane_ends


def _blocked_node(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    stage.floor.world.block_node(target)
    return functools.partial(stage.floor.world.unblock_node, target)


def _blocked_aisle(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    world = stage.floor.world
    nodes = world.aisle_nodes(target)
    for node in nodes:
        world.block_node(node)

    def end() -> None:
        for node in nodes:
            world.unblock_node(node)

    return end


def _fire_door(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    world = stage.floor.world
    ends = lane_ends(target)
    world.close_edge(*ends)
    return functools.partial(world.open_edge, *ends)


def _label_swap(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    world = stage.floor.world
    other = values.word("with")
    if not other:
        other = world.nearest_bin(target).bin_id
    world.swap_labels(target, other)
    return functools.partial(world.swap_labels, target, other)


def _damaged_label(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    world = stage.floor.world
    world.damage_label(target)
    return functools.partial(world.mend_label, target)


KINDS: Final = (
    FaultKind(
        name="blocked-node", group="world", target="node",
        text="a pallet stands on it: robots stop before it and say so", begin=_blocked_node,
    ),
    FaultKind(
        name="blocked-aisle", group="world", target="aisle",
        text="pallets stand on all its nodes", begin=_blocked_aisle,
    ),
    FaultKind(
        name="fire-door", group="world", target="lane",
        text="a door closes across it, both ways", begin=_fire_door,
    ),
    FaultKind(
        name="label-swap", group="world", target="bin", parts_books_from_world=True,
        text="its label and another bin's are exchanged; at the end they are put right",
        parameters={"with": name_of("bin", "whose label; empty: the nearest one's")},
        begin=_label_swap,
    ),
    FaultKind(
        name="damaged-label", group="world", target="bin",
        text="its label cannot be read, by scanner or camera; at the end there is a new one",
        begin=_damaged_label,
    ),
)  # fmt: skip
