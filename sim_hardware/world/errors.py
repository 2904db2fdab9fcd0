"""What a person does wrong, and how often: rates that may be changed while they work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runtime.seeds import Random
from sim_hardware.world.incidents import Effect, IncidentKind
from wire.ids import bin_location, bin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sim_hardware.config import SimErrors
    from sim_hardware.world.world import World
    from wire.messages import PersonTask

STOLEN_UNITS_MAX: Final = 2
RATES: Final = (
    "misplace", "miscount", "wrong_pick", "forget_scan", "steal", "trust_paper", "pause"
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class ErrorRates:
    """Shares of the times a person could do it; set them at any time."""

    misplace: float = 0.0
    miscount: float = 0.0
    wrong_pick: float = 0.0
    forget_scan: float = 0.0
    steal: float = 0.0
    trust_paper: float = 0.0
    pause: float = 0.0
    pause_s: float = 300.0


def rates_of(rows: Sequence[SimErrors], person_id: str) -> ErrorRates:
    """Return the rates of one person: of the row that names them, else of the one for all."""
    own = next((row for row in rows if person_id in row.persons), None)
    row = own or next((row for row in rows if not row.persons), None)
    if row is None:
        return ErrorRates()
    return ErrorRates(pause_s=row.pause_s, **{name: getattr(row, name) for name in RATES})


@dataclass(frozen=True, slots=True)
class Slip:
    """What is to be written down once it is certain that it happened."""

    kind: IncidentKind
    bin_id: str
    gtin: str
    units: int
    text: str
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grab:
    """What a person really takes, and where it really goes, while they do a task."""

    moves: tuple[tuple[str, int, str], ...]
    """(GTIN-14, units, from place)."""
    to_place: str
    """Where a putaway really ends."""
    slip: Slip | None = None
    scans: bool = True
    """False: they forget to scan it."""


class Slips:
    """One person's slips: whether one happens now, what it does, and the line about it."""

    def __init__(self, world: World, person_id: str, rates: ErrorRates, rng: Random) -> None:
        self.rates = rates
        self._world = world
        self._person_id = person_id
        self._rng = rng

    def happens(self, share: float) -> bool:
        """Return whether something with this share happens now. Where it is 0 nothing is drawn."""
        return share > 0.0 and self._rng.random() < share

    def break_s(self) -> float:
        """Return how long the person has a break now; 0: none."""
        if not self.happens(self.rates.pause):
            return 0.0
        return self._rng.expovariate(1.0 / self.rates.pause_s)

    def miscounted(self, units: int) -> int:
        """Return what the person thinks or takes in place of `units`."""
        if not self.happens(self.rates.miscount):
            return units
        return max(0, units + self._rng.choice((-1, 1)))

    def grab(self, task: PersonTask, units: int) -> Grab:
        """Return what is taken where `units` of a task's article were to be: at most one slip."""
        right = Grab(moves=((task.gtin, units, task.from_place),), to_place=task.to_place)
        if self.happens(self.rates.forget_scan):
            return self._unscanned(task, units)
        if task.kind == "pick" and self.happens(self.rates.wrong_pick):
            return self._wrong_pick(task, units) or right
        if task.kind == "putaway" and self.happens(self.rates.misplace):
            return self._misplaced(task, units) or right
        there = self._world.stock.units_at(task.from_place, task.gtin)
        taken = min(self.miscounted(units), there)
        return right if taken in {0, units} else self._miscounted(task, units, taken)

    def trusted_paper(self, task: PersonTask, units: int) -> Grab | None:
        """Return what is received as the task's article where only something else is there."""
        if task.kind != "receive":
            return None
        there = self._world.stock_at(task.from_place)
        other = next((gtin for gtin in sorted(there) if gtin != task.gtin), "")
        if not other or not self.happens(self.rates.trust_paper):
            return None
        taken = min(units, there[other])
        text = f"{taken} x {other} received as {task.gtin}: so the paper says"
        return self._grabbed(
            task, "trusted-paper", text, taken, ((other, taken, task.from_place),), task.to_place
        )

    def steal(self, bin_id: str, gtin: str) -> None:
        """Let one or two units of what is in a bin vanish now and then."""
        if not self.happens(self.rates.steal):
            return
        stock = self._world.stock_at(bin_location(bin_id))
        wanted = gtin if gtin in stock else min(stock, default="")
        if wanted:
            units = min(stock[wanted], self._rng.randint(1, STOLEN_UNITS_MAX))
            self.take_away(bin_id, wanted, units)

    def take_away(self, bin_id: str, gtin: str, units: int) -> None:
        """Let units vanish from a bin. Raises NotThereError."""
        place, home = bin_location(bin_id), f"stolen:{self._person_id}"
        self._world.stock.move(gtin, units, from_place=place, to_place=home)
        effects = (Effect(place, gtin, -units), Effect(home, gtin, units))
        text = f"{units} x {gtin} vanished from {bin_id}"
        self.note(Slip("stolen", bin_id, gtin, units, text, effects))

    def note(self, slip: Slip) -> None:
        """Write down what went wrong."""
        self._world.incidents.note(
            slip.kind, at_s=self._world.time.now_s, person_id=self._person_id, text=slip.text,
            bin_id=slip.bin_id, gtin=slip.gtin, units=slip.units, effects=slip.effects,
        )  # fmt: skip

    # --- kinds of slips ---------------------------------------------------------------------------

    def _unscanned(self, task: PersonTask, units: int) -> Grab:
        text = f"{units} x {task.gtin} went to {task.to_place}, nothing was scanned"
        moves = ((task.gtin, units, task.from_place),)
        return self._grabbed(task, "unscanned", text, 0, moves, task.to_place, scans=False)

    def _wrong_pick(self, task: PersonTask, units: int) -> Grab | None:
        """Return the neighbouring face's article in place of the right one."""
        for other in self._world.neighbours(bin_of(task.from_place) or ""):
            place = bin_location(other.bin_id)
            stock = self._world.stock_at(place)
            wrong = min((gtin for gtin in stock if gtin != task.gtin), default="")
            if wrong:
                taken = min(units, stock[wrong])
                text = f"{taken} x {wrong} of {other.bin_id} picked as {task.gtin}"
                moves = ((wrong, taken, place),)
                return self._grabbed(task, "wrong-pick", text, units, moves, task.to_place)
        return None

    def _misplaced(self, task: PersonTask, units: int) -> Grab | None:
        """Return the same goods on their way into the neighbouring bin."""
        beside = self._world.neighbours(bin_of(task.to_place) or "")
        if not beside:
            return None
        text = f"{units} x {task.gtin} put into {beside[0].bin_id}, scanned as {task.to_place}"
        moves = ((task.gtin, units, task.from_place),)
        real = bin_location(beside[0].bin_id)
        return self._grabbed(task, "misplaced", text, units, moves, real)

    def _miscounted(self, task: PersonTask, units: int, taken: int) -> Grab:
        text = f"{taken} x {task.gtin} taken from {task.from_place}, {units} scanned"
        moves = ((task.gtin, taken, task.from_place),)
        return self._grabbed(task, "miscounted", text, units, moves, task.to_place)

    def _grabbed(
        self,
        task: PersonTask,
        kind: IncidentKind,
        text: str,
        scanned: int,
        moves: tuple[tuple[str, int, str], ...],
        to_place: str,
        *,
        scans: bool = True,
    ) -> Grab:
        """Return a grab whose slip says what is really done less what is scanned."""
        off: Counter[tuple[str, str]] = Counter()
        for gtin, units, from_place in moves:
            off[from_place, gtin] -= units
            off[to_place, gtin] += units
        if scans:
            off[task.from_place, task.gtin] += scanned
            off[task.to_place, task.gtin] -= scanned
        effects = tuple(Effect(*pair, units) for pair, units in off.items() if units)
        at_bin = bin_of(task.to_place if kind == "misplaced" else task.from_place) or ""
        slip = Slip(kind, at_bin, task.gtin, sum(units for _, units, _ in moves), text, effects)
        return Grab(moves=moves, to_place=to_place, slip=slip, scans=scans)
