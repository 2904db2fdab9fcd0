"""The player: lets a scenario happen on the floor's lane, in world time, and looks what holds."""

from __future__ import annotations

import functools
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from runtime.lanes import Lane
from runtime.seeds import Random
from sim_hardware.devices import scan_text
from sim_hardware.devices.scanner import Answer
from sim_hardware.faults.kinds import FaultError, Stage, begin_fault
from sim_hardware.floor import SimulatedFloor
from sim_hardware.plant import Plant, PlantError
from sim_hardware.scenarios.checks import Books, BooksError, Result, View, look
from sim_hardware.scenarios.deeds import DEEDS, DeedError, Doer
from sim_hardware.scenarios.model import (
    Deed,
    Expect,
    FaultOff,
    FaultOn,
    Scan,
    Scenario,
    Step,
)
from sim_hardware.scenarios.witness import Witness

LOOK_EVERY_S: Final = 1.0
"""World seconds between two looks at something that may become true."""
SCANS_WAITING_MAX: Final = 1_000
NO_BEEP: Final = "no-beep"
PLANNER: Final = "planner"
ASLEEP: Final = "planner-asleep"
log = structlog.get_logger()


@dataclass(slots=True)
class _Visitor:
    """A visitor's scanner: one scan at a time, the others wait."""

    waiting: deque[Scan] = field(default_factory=deque)
    busy: bool = False
    code: str = ""


