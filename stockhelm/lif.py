"""Layouts in VDMA's Layout Interchange Format (LIF 1.0.0, March 2024) as a site's nodes and lanes.

What a site cannot hold, or LIF does not know, is never passed over in silence: every such place of
the file becomes a note that says where it stands, what is made of it and what can be done.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from stockhelm.lif_notes import LifError, Notes
from wire.site import EdgeRow, NodeRow

LIF_BYTES_MAX: Final = 256 * 1024 * 1024
ROOM_M: Final = 0.8
"""Robots on nodes nearer to each other than this would touch; the fleet keeps nodes apart only."""
SPEED_MAX: Final = 100
TYPE_MAX: Final = 64
PICKS: Final = frozenset({"pick", "drop"})
ID_RULE: Final = "expected an id of letters, digits, '_', '.' and '-', a letter or digit first"
CHARGES: Final = "startCharging"

_LAYOUT: Final = frozenset(
    {"layoutId", "layoutName", "layoutVersion", "layoutLevelId", "layoutDescription"}
    | {"nodes", "edges", "stations"}
)
_NODE: Final = frozenset(
    {"nodeId", "nodeName", "nodeDescription", "mapId", "nodePosition", "vehicleTypeNodeProperties"}
)
_NODE_TYPE: Final = frozenset({"vehicleTypeId", "theta", "actions"})
_EDGE: Final = frozenset(
    {"edgeId", "edgeName", "edgeDescription", "startNodeId", "endNodeId"}
    | {"vehicleTypeEdgeProperties"}
)
_STATION: Final = frozenset(
    {"stationId", "interactionNodeIds", "stationName", "stationDescription", "stationHeight"}
    | {"stationPosition"}
)
_EDGE_TYPE: Final = frozenset(
    {"vehicleTypeId", "maxSpeed", "maxRotationSpeed", "loadRestriction", "rotationAllowed"}
    | {"rotationAtStartNodeAllowed", "rotationAtEndNodeAllowed"}
)
_NOT_USED: Final[Mapping[str, str]] = {
    "theta": "robots stand on nodes as they come",
    "vehicleOrientation": "the robot turns by its own map",
    "orientationType": "the robot turns by its own map",
    "trajectory": "the lane counts as a straight line; the robot drives by its own map",
    "actions": "an action on the way is not sent",
    "minHeight": "not observed: leave the edge out if loads of robots could touch something",
    "maxHeight": "not observed: leave the edge out if loads of robots could touch something",
    "reentryAllowed": "robots leave an edge only at its end",
}
_TOO_NEAR: Final = "robots on both may touch: a robot is given nodes, not the room around them"
_ROOM: Final = "leave one of them out, or say --room-m if robots are smaller"
_ROTATES: Final = frozenset({"BOTH", "CW", "CCW"})
_NO_TURNS: Final = (
    "turning may be forbidden here, and is not planned: only robots that need not turn, or refuse"
    " to, may drive here"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LifLayout:
    """The nodes and lanes of a layout file, and everything that is to be said of it."""

    nodes: tuple[NodeRow, ...]
    edges: tuple[EdgeRow, ...]
    types: tuple[str, ...]
    """All vehicle types: what may stand as robot_type in robots.csv."""
    notes: Notes


@dataclass(slots=True)
class _Place:
    """A node that is understood, with what other parts of the file say of it."""

    node_id: str
    x_m: float
    y_m: float
    types: frozenset[str]
    actions: frozenset[str]
    turn_cost_m: float = 0.0
    is_station: bool = False


@dataclass(slots=True)
class _Lane:
    types: set[str] = field(default_factory=set)
    speed_m_s: float = math.inf


def read_lif(payload: bytes, layouts: Collection[str] = (), *, room_m: float = ROOM_M) -> LifLayout:
    """Return what the file says of these layouts (none named: of all, which are on one floor then).

    Raises LifError where the file is no layout file or its layouts are not those asked for.
    """
    notes = Notes()
    chosen = _choose(_layouts(payload, notes), layouts, notes)
    places: dict[str, _Place] = {}
    for path, layout in chosen:
        _note_unknown(notes, path, layout, _LAYOUT)
        for at, node in _items(notes, path, layout, "nodes"):
            _read_node(notes, at, node, places)
    types = frozenset(t for place in places.values() for t in place.types)
    lanes: dict[tuple[str, str], _Lane] = {}
    for path, layout in chosen:
        for at, edge in _items(notes, path, layout, "edges"):
            _read_edge(notes, at, edge, places, lanes)
    types |= {t for lane in lanes.values() for t in lane.types}
    for path, layout in chosen:
        for at, station in _items(notes, path, layout, "stations"):
            _read_station(notes, at, station, places)
    _note_near(notes, places, room_m)
    if not places:
        notes.left_out("layouts", "no node is understood", "correct the nodes that are named above")
    return LifLayout(
        nodes=tuple(_node_row(place) for place in places.values()),
        edges=tuple(_edge_row(pair, lane, types) for pair, lane in lanes.items()),
        types=tuple(sorted(types)),
        notes=notes,
    )


# --- the file -------------------------------------------------------------------------------------


def _layouts(payload: bytes, notes: Notes) -> list[tuple[str, dict[str, Any]]]:
    if len(payload) > LIF_BYTES_MAX:
        raise LifError(f"is longer than {LIF_BYTES_MAX} bytes: split it by its layouts")
    try:
        whole = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise LifError(f"is no JSON: {error}: export the layout again") from error
    found = whole.get("layouts") if isinstance(whole, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        has = ", ".join(whole) if isinstance(whole, dict) else type(whole).__name__
        raise LifError(
            f"expected an object with metaInformation and layouts, found {has or 'nothing'}: a LIF"
            " file is wanted, version 1"
        )
    _note_unknown(notes, "", whole, frozenset({"metaInformation", "layouts"}))
    meta = whole.get("metaInformation")
    version = meta.get("lifVersion") if isinstance(meta, dict) else None
    if not str(version).startswith("1."):
        text = f"lifVersion is {version!r}, expected 1.x.x; read as if it were 1.0.0"
        notes.used("metaInformation.lifVersion", text, "look at what else is noted")
    return [(f"layouts[{i}]", layout) for i, layout in enumerate(found)]


def _choose(
    found: Sequence[tuple[str, dict[str, Any]]], names: Collection[str], notes: Notes
) -> list[tuple[str, dict[str, Any]]]:
    """Return the layouts that were asked for; all of them have to be one floor."""
    known = [str(layout.get("layoutId")) for _, layout in found]
    missing = sorted(set(names) - set(known))
    if missing:
        raise LifError(f"has no layout {missing[0]!r}, expected one of {', '.join(known)}")
    chosen = [(at, x) for at, x in found if not names or str(x.get("layoutId")) in names]
    levels = sorted({str(x["layoutLevelId"]) for _, x in chosen if x.get("layoutLevelId")})
    maps = sorted({str(n["mapId"]) for _, x in chosen for n in _nodes(x) if n.get("mapId")})
    if len(levels) > 1 or len(maps) > 1:
        raise LifError(
            f"has layouts of several floors (levels {', '.join(levels)}; maps {', '.join(maps)}): a"
            f" site is one floor; choose layouts of one with --layout: {', '.join(known)}"
        )
    for map_id in maps:
        what = f"mapId {map_id!r}: orders name the site's site_id as their map"
        notes.used("layouts", what, "let site_id be the name of the robots' map")
    return chosen


def _nodes(layout: Mapping[str, Any]) -> list[dict[str, Any]]:
    nodes = layout.get("nodes")
    return [n for n in nodes if isinstance(n, dict)] if isinstance(nodes, list) else []


# --- nodes ----------------------------------------------------------------------------------------


def _read_node(notes: Notes, at: str, node: dict[str, Any], places: dict[str, _Place]) -> None:
    _note_unknown(notes, at, node, _NODE)
    position = node.get("nodePosition")
    row = {
        "node_id": node.get("nodeId"),
        "x_m": position.get("x") if isinstance(position, dict) else None,
        "y_m": position.get("y") if isinstance(position, dict) else None,
    }
    try:
        read = msgspec.convert(row, NodeRow)
    except msgspec.ValidationError as error:
        said = f"nodeId {row['node_id']!r}, x {row['x_m']!r}, y {row['y_m']!r}"
        what = f"{said}: {ID_RULE if 'regex' in str(error) else error}"
        notes.left_out(at, what, "correct it in the layout (and in the robots' own maps)")
        return
    if read.node_id in places:
        notes.left_out(at, f"nodeId {read.node_id!r} is taken", "give each node its own id")
        return
    types: set[str] = set()
    actions: set[str] = set()
    for where, entry in _items(notes, at, node, "vehicleTypeNodeProperties"):
        _note_unknown(notes, where, entry, _NODE_TYPE | frozenset({"theta"}))
        if "theta" in entry:
            notes.used(f"{where}.theta", _NOT_USED["theta"], "nothing")
        types.update(_type_of(notes, where, entry))
        actions.update(_actions(notes, where, entry))
    if not types:
        what = "names no vehicle type: taken as open to all"
        notes.used(f"{at}.vehicleTypeNodeProperties", what, "name who may stand here")
    places[read.node_id] = _Place(
        read.node_id, read.x_m, read.y_m, frozenset(types), frozenset(actions)
    )


def _actions(notes: Notes, at: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the action types of a node; required ones are noted, for they are not sent."""
    for where, action in _items(notes, at, entry, "actions"):
        kind = str(action.get("actionType"))
        if action.get("required") is True or action.get("requirementType") == "REQUIRED":
            what = f"{kind} is required here, and is not sent"
            notes.used(where, what, "have the robot do it by its own map, or leave the node out")
        elif kind not in {*PICKS, CHARGES}:
            notes.used(where, f"{kind} is not used", "nothing, unless a task should ask for it")
        yield kind


