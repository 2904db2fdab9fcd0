"""A robot's load handling: cartons of units in and out of bins, and whole totes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sim_hardware.devices.robot_messages import LOADS_MAX
from sim_hardware.world.stock import NotThereError
from sim_hardware.world.world import HANDOVER_PREFIX, World
from wire.ids import bin_location
from wire.site import BinRow
from wire.vda5050.action_ids import StockAction, parse_action_id
from wire.vda5050.codec import parameter
from wire.vda5050.messages import Action, Load

PICK: Final = "pick"
DROP: Final = "drop"
TOTE: Final = "tote"
CARTON: Final = "carton"


class CannotError(Exception):
    """The hands cannot do it; the text says why. Nothing was moved."""


@dataclass(frozen=True, slots=True)
class ToteMove:
    """A tote that goes between a bin and the robot."""

    verb: str
    tote: str
    bin_id: str


class Hands:
    """What the robot carries, and how it gets there."""

    def __init__(self, world: World, place: str) -> None:
        self._world = world
        self._place = place
        self._tote = ""
        self.touched_bins: set[str] = set()
        """Bins whose units were moved and whose FINISHED was not published yet."""
        self.troubles: list[Callable[[], str]] = []
        """Each says in words why this pick or drop fails, or nothing."""
        self._on_floor = place.replace("robot:", "dropped:", 1)

    def understands(self, action: Action) -> bool:
        """Return whether this is a pick or drop that says what to move, and where."""
        return _parse(action) is not None

    def bin_of(self, action: Action) -> str:
        """Return the bin at which the action is done; empty where it does not say."""
        move = _parse(action)
        return move.bin_id if move is not None else ""

    def is_waiting(self, action: Action) -> bool:
        """Return whether somebody is still on the way with goods for the tote to pick."""
        move = _parse(action)
        if not isinstance(move, ToteMove) or move.verb != PICK:
            return False
        return self._world.is_awaited(move.tote)

    def check(self, action: Action, node_id: str) -> None:
        """Raise CannotError where the action cannot be done at this node as things are now."""
        move = _parse(action)
        assert move is not None, "an order with such an action is not taken"
        row = self._world.bins.get(move.bin_id)
        if row is None or row.node_id != node_id:
            raise CannotError(f"bin {move.bin_id} cannot be reached from node {node_id}")
        if move.verb == PICK and len(self.loads()) >= LOADS_MAX:
            raise CannotError(f"all {LOADS_MAX} load positions are taken")
        if isinstance(move, StockAction):
            self._check_stock(move)
        else:
            self._check_tote(move, row)

    def do(self, action: Action, node_id: str) -> str:
        """Move the units or the tote; return what was done. Raises CannotError."""
        self.check(action, node_id)
        for trouble in self.troubles:
            if why := trouble():
                raise CannotError(why)
        move = _parse(action)
        if isinstance(move, StockAction):
            return self._do_stock(move)
        assert move is not None, "checked before"
        return self._do_tote(move)

    def loads(self) -> tuple[Load, ...]:
        """Return what the robot carries."""
        kinds = [(CARTON, gtin) for gtin in sorted(self._world.stock_at(self._place))]
        kinds += [(TOTE, self._tote)] if self._tote else []
        return tuple(
            Load(load_id=name, load_type=kind, load_position=f"shelf-{position}")
            for position, (kind, name) in enumerate(kinds, start=1)
        )

    def let_fall(self) -> None:
        """Let the cartons on the robot fall down beside it."""
        self._carry(self._place, self._on_floor)

    def put_back(self) -> None:
        """Let somebody put back what fell down."""
        self._carry(self._on_floor, self._place)

    def _carry(self, from_place: str, to_place: str) -> None:
        for gtin, units in sorted(self._world.stock_at(from_place).items()):
            self._world.stock.move(gtin, units, from_place=from_place, to_place=to_place)

    def _check_stock(self, move: StockAction) -> None:
        source = bin_location(move.bin_id) if move.verb == PICK else self._place
        there = self._world.stock.units_at(source, move.gtin)
        if there < move.units:
            raise CannotError(f"{there} of {move.units} units of {move.gtin} are at {source}")

    def _do_stock(self, move: StockAction) -> str:
        at_bin = bin_location(move.bin_id)
        ends = (at_bin, self._place) if move.verb == PICK else (self._place, at_bin)
        try:
            self._world.stock.move(move.gtin, move.units, from_place=ends[0], to_place=ends[1])
        except NotThereError as error:
            raise CannotError(str(error)) from error
        self.touched_bins.add(move.bin_id)
        return f"{move.units} units of {move.gtin} from {ends[0]} to {ends[1]}"

    def _check_tote(self, move: ToteMove, row: BinRow) -> None:
        if move.verb == DROP:
            if self._tote != move.tote:
                raise CannotError(f"{move.tote} is not on the robot")
            return
        if self._tote:
            raise CannotError(f"{self._tote} stands where {move.tote} would")
        if row not in self._world.handover_bins:
            raise CannotError(f"{row.bin_id} is no handover bin: no tote stands there")
        is_there = bool(self._world.stock_at(move.tote)) or self._world.is_awaited(move.tote)
        if not is_there or move.tote in self._world.carried_totes:
            raise CannotError(f"{move.tote} does not stand at {row.bin_id}")

    def _do_tote(self, move: ToteMove) -> str:
        if move.verb == PICK:
            self._tote = move.tote
            self._world.carried_totes.add(move.tote)
            return f"{move.tote} taken at {move.bin_id}"
        self._tote = ""
        self._world.carried_totes.discard(move.tote)
        if move.bin_id.startswith(HANDOVER_PREFIX):
            return f"{move.tote} stands at {move.bin_id}"
        self._world.pack(move.tote)
        return f"{move.tote} packed at {move.bin_id}"


def _parse(action: Action) -> StockAction | ToteMove | None:
    """Return what an action moves; None where it says too little."""
    if action.action_type not in (PICK, DROP):
        return None
    stock = parse_action_id(action.action_id)
    if stock is not None:
        return stock if stock.verb == action.action_type else None
    tote, station = parameter(action, "loadId"), parameter(action, "stationName")
    if parameter(action, "loadType") != TOTE or not isinstance(tote, str):
        return None
    if not tote.startswith("tote:") or not isinstance(station, str):
        return None
    return ToteMove(action.action_type, tote, station)