class Player:
    """Plays one scenario. Everything happens on the floor's lane."""

    def __init__(
        self,
        scenario: Scenario,
        floor: SimulatedFloor,
        plant: Plant,
        books: Books,
        *,
        random: Callable[[str], Random],
        on_step: Callable[[float, str], None] = lambda _at_s, _text: None,
    ) -> None:
        self.problems: list[str] = []
        """What could not be done, by line; a run with one has failed."""
        self._scenario = scenario
        self._floor = floor
        self._plant = plant
        self._books = books
        self._on_step = on_step
        self._lane: Lane = floor.lane
        self._stage = Stage(floor, plant, floor.lane, random)
        self._faults: dict[tuple[str, str], list[Callable[[], None]]] = {}
        self._visitors: dict[str, _Visitor] = {}
        self._refusals: Counter[str] = Counter()
        self._results: dict[int, Result] = {}
        self._pending: dict[int, Step] = {}
        """Expectations that may still become true."""
        self._random = random
        self._witness = Witness(floor)

    def start(self) -> None:
        """Plan everything; call on the floor's lane before the world moves, or post it there."""
        if any(_is_on_a_promise(step) for step in self._scenario.steps):
            self._witness.start()
        if any(_is_on_a_device(step) for step in self._scenario.steps):
            self._witness.listen_to_devices()
        if _wants_a_planner(self._scenario):
            self._floor.hire_planner(self._proposals_waiting)
        timed = [step for step in self._scenario.steps if step.at_s is not None]
        for step in sorted(timed, key=lambda one: (one.at_s or 0.0, one.line)):
            self._floor.world.time.after(step.at_s or 0.0, functools.partial(self._play, step))

    def end_faults(self) -> None:
        """End every fault that still lasts, and say for good what did not become true in time."""
        for (kind, target), ends in sorted(self._faults.items()):
            while ends:
                self._try(0, f"END {kind} {target}", ends.pop())
        for step in list(self._pending.values()):
            self._note(step, look(step, self._view()))
        self._pending.clear()

    def check_end(self) -> None:
        """Look at what must hold at the end; call once the books have settled."""
        view = self._view()
        for step in self._scenario.expectations():
            if step.at_s is None:
                self._note(step, look(step, view))

    def results(self) -> Sequence[Result]:
        """Return what was found, in the order of the lines."""
        return [self._results[line] for line in sorted(self._results)]

    def accuracy_percent(self) -> float:
        """Return the share of bins whose books are what is physically there, per cent."""
        return self._view().accuracy_percent()

    # --- steps ------------------------------------------------------------------------------------

    def _play(self, step: Step) -> None:
        self._on_step(self._floor.world.time.now_s, f"line {step.line}: {step.text}")
        log.info("scenario", line=step.line, does=step.text)
        match step.action:
            case Scan() as scan:
                self._scan(scan)
            case FaultOn() as fault:
                self._begin_fault(step.line, fault)
            case FaultOff(kind=kind, target=target):
                self._end_fault(step.line, kind, target)
            case Deed() as deed:
                self._do(step, deed)
            case Expect() as expect:
                self._expect(step, expect)

    def _try(self, line: int, what: str, call: Callable[[], None]) -> None:
        try:
            call()
        except (FaultError, PlantError, DeedError, BooksError) as error:
            self.problems.append(f"{self._scenario.file}:{line}: {what}: {error}")

    def _begin_fault(self, line: int, fault: FaultOn) -> None:
        key = (fault.kind, fault.target)

        def begin() -> None:
            end = begin_fault(self._stage, fault.kind, fault.target, fault.values)
            self._faults.setdefault(key, []).append(end)
            if fault.for_s is not None:
                over = functools.partial(self._end_fault, line, fault.kind, fault.target, end)
                self._floor.world.time.after(fault.for_s, over)

        self._try(line, f"FAULT {fault.kind} {fault.target}", begin)

    def _end_fault(
        self, line: int, kind: str, target: str, end: Callable[[], None] | None = None
    ) -> None:
        """End one fault: that one, or the first of the name that lasts."""
        lasting = self._faults.get((kind, target), [])
        if end is not None and end not in lasting:
            return
        if not lasting:
            return
        chosen = end or lasting[0]
        lasting.remove(chosen)
        self._on_step(self._floor.world.time.now_s, f"line {line}: {kind} {target} is over")
        self._try(line, f"END {kind} {target}", chosen)

    def _do(self, step: Step, deed: Deed) -> None:
        def do() -> None:
            chance = self._random(f"deed of line {step.line}")
            doer = Doer(floor=self._floor, view=self._view(), line=step.line, chance=chance)
            DEEDS[deed.form].do(doer, deed.given)

        self._try(step.line, step.text, do)

    # --- scans ------------------------------------------------------------------------------------

    def _scan(self, scan: Scan) -> None:
        visitor = self._visitors.setdefault(scan.device, _Visitor())
        if len(visitor.waiting) < SCANS_WAITING_MAX:
            visitor.waiting.append(scan)
        self._scan_next(scan.device, visitor)

    def _scan_next(self, device: str, visitor: _Visitor) -> None:
        if visitor.busy or not visitor.waiting:
            return
        visitor.busy = True
        text = self._barcode(visitor.waiting.popleft())
        self._floor.scanners[device].scan(text, functools.partial(self._hear, device, visitor))

    def _barcode(self, scan: Scan) -> str:
        match scan.what:
            case "BIN":
                return scan_text.bin_label(self._floor.config.gln, scan.value)
            case "ARTICLE":
                return scan_text.article(self._view().gtin(scan.value), scan.units)
            case "CARD":
                return scan_text.command(scan.value)
            case "RAW":
                return scan.value

    def _hear(self, device: str, visitor: _Visitor, answer: Answer | None) -> None:
        visitor.busy = False
        visitor.code = NO_BEEP if answer is None else answer.code
        if answer is None or not answer.ok:
            self._refusals[visitor.code] += 1
        self._scan_next(device, visitor)

    # --- expectations -----------------------------------------------------------------------------

    def _expect(self, step: Step, expect: Expect) -> None:
        if expect.within_s:
            self._pending[step.line] = step
            self._look_again(step, self._floor.world.time.now_s + expect.within_s)
        else:
            self._note(step, look(step, self._view()))

    def _look_again(self, step: Step, until_s: float) -> None:
        if step.line not in self._pending:
            return
        result = look(step, self._view())
        if result.ok or result.at_s >= until_s:
            del self._pending[step.line]
            self._note(step, result)
        else:
            again = functools.partial(self._look_again, step, until_s)
            self._floor.world.time.after(LOOK_EVERY_S, again)

    def _note(self, step: Step, result: Result) -> None:
        self._results[step.line] = result
        log.info("expected", line=step.line, ok=result.ok, found=result.found)

    def _view(self) -> View:
        truth = self._floor.truth()
        return View(
            books=self._books, floor=self._floor, truth=truth, plant=self._plant,
            answers={device: v.code for device, v in self._visitors.items()},
            refusals=Counter(truth.scan_refusals) + self._refusals, seen=self._witness.seen(),
        )  # fmt: skip

    def _proposals_waiting(self) -> list[str]:
        """Return what the planner at the desk sees; nothing while the books cannot be read."""
        try:
            return self._books.proposals("", "waiting", "")
        except BooksError:
            return []


def _is_on_a_promise(step: Step) -> bool:
    return isinstance(step.action, Expect) and "promise" in step.action.given


def _is_on_a_device(step: Step) -> bool:
    return isinstance(step.action, Expect) and "device" in step.action.given


def _wants_a_planner(scenario: Scenario) -> bool:
    """Return whether somebody simulated shall sit at the desk."""
    return any(setting.section == PLANNER for setting in scenario.settings) or any(
        isinstance(step.action, FaultOn) and step.action.kind == ASLEEP for step in scenario.steps
    )