def _node_row(place: _Place) -> NodeRow:
    kind = "way"
    if CHARGES in place.actions:
        kind = "charger"
    elif place.is_station or place.actions & PICKS:
        kind = "station"
    return NodeRow(
        node_id=place.node_id,
        x_m=place.x_m,
        y_m=place.y_m,
        kind=kind,
        turn_cost_m=round(min(place.turn_cost_m, 1_000.0), 2),
    )


def _read_station(
    notes: Notes, at: str, station: dict[str, Any], places: Mapping[str, _Place]
) -> None:
    _note_unknown(notes, at, station, _STATION)
    nodes = station.get("interactionNodeIds")
    if not isinstance(nodes, list) or not nodes:
        notes.left_out(at, f"interactionNodeIds is {nodes!r}", "name the nodes of this station")
        return
    for i, node_id in enumerate(nodes):
        place = places.get(str(node_id))
        if place is None:
            what = f"node {node_id!r} is not in these layouts, or was left out"
            notes.left_out(f"{at}.interactionNodeIds[{i}]", what, "correct the node's id")
        else:
            place.is_station = True


def _note_near(notes: Notes, places: Mapping[str, _Place], room_m: float) -> None:
    """Note nodes on which two robots could touch."""
    if room_m <= 0:
        return
    cells: dict[tuple[int, int], list[_Place]] = {}
    for place in places.values():
        column, row = math.floor(place.x_m / room_m), math.floor(place.y_m / room_m)
        for x in (column - 1, column, column + 1):
            for y in (row - 1, row, row + 1):
                for other in cells.get((x, y), ()):
                    apart_m = math.hypot(place.x_m - other.x_m, place.y_m - other.y_m)
                    if apart_m < room_m:
                        what = f"is {apart_m:.2f} m from node {other.node_id}: {_TOO_NEAR}"
                        notes.used(f"node {place.node_id}", what, _ROOM)
        cells.setdefault((column, row), []).append(place)


