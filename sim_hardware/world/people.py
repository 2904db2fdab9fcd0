"""People: they read their tasks, walk, take and put goods, and scan what they do.

A person's work is written as a script that yields what takes time: a pause, or a scan with its
answer. What a person physically did before a bad beep they undo. When no beep comes at all:

* A scan that only says where one is (a command card, a bin's label) is simply scanned again.
* A scan that counts units is first looked up on the screen: does it say that so much was done, or
  that the task ended with it, then it was counted. A task that is gone without that says nothing:
  somebody else may have it now. Then it is scanned again. The edge books it, says that it has it
  already, or refuses it; in that last case the screen decides once more. What neither beep nor
  screen took goes back to where it was.

What people do wrong, and how often, stands in `world/errors.py`.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final

from runtime.seeds import Random
from sim_hardware.devices import scan_text
from sim_hardware.devices.scanner import Answer, Scanner
from sim_hardware.world.errors import ErrorRates, Grab, Slip, Slips
from sim_hardware.world.lots import NO_MARK, Mark
from sim_hardware.world.schedule import WorldCall
from sim_hardware.world.world import World
from wire.answers import Code
from wire.ids import bin_location, bin_of
from wire.messages import EndedTask, PersonTask, PersonTasks
from wire.site import BinRow, PersonRow

WALK_MPS: Final = 1.2
STEP_S: Final = 0.5
"""Turning to a bin after the walk."""
AIM_S: Final = 0.6
REACTION_S: Final = 0.2
HANDLE_S: Final = 1.0
HANDLE_S_PER_UNIT: Final = 0.15
HANDLE_S_MAX: Final = 12.0
LOOK_REAL_S: Final = 2.0
"""How long a screen may lag behind the books: it is a wait on the product, so in its own time."""
RESCANS_MAX: Final = 5
LOOKS_MAX: Final = 3
"""So often a person counts the same when asked to; then they let it be."""
RETRY_S: Final = 20.0
TRIES_MAX: Final = 5
REFUSALS_KEPT_MAX: Final = 200
DOOR_S: Final = 5.0
"""So often somebody who stands before a closed door tries it again."""
DOOR_TRIES_MAX: Final = 720
"""After an hour before a closed door they take the emergency exit."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Something that takes world seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Scan:
    """A pull of the trigger; the script goes on with the answer, None where there was none."""

    text: str


class Outcome(enum.Enum):
    """How a task ended for the person who worked on it."""

    DONE = "done"
    REFUSED = "refused"
    NOTHING_THERE = "nothing there"
    WITHDRAWN = "withdrawn"
    FORGOTTEN = "done and not scanned"


Script = Generator[Pause | Scan, Answer | None, Outcome]
Step = Generator[Pause | Scan, Answer | None, bool]
Walk = Generator[Pause | Scan, Answer | None, None]


@dataclass(frozen=True, slots=True)
class Held:
    """Goods in a person's hands that are booked in a tote."""

    gtin: str
    units: int
    to_place: str
    mark: Mark