# --- edges ----------------------------------------------------------------------------------------


def _read_edge(
    notes: Notes,
    at: str,
    edge: dict[str, Any],
    places: Mapping[str, _Place],
    lanes: dict[tuple[str, str], _Lane],
) -> None:
    _note_unknown(notes, at, edge, _EDGE)
    start, end = places.get(str(edge.get("startNodeId"))), places.get(str(edge.get("endNodeId")))
    if start is None or end is None or start is end:
        ids = f"startNodeId {edge.get('startNodeId')!r}, endNodeId {edge.get('endNodeId')!r}"
        what = f"{ids}: expected two nodes of these layouts"
        notes.left_out(at, what, "correct the ids, or choose the other layout too")
        return
    read = _Lane()
    for where, entry in _items(notes, at, edge, "vehicleTypeEdgeProperties"):
        _read_edge_type(notes, where, entry, start, end, read)
    if not read.types:
        notes.left_out(at, "no vehicle type may drive here", "name one if it should be driven")
        return
    lane = lanes.setdefault((start.node_id, end.node_id), _Lane())
    if lane.types:
        what = f"a second edge from {start.node_id} to {end.node_id}: taken as one with the first"
        notes.used(at, what, "nothing")
    lane.types |= read.types
    lane.speed_m_s = min(lane.speed_m_s, read.speed_m_s)