class Person:
    """One person with a scanner and a screen."""

    def __init__(
        self,
        row: PersonRow,
        *,
        scanner: Scanner,
        world: World,
        start_node: str,
        gln: str,
        rng: Random,
        stray_share: float,
        rates: ErrorRates,
        error_rng: Random,
    ) -> None:
        self.person_id = row.person_id
        self.tasks_done: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.strays = 0
        self.strays_accepted = 0
        self.touched_bins: set[str] = set()
        """Bins whose units this person moved and whose scan has no good beep yet."""
        self.slips = Slips(world, row.person_id, rates, error_rng)
        self._scanner = scanner
        self._world = world
        self._node = start_node
        self._walk_to = start_node
        self._walk_times_s = (0.0, 0.0)
        self._away_until_s = 0.0
        self._gln = gln
        self._rng = rng
        self._stray_share = stray_share
        self._hands = f"person:{row.person_id}"
        self._mode = ""
        self._screen: tuple[PersonTask, ...] = ()
        self._ended: tuple[EndedTask, ...] = ()
        self._finished: set[str] = set()
        self._done_units: dict[str, int] = {}
        self._own_units: Counter[str] = Counter()
        """By task: what this person knows to be counted of their own scans."""
        self._lines: dict[str, tuple[str, str]] = {}
        """Work and article of each line that stands or stood on the screen."""
        self._tries: Counter[str] = Counter()
        self._not_before_s: dict[str, float] = {}
        self._held: list[Held] = []
        self._script: Script | None = None
        self._task: PersonTask | None = None
        self._wake_call: WorldCall | None = None

    @property
    def errors(self) -> ErrorRates:
        """Return how often this person does what they should not; set the rates at any time."""
        return self.slips.rates

    def send_away(self, seconds: float) -> None:
        """Let the person be away for so many world seconds, after what they are at."""
        self._away_until_s = max(self._away_until_s, self._world.time.now_s + seconds)

    def call_back(self) -> None:
        """Let the person come back now."""
        self._away_until_s = 0.0
        self._wake(REACTION_S)

    def position(self) -> tuple[float, float]:
        """Return where the person is, metres: on the way between two nodes, or at one."""
        floor, (begin_s, end_s) = self._world.floor, self._walk_times_s
        now_s = self._world.time.now_s
        if now_s >= end_s:
            return floor.position(self._walk_to)
        share = (now_s - begin_s) / (end_s - begin_s)
        return floor.on_way(self._node, self._walk_to, share)

    def show(self, told: PersonTasks) -> None:
        """Put these tasks on the person's screen, and what became of those before."""
        self._screen, self._ended = told.tasks, told.ended
        listed = {task.task_id for task in told.tasks}
        self._finished &= listed
        remembered: tuple[dict[str, Any], ...] = (self._done_units, self._tries, self._not_before_s)
        for memory in remembered:
            for task_id in [t for t in memory if t not in listed]:
                del memory[task_id]
        self._lines |= {task.task_id: (task.kind, task.gtin) for task in told.tasks}
        known = listed | {ended.task_id for ended in told.ended}
        self._lines = {task_id: self._lines[task_id] for task_id in known & self._lines.keys()}
        known |= {self._task.task_id} if self._task else set()
        for task_id in [t for t in self._own_units if t not in known]:
            del self._own_units[task_id]
        self._wake(REACTION_S)

    # --- what comes next ---------------------------------------------------------------------

    def _wake(self, delay_s: float) -> None:
        """Look for something to do after a moment, unless at work."""
        if self._script is None:
            if self._wake_call is not None:
                self._wake_call.cancel()
            self._wake_call = self._world.time.after(delay_s, self._begin)

    def _begin(self) -> None:
        if self._script is not None:
            return
        now_s = self._world.time.now_s
        task = next(
            (
                t
                for t in self._screen
                if self._is_open(t) and self._not_before_s.get(t.task_id, 0.0) <= now_s
            ),
            None,
        )
        totes = {held.to_place for held in self._held}
        if totes and (task is None or task.kind != "pick" or task.to_place not in totes):
            self._task = None
            self._script = self._hand_over()
        elif self._has_gone(task):
            return
        elif task is not None:
            self._task = task
            self._script = self._work(task)
        else:
            return
        self._resume(None)

    def _has_gone(self, task: PersonTask | None) -> bool:
        """Return whether the person is away, or goes for a break now; they come back by then."""
        now_s = self._world.time.now_s
        break_s = self.slips.break_s() if task is not None and now_s >= self._away_until_s else 0.0
        if break_s:
            self.slips.note(
                Slip("away", "", "", 0, f"{self.person_id} is away for {break_s:.0f} s")
            )
            self.send_away(break_s)
        if now_s >= self._away_until_s:
            return False
        self._wake(self._away_until_s - now_s)
        return True

    def _resume(self, answer: Answer | None) -> None:
        assert self._script is not None, f"{self.person_id} has nothing to go on with"
        try:
            step = self._script.send(answer)
        except StopIteration as end:
            self._finish(end.value)
            return
        if isinstance(step, Pause):
            self._world.time.after(step.seconds, lambda: self._resume(None))
        else:
            self._scanner.scan(step.text, self._hear)

    def _hear(self, answer: Answer | None) -> None:
        """Go on in world time: in a world that stands still, nobody reacts to a beep."""
        self._world.time.after(REACTION_S, lambda: self._resume(answer))

    def _finish(self, outcome: Outcome) -> None:
        self._script = None
        task, self._task = self._task, None
        if task is not None:
            if outcome is Outcome.DONE:
                if task.kind == "count":
                    self._finished.add(task.task_id)
                self.tasks_done[task.kind] += 1
            elif outcome is not Outcome.WITHDRAWN:
                self._postpone(task.task_id)
        self._wake(0.0)

    def _postpone(self, task_id: str) -> None:
        """Try again later; after some tries leave it to whoever watches the due times."""
        self._tries[task_id] += 1
        if self._tries[task_id] >= TRIES_MAX:
            self._finished.add(task_id)
            return
        wait_s = RETRY_S * self._tries[task_id]
        self._not_before_s[task_id] = self._world.time.now_s + wait_s
        self._world.time.after(wait_s, lambda: self._wake(0.0))

    def _left(self, task: PersonTask) -> int:
        """Return the units still to do; the screen may not know yet what was just scanned."""
        return task.done_units + task.units - self._done_so_far(task)

    def _done_so_far(self, task: PersonTask) -> int:
        return max(self._done_units.get(task.task_id, 0), task.done_units)

    def _is_open(self, task: PersonTask) -> bool:
        if task.task_id in self._finished:
            return False
        return task.kind == "count" or self._left(task) > 0

    def _is_listed(self, task: PersonTask) -> bool:
        return any(listed.task_id == task.task_id for listed in self._screen)

    def _is_counted(self, task: PersonTask, units: int) -> bool:
        """Return whether the screen says that these `units` more were done, or the count was."""
        for listed in self._screen:
            if listed.task_id == task.task_id:
                more = listed.done_units - self._done_so_far(task)
                return task.kind != "count" and more >= units
        for ended in self._ended:
            if ended.task_id == task.task_id:
                if task.kind == "count":
                    return ended.end == "done"
                if ended.own_units >= self._own_units[task.task_id] + units:
                    return True
        return task.kind != "count" and self._is_counted_for_another(task, units)

    def _is_counted_for_another(self, task: PersonTask, units: int) -> bool:
        """Return whether the screen says that for another line of the same work and article.

        That is so where a task was withdrawn and the same goods were asked for anew.
        """
        for ended in self._ended:
            if self._lines.get(ended.task_id) != (task.kind, task.gtin):
                continue
            if ended.own_units >= self._own_units[ended.task_id] + units:
                self._own_units[ended.task_id] += units
                return True
        return False

    # --- the work ----------------------------------------------------------------------------

    def _work(self, task: PersonTask) -> Script:
        """Return the script of one task."""
        kinds: dict[str, Callable[[PersonTask, BinRow], Script]] = {
            "receive": self._receive,
            "putaway": self._putaway,
            "pick": self._pick,
            "count": self._count,
        }
        at_place = task.to_place if task.kind == "receive" else task.from_place
        row = self._world.bins.get(bin_of(at_place) or "")
        if task.kind not in kinds or row is None:
            self.refusals["no-such-work"] += 1
            return Outcome.REFUSED
        yield from self._walk(row.node_id)
        if not self._is_listed(task):
            return Outcome.WITHDRAWN
        outcome = yield from kinds[task.kind](task, row)
        self.slips.steal(row.bin_id, task.gtin)
        if outcome is Outcome.REFUSED:
            self._mode = ""  # whatever the scanner thinks now: say it again next time
        return outcome

    def _receive(self, task: PersonTask, dock: BinRow) -> Script:
        if not (yield from self._say_where("RECEIVE", dock.bin_id)):
            return Outcome.REFUSED
        return (yield from self._move_here(task, to_place=task.to_place))

    def _pick(self, task: PersonTask, face: BinRow) -> Script:
        if not (yield from self._say_where("PICK", face.bin_id)):
            return Outcome.REFUSED
        self._world.bring(task.to_place)
        outcome = yield from self._move_here(task, to_place=self._hands)
        if outcome not in {Outcome.DONE, Outcome.FORGOTTEN}:
            self._world.brought(task.to_place)
        return outcome

    def _move_here(self, task: PersonTask, *, to_place: str) -> Script:
        """Take the units, scan them, and put them back if the scan is refused."""
        stock = self._world.stock
        units = min(self._left(task), stock.units_at(task.from_place, task.gtin))
        if units == 0:
            return (yield from self._trust_paper(task))
        yield self._handle(units)
        units = min(units, stock.units_at(task.from_place, task.gtin))
        if units == 0:
            return Outcome.NOTHING_THERE
        # Alike units at once: the rest stays on the screen and is the next thing to do.
        mark, units = stock.first(task.from_place, task.gtin, units, task.lot)
        grab = self.slips.grab(task, units)
        return (yield from self._take_and_scan(task, units, grab, to_place=to_place, mark=mark))

    def _trust_paper(self, task: PersonTask) -> Script:
        """Receive something else as what the paper says, if one is like that."""
        grab = self.slips.trusted_paper(task, self._left(task))
        if grab is None:
            return Outcome.NOTHING_THERE
        units = sum(units for _, units, _ in grab.moves)
        yield self._handle(units)
        return (yield from self._take_and_scan(task, units, grab, to_place=task.to_place))

    def _take_and_scan(
        self, task: PersonTask, units: int, grab: Grab, *, to_place: str, mark: Mark = NO_MARK
    ) -> Script:
        """Take what is grabbed, scan `units` of the task's article; the books have it, or undo."""
        for place in (task.from_place, task.to_place):
            self._touch(place)
        for gtin, taken, from_place in grab.moves:
            self._move(gtin, taken, from_place=from_place, to_place=to_place, mark=mark)
        text = scan_text.article(task.gtin, units, mark)
        if grab.scans and not (yield from self._confirm(text, task, units)):
            for gtin, taken, from_place in grab.moves:
                self._move(gtin, taken, from_place=to_place, to_place=from_place, mark=mark)
            self.touched_bins.clear()
            return Outcome.REFUSED
        if grab.slip is not None:
            self.slips.note(grab.slip)
        if to_place == self._hands:
            self._held += [Held(gtin, taken, task.to_place, mark) for gtin, taken, _ in grab.moves]
            for _ in grab.moves[1:]:
                self._world.bring(task.to_place)
        if not grab.scans:
            self.touched_bins.clear()
            return Outcome.FORGOTTEN
        self._note_done(task, units)
        return Outcome.DONE

    def _putaway(self, task: PersonTask, dock: BinRow) -> Script:
        goal = self._world.bins.get(bin_of(task.to_place) or "")
        if goal is None or not (yield from self._say_where("PUTAWAY", dock.bin_id)):
            return Outcome.REFUSED
        units = min(self._left(task), self._world.stock.units_at(task.from_place, task.gtin))
        if units == 0:
            yield from self._scan_again_if_silent(scan_text.command("CANCEL"))
            return Outcome.NOTHING_THERE
        mark, units = self._world.stock.first(task.from_place, task.gtin, units, task.lot)
        grab = self.slips.grab(task, units)
        [(_, taken, _)] = grab.moves
        self._move(task.gtin, taken, from_place=task.from_place, to_place=self._hands, mark=mark)
        yield self._handle(taken)
        booked = not grab.scans
        answer = None
        if grab.scans:
            answer = yield from self._aim(scan_text.article(task.gtin, units, mark))
        if booked or (answer is not None and answer.ok):
            yield from self._walk(goal.node_id)
            self._touch(task.to_place)
            self._move(task.gtin, taken, from_place=self._hands, to_place=grab.to_place, mark=mark)
            label = self._bin_label(goal.bin_id)
            booked = booked or (yield from self._confirm(label, task, units))
            if not booked:
                ends = {"from_place": grab.to_place, "to_place": self._hands}
                self._move(task.gtin, taken, **ends, mark=mark)
        if booked and grab.slip is not None:
            self.slips.note(grab.slip)
        if booked and grab.scans:
            self._note_done(task, units)
        elif not booked:
            yield from self._walk(dock.node_id)
            self._move(
                task.gtin, taken, from_place=self._hands, to_place=task.from_place, mark=mark
            )
            yield from self._scan_again_if_silent(scan_text.command("CANCEL"))
        self.touched_bins.clear()
        if not booked:
            return Outcome.REFUSED
        return Outcome.DONE if grab.scans else Outcome.FORGOTTEN

    def _count(self, task: PersonTask, row: BinRow) -> Script:
        """Count the bin of a task, or all bins of a round in the order of its way."""
        if not task.stops:
            return (yield from self._count_bin(task, row, (task.gtin,) if task.gtin else ()))
        for stop in task.stops:
            bin_row = self._world.bins.get(stop.bin_id)
            if bin_row is None:
                return Outcome.REFUSED
            yield from self._walk(bin_row.node_id)
            if not self._is_listed(task):
                return Outcome.WITHDRAWN
            there = sorted({*stop.gtins, *self._world.stock_at(bin_location(stop.bin_id))})
            outcome = yield from self._count_bin(task, bin_row, tuple(there))
            if outcome is not Outcome.DONE:
                return outcome
        return Outcome.DONE

    def _count_bin(self, task: PersonTask, row: BinRow, gtins: tuple[str, ...]) -> Script:
        if not (yield from self._say_where("COUNT", row.bin_id)):
            return Outcome.REFUSED
        there = self._world.stock_at(bin_location(row.bin_id))
        wanted = list(gtins) or sorted(there) or [row.gtin]
        for gtin in filter(None, wanted):
            if not (yield from self._count_article(task, row, gtin)):
                return Outcome.REFUSED
        return Outcome.DONE

    def _count_article(self, task: PersonTask, row: BinRow, gtin: str) -> Step:
        """Count what is there of an article, once more where asked; who errs errs again."""
        slip: int | None = None
        for _ in range(LOOKS_MAX):
            units = self._world.stock_at(bin_location(row.bin_id)).get(gtin, 0)
            yield self._handle(units)
            slip = self.slips.miscounted(units) - units if slip is None else slip
            said = max(units + slip, 0)
            answer = yield from self._tell(scan_text.article(gtin, said), task, said)
            if answer != Code.RECOUNT:
                break
        if answer == Code.BOOKED and said != units:
            text = f"{said} x {gtin} counted at {row.bin_id}, {units} are there"
            self.slips.note(Slip("false-count", row.bin_id, gtin, said - units, text))
        return answer == Code.BOOKED

    def _hand_over(self) -> Script:
        """Walk to the roller line and lay what was picked into its totes."""
        world = self._world
        if world.handover_bins:
            yield from self._walk(world.floor.nearest(self._node, world.handover_bins).node_id)
        yield self._handle(len(self._held))
        while self._held:
            held = self._held.pop()
            ends = {"from_place": self._hands, "to_place": held.to_place}
            world.stock.move(held.gtin, held.units, **ends, mark=held.mark)
            world.brought(held.to_place)
        return Outcome.DONE

    # --- the single moves ----------------------------------------------------------------------

    def _walk(self, node_id: str) -> Walk:
        floor = self._world.floor
        for _ in range(DOOR_TRIES_MAX):
            length_m = floor.walk_m(self._node, node_id)
            if length_m < math.inf:
                break
            yield Pause(DOOR_S)
        else:
            length_m = math.dist(floor.position(self._node), floor.position(node_id))
        now_s = self._world.time.now_s
        self._walk_to, self._walk_times_s = node_id, (now_s, now_s + length_m / WALK_MPS)
        yield Pause(length_m / WALK_MPS + STEP_S)
        self._node = node_id

    def _note_done(self, task: PersonTask, units: int) -> None:
        self._done_units[task.task_id] = self._done_so_far(task) + units
        self._own_units[task.task_id] += units
        self.touched_bins.clear()

    def _handle(self, units: int) -> Pause:
        return Pause(min(HANDLE_S + HANDLE_S_PER_UNIT * units, HANDLE_S_MAX))

    def _move(self, gtin: str, units: int, *, from_place: str, to_place: str, mark: Mark) -> None:
        self._world.stock.move(gtin, units, from_place=from_place, to_place=to_place, mark=mark)
        self._touch(from_place)
        self._touch(to_place)

    def _touch(self, place: str) -> None:
        """Note that the books and the truth of a bin may differ until the scan is booked."""
        bin_id = bin_of(place)
        if bin_id is not None:
            self.touched_bins.add(bin_id)

    def _bin_label(self, bin_id: str) -> str:
        """Return what is read from the label on a bin's shelf; empty where it cannot be read."""
        if not self._world.is_readable(bin_id):
            return ""
        return scan_text.bin_label(self._gln, self._world.label_of(bin_id))

    def _say_where(self, mode: str, bin_id: str) -> Step:
        """Scan the mode's card if it changes, then the bin; return whether both beeped well."""
        if self._mode != mode:
            if not (yield from self._scan_again_if_silent(scan_text.command(mode))):
                return False
            self._mode = mode
        return (yield from self._scan_again_if_silent(self._bin_label(bin_id)))

    def _scan_again_if_silent(self, text: str) -> Step:
        """Scan something that counts nothing until there is a beep; return whether it was good."""
        for _ in range(RESCANS_MAX):
            answer = yield from self._aim(text)
            if answer is not None:
                return answer.ok
        return False

    def _confirm(self, text: str, task: PersonTask, units: int) -> Step:
        """Scan something that counts; return whether the books have it."""
        return (yield from self._tell(text, task, units)) == Code.BOOKED

    def _tell(self, text: str, task: PersonTask, units: int) -> Generator[Any, Any, str]:
        """Scan something that counts; return `booked` where the books have it, or the refusal."""
        for attempt in range(RESCANS_MAX):
            answer = yield from self._aim(text)
            if answer is not None and (answer.ok or (attempt and answer.code == Code.ALREADY)):
                return Code.BOOKED
            if answer is not None and (attempt == 0 or answer.code == Code.RECOUNT):
                return answer.code
            # No beep, or a refusal after one was missed: the screen tells what was counted.
            yield Pause(LOOK_REAL_S * self._world.time.speed)
            if self._is_counted(task, units):
                return Code.BOOKED
            if answer is not None:
                return answer.code
        return ""

    def _aim(self, text: str) -> Generator[Pause | Scan, Answer | None, Answer | None]:
        """Scan `text`, now and then after something else that hung in the way; return the beep."""
        if self._rng.random() < self._stray_share:
            yield Pause(AIM_S)
            stray = yield Scan(self._rng.choice(scan_text.STRAY))
            self.strays += 1
            self._note(stray)
            if stray is not None and stray.ok:
                self.strays_accepted += 1
        yield Pause(AIM_S)
        if not text:
            self.refusals["unreadable"] += 1
            return None
        answer = yield Scan(text)
        self._note(answer)
        return answer

    def _note(self, answer: Answer | None) -> None:
        if answer is None:
            self.refusals["no-beep"] += 1
        elif not answer.ok:
            self.refusals[answer.code] += 1