def _read_edge_type(
    notes: Notes, at: str, entry: dict[str, Any], start: _Place, end: _Place, lane: _Lane
) -> None:
    """Add one vehicle type to a lane where it may drive there, loaded or not."""
    _note_unknown(notes, at, entry, _EDGE_TYPE | _NOT_USED.keys())
    for key in _NOT_USED.keys() & entry.keys() - {"theta"}:
        if entry[key] not in (None, []):
            notes.used(f"{at}.{key}", _NOT_USED[key], "nothing, unless that is wrong here")
    for key in ("rotationAtStartNodeAllowed", "rotationAtEndNodeAllowed"):
        if entry.get(key, "BOTH") not in _ROTATES:
            notes.used(f"{at}.{key}", _NO_TURNS, "leave the edge out if a robot would have to turn")
    load = entry.get("loadRestriction")
    if isinstance(load, dict) and not (load.get("loaded", True) and load.get("unloaded", True)):
        what = "only for robots with a load, or only without: closed for this type"
        notes.used(f"{at}.loadRestriction", what, "open it for both, or have the robots go around")
        return
    if isinstance(load, dict) and load.get("loadSetNames"):
        what = "not observed: what is carried may not fit here"
        notes.used(f"{at}.loadRestriction.loadSetNames", what, "leave the edge out if it does not")
    for kind in _type_of(notes, at, entry):
        for place in (start, end):
            if place.types and kind not in place.types:
                what = f"{kind} may not stand on node {place.node_id}: closed for it"
                notes.used(at, what, "name the type at the node, if it may")
                break
        else:
            lane.types.add(kind)
    speed = _speed(notes, at, entry, "maxSpeed")
    rotation = _speed(notes, at, entry, "maxRotationSpeed")
    lane.speed_m_s = min(lane.speed_m_s, speed or math.inf)
    if speed and rotation:
        end.turn_cost_m = max(end.turn_cost_m, speed * (math.pi / 2) / rotation)


def _speed(notes: Notes, at: str, entry: Mapping[str, Any], key: str) -> float:
    """Return a speed, 0 where it is not said."""
    value = entry.get(key)
    if value is None:
        return 0.0
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= SPEED_MAX:
        return float(value)
    notes.used(f"{at}.{key}", f"{value!r}, expected over 0 to {SPEED_MAX}: not used", "correct it")
    return 0.0


def _edge_row(pair: tuple[str, str], lane: _Lane, types: frozenset[str]) -> EdgeRow:
    return EdgeRow(
        from_node=pair[0],
        to_node=pair[1],
        robot_types="" if lane.types >= types else " ".join(sorted(lane.types)),
        speed_m_s_max=lane.speed_m_s if math.isfinite(lane.speed_m_s) else 0.0,
    )


# --- parts ----------------------------------------------------------------------------------------


def _type_of(notes: Notes, at: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the vehicle type of an entry in one word, or nothing."""
    kind = entry.get("vehicleTypeId")
    if not isinstance(kind, str) or not kind.strip() or len(kind) > TYPE_MAX:
        notes.left_out(
            at, f"vehicleTypeId is {kind!r}", f"name a vehicle type of {TYPE_MAX} letters or fewer"
        )
        return ()
    word = re.sub(r"\s+", "_", kind.strip())
    if word != kind:
        what = f"{kind!r} is written {word!r}"
        notes.used(f"{at}.vehicleTypeId", what, "write it so as robot_type in robots.csv")
    return (word,)


def _items(
    notes: Notes, at: str, owner: Mapping[str, Any], key: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects of a list with their paths; what is no object is noted."""
    found = owner.get(key)
    if not isinstance(found, list):
        if found is not None:
            notes.left_out(f"{at}.{key}", f"{found!r}, expected a list", "correct it")
        return
    for i, item in enumerate(found):
        where = f"{at}.{key}[{i}]"
        if isinstance(item, dict):
            yield where, item
        else:
            notes.left_out(where, f"{item!r}, expected an object", "correct it")


def _note_unknown(notes: Notes, at: str, found: Mapping[str, Any], known: Collection[str]) -> None:
    for key in found:
        if key not in known:
            where = f"{at}.{key}" if at else key
            notes.used(where, "is not known in LIF 1.0.0: not used", "nothing, unless it matters")
