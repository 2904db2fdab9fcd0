"""The scan session of one person: a pure state machine from labels to stock events.

| mode | scans | event |
|---|---|---|
| receive | dock bin, article, article ... | supplier -> dock bin, at each article |
| putaway | from bin, article, to bin, article, to bin ... | from bin -> to bin, at each to bin |
| pick | bin, article, article ... | bin -> tote, at each article |
| count | bin, article, article ... | BinCounted, at each article |

A mode stays until another command. `SH-UNDO` takes back what was scanned last: the half step, else
the last movement; `SH-CANCEL` forgets bin and half step. A refusal leaves the session as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from edge.scanning.gs1 import (
    ArticleLabel,
    BinLabel,
    CommandLabel,
    ContainerLabel,
    Label,
    OrderLabel,
    Refused,
)
from wire.answers import Code, Sound
from wire.ids import BinId, Gtin14, Location, bin_location, bin_of
from wire.messages import UNITS_MAX, BinCounted, DeviceScan, Movement, PersonTask

RECEIVE: Final = "receive"
PUTAWAY: Final = "putaway"
PICK: Final = "pick"
COUNT: Final = "count"


class LastMove(msgspec.Struct, frozen=True, kw_only=True):
    """The movement that SH-UNDO takes back."""

    gtin: str
    units: int
    from_place: str
    to_place: str
    task_id: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Where one scanner's person stands: mode, bin, and the article that waits for its to-bin."""

    mode: str = ""
    bin_id: str = ""
    gtin: str = ""
    units: int = 0
    last: LastMove | None = None
    is_fresh: bool = False
    """Whether nothing was taken since `last` was booked: only then the same scan is that again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What stays the same while people work: the site's number, bins by owner, articles by name."""

    gln: str
    edge_id: str
    bin_owner: Mapping[str, str]
    article_name: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a scan is checked against at this moment."""

    person_id: str
    tasks: Sequence[PersonTask]
    handed_on: Sequence[PersonTask]
    """Tasks that were this person's and are somebody else's now. Nobody is sent to them, but what
    is in this person's hands already counts: goods that moved are never refused for their name."""
    done_units: Callable[[str], int]
    """Units already booked for a task of this id."""
    book_units: Callable[[str, str], int]
    """Units in the book at a place, of an article."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to one scan and, where stock moved or was counted, its event."""

    ok: bool
    code: Code
    text: str
    sound: Sound
    event: Movement | BinCounted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One scan as it came in."""

    scan: DeviceScan
    received_at_ns: int

    @property
    def event_id(self) -> str:
        """Return the id of the event that this scan may become."""
        return f"{self.scan.device_id}/{self.scan.boot_epoch}/{self.scan.seq}"


Step = tuple[Session, Outcome]


def step(
    state: Session, label: Label | Refused, arrival: Arrival, floor: Floor, work: Work
) -> Step:
    """Return the session after one scan and the answer to it."""
    match label:
        case Refused():
            return state, _refuse(label.code, label.text)
        case CommandLabel():
            return _command(state, label.name, arrival, work)
        case ContainerLabel() | OrderLabel():
            return state, _refuse(Code.WRONG_MODE, "containers and orders are not scanned here")
        case BinLabel():
            refused = _strange_bin(label, floor)
            return (state, refused) if refused else _bin(state, label.bin_id, arrival, floor, work)
        case ArticleLabel():
            if label.gtin not in floor.article_name:
                text = f"article {label.gtin} is not in this site's list"
                return state, _refuse(Code.UNKNOWN_ARTICLE, text)
            return _article(state, label, arrival, floor, work)


def _strange_bin(label: BinLabel, floor: Floor) -> Outcome | None:
    """Return the refusal of a bin that is not of this site or not of this zone."""
    if label.gln != floor.gln:
        text = f"bin {label.bin_id} is of site {label.gln}: this is site {floor.gln}"
        return _refuse(Code.FOREIGN_SITE, text)
    owner = floor.bin_owner.get(label.bin_id)
    if owner is None:
        return _refuse(Code.UNKNOWN_BIN, f"bin {label.bin_id} is not in this site's list")
    if owner != floor.edge_id:
        text = f"bin {label.bin_id} is in zone {owner}: this scanner works in {floor.edge_id}"
        return _refuse(Code.FOREIGN_ZONE, text)
    return None


def _command(state: Session, name: str, arrival: Arrival, work: Work) -> Step:
    if name == "UNDO":
        return _undo(state, arrival, work)
    if name == "CANCEL":
        if not state.mode:
            return state, _refuse(Code.WRONG_MODE, "nothing to cancel: scan a command first")
        kept = Session(mode=state.mode, last=state.last)
        return kept, _tick(f"{state.mode}: scan the bin")
    mode = name.lower()
    text = "count: scan the bin" if mode == COUNT else f"{mode}: {_next_step(mode, work)}"
    return Session(mode=mode), _tick(text)


def _undo(state: Session, arrival: Arrival, work: Work) -> Step:
    if state.gtin:
        taken_back = msgspec.structs.replace(state, gtin="", units=0)
        return taken_back, _tick(f"{state.units} x {state.gtin} taken back: scan the article")
    last = state.last
    if last is None:
        return state, _refuse(Code.NOTHING_TO_UNDO, "nothing was moved since the last command")
    if bin_of(last.to_place) and work.book_units(last.to_place, last.gtin) < last.units:
        return state, _not_enough(last.to_place, last.gtin, last.units, work)
    event = _movement(
        arrival, work, reason="undo", gtin=last.gtin, units=last.units,
        from_place=last.to_place, to_place=last.from_place, task_id=last.task_id,
    )  # fmt: skip
    outcome = Outcome(
        ok=True, code=Code.UNDONE, sound=Sound.GOOD, event=event,
        text=f"{last.units} x {last.gtin} are back at {last.from_place}",
    )  # fmt: skip
    return msgspec.structs.replace(state, last=None, is_fresh=False), outcome


def _bin(state: Session, bin_id: BinId, arrival: Arrival, floor: Floor, work: Work) -> Step:
    if not state.mode:
        return state, _refuse(
            Code.WRONG_MODE, f"bin {bin_id}: scan a command first, such as SH-PICK"
        )
    if state.mode == PUTAWAY and state.gtin:
        return _put_away(state, bin_id, arrival, floor, work)
    if state.mode != COUNT:
        refused = _not_at_bin(state.mode, bin_id, work)
        if refused:
            return state, _already(state, bin_id, work) or refused
    here = msgspec.structs.replace(state, bin_id=bin_id, gtin="", units=0, is_fresh=False)
    return here, _tick(f"{state.mode} at {bin_id}: scan the article")


def _not_at_bin(mode: str, bin_id: str, work: Work) -> Outcome | None:
    """Return the refusal of a bin where this person has nothing to do, before any hand moves."""
    tasks = _open_tasks(mode, work)
    if not tasks:
        return _refuse(Code.NO_TASK, f"no {mode} task is open for {work.person_id}")
    if any(_task_bin(task) == bin_location(bin_id) for task in tasks):
        return None
    return _refuse(Code.WRONG_BIN, f"nothing to {mode} at {bin_id}: {_next_step(mode, work)}")


def _article(
    state: Session, label: ArticleLabel, arrival: Arrival, floor: Floor, work: Work
) -> Step:
    if not state.mode:
        return state, _refuse(Code.WRONG_MODE, "an article: scan a command first, such as SH-PICK")
    if not state.bin_id:
        return state, _refuse(Code.NO_BIN, f"an article: scan the bin to {state.mode} first")
    if state.mode == COUNT:
        return state, _count(state, label, arrival, floor, work)
    if label.units == 0:
        return state, _refuse(Code.MALFORMED, "count 0: only SH-COUNT takes it")
    task = _task_for(state.mode, state.bin_id, label, floor, work)
    if isinstance(task, Outcome):
        return state, _already(state, state.bin_id, work, label) or task
    from_place = task.from_place
    if state.mode != RECEIVE and work.book_units(from_place, label.gtin) < label.units:
        return state, _not_enough(from_place, label.gtin, label.units, work)
    if state.mode == PUTAWAY:
        held = msgspec.structs.replace(state, gtin=label.gtin, units=label.units, is_fresh=False)
        name = floor.article_name[label.gtin]
        return held, _tick(f"{label.units} x {name}: scan {bin_of(task.to_place) or 'the bin'}")
    return _book(state, task, label, arrival, work)


def _put_away(state: Session, to_bin: BinId, arrival: Arrival, floor: Floor, work: Work) -> Step:
    label = ArticleLabel(Gtin14(state.gtin), state.units)
    task = _task_for(PUTAWAY, state.bin_id, label, floor, work, to_place=bin_location(to_bin))
    if isinstance(task, Outcome):
        return state, task
    if work.book_units(task.from_place, label.gtin) < label.units:
        return state, _not_enough(task.from_place, label.gtin, label.units, work)
    return _book(msgspec.structs.replace(state, gtin="", units=0), task, label, arrival, work)


def _book(
    state: Session, task: PersonTask, label: ArticleLabel, arrival: Arrival, work: Work
) -> Step:
    event = _movement(
        arrival, work, reason=task.kind, gtin=label.gtin, units=label.units,
        from_place=task.from_place, to_place=task.to_place, task_id=task.task_id,
    )  # fmt: skip
    left = _left(task, work) - label.units
    told = f"{label.units} x {label.gtin} from {task.from_place} to {task.to_place}"
    outcome = Outcome(
        ok=True, code=Code.BOOKED, event=event,
        text=f"{told}: {left} left" if left else f"{told}: done",
        sound=Sound.GOOD if left else Sound.DONE,
    )  # fmt: skip
    last = LastMove(
        gtin=label.gtin, units=label.units, from_place=task.from_place, to_place=task.to_place,
        task_id=task.task_id,
    )  # fmt: skip
    return msgspec.structs.replace(state, last=last, is_fresh=True), outcome


def _count(
    state: Session, label: ArticleLabel, arrival: Arrival, floor: Floor, work: Work
) -> Outcome:
    """Return the count as an event. It needs no task: whoever sees something may say so."""
    place = bin_location(state.bin_id)
    task = next(
        (
            task
            for task in (*work.tasks, *work.handed_on)
            if task.kind == COUNT
            and place in {task.from_place, task.to_place}
            and task.gtin in {"", label.gtin}
        ),
        None,
    )
    event = BinCounted(
        event_id=arrival.event_id, bin_id=state.bin_id, gtin=label.gtin,
        counted_units=label.units,
        book_units=min(max(work.book_units(place, label.gtin), 0), UNITS_MAX),
        device_id=arrival.scan.device_id, observed_at_ns=arrival.scan.scanned_at_ns,
        received_at_ns=arrival.received_at_ns, person_id=work.person_id,
        task_id=task.task_id if task else "",
    )  # fmt: skip
    text = f"{label.units} x {floor.article_name[label.gtin]} counted at {state.bin_id}"
    return Outcome(ok=True, code=Code.COUNTED, text=text, sound=Sound.GOOD, event=event)


def _task_for(
    mode: str,
    bin_id: str,
    label: ArticleLabel,
    floor: Floor,
    work: Work,
    to_place: Location | None = None,
) -> PersonTask | Outcome:
    """Return the open task that this scan does, or the refusal that says what to do instead."""
    of_mode = _open_tasks(mode, work)
    if not of_mode:
        known = (*work.tasks, *work.handed_on)
        done = [task for task in known if task.kind == mode and task.gtin == label.gtin]
        if done:
            return _refuse(Code.TOO_MANY, f"all units of {label.gtin} are done already")
        return _refuse(Code.NO_TASK, f"no {mode} task is open for {work.person_id}")
    here = [task for task in of_mode if _task_bin(task) == bin_location(bin_id)]
    wanted = [task for task in here if task.gtin == label.gtin]
    if not wanted:
        return _wrong_item(mode, bin_id, label, floor, work, here=here, of_mode=of_mode)
    if to_place is not None:
        fitting = [task for task in wanted if task.to_place == to_place]
        if not fitting:
            text = f"{to_place} is not where it goes: put it into {wanted[0].to_place}"
            return _refuse(Code.WRONG_BIN, text)
        wanted = fitting
    for task in wanted:
        if label.units <= _left(task, work):
            return task
    left = _left(wanted[0], work)
    return _refuse(Code.TOO_MANY, f"{label.units} scanned: {left} are left to {mode}")


def _wrong_item(
    mode: str,
    bin_id: str,
    label: ArticleLabel,
    floor: Floor,
    work: Work,
    *,
    here: Sequence[PersonTask],
    of_mode: Sequence[PersonTask],
) -> Outcome:
    name = floor.article_name[label.gtin]
    elsewhere = [task for task in of_mode if task.gtin == label.gtin]
    if elsewhere and not here:
        return _refuse(Code.WRONG_BIN, f"{name} is to {mode} at {_task_bin(elsewhere[0])}")
    if here:
        expected = floor.article_name.get(here[0].gtin, here[0].gtin)
        text = f"{name} is not asked for at {bin_id}: expected {expected}"
        return _refuse(Code.WRONG_ITEM, text)
    return _refuse(Code.WRONG_ITEM, f"{name} is not asked for: {_next_step(mode, work)}")


def _already(
    state: Session, bin_id: str, work: Work, label: ArticleLabel | None = None
) -> Outcome | None:
    """Return the answer to a refused scan that repeats what was booked last: its beep was lost.

    `label`: the article, where that is what books; None: the bin, as at the end of a putaway.
    """
    last = state.last
    if last is None or not state.is_fresh or (state.mode == PUTAWAY) != (label is None):
        return None
    if label is not None and (label.gtin, label.units) != (last.gtin, last.units):
        return None
    if bin_location(bin_id) != (last.from_place if state.mode == PICK else last.to_place):
        return None
    moved = f"{last.units} x {last.gtin} from {last.from_place} to {last.to_place}"
    return _refuse(Code.ALREADY, f"{moved} is booked already, once: {_next_step(state.mode, work)}")


def _open_tasks(mode: str, work: Work) -> list[PersonTask]:
    """Return what may be scanned for: this person's own tasks first."""
    known = (*work.tasks, *work.handed_on)
    return [task for task in known if task.kind == mode and _left(task, work) > 0]


def _left(task: PersonTask, work: Work) -> int:
    """Return what is left of a task: the list may be older than what was booked here since."""
    unknown_to_list = work.done_units(task.task_id) - task.done_units
    return task.units - max(unknown_to_list, 0)


def _task_bin(task: PersonTask) -> str:
    """Return the place that is scanned first in a task."""
    return task.to_place if task.kind == RECEIVE else task.from_place


def _next_step(mode: str, work: Work) -> str:
    tasks = (task for task in work.tasks if task.kind == mode and _left(task, work) > 0)
    task = next(tasks, None)
    if task is None:
        return "nothing is asked for"
    return f"{_left(task, work)} x {task.gtin} at {_task_bin(task)}"


def _movement(
    arrival: Arrival,
    work: Work,
    *,
    reason: str,
    gtin: str,
    units: int,
    from_place: str,
    to_place: str,
    task_id: str,
) -> Movement:
    return Movement(
        event_id=arrival.event_id, gtin=gtin, units=units, from_place=from_place,
        to_place=to_place, reason=reason, device_id=arrival.scan.device_id,
        observed_at_ns=arrival.scan.scanned_at_ns, received_at_ns=arrival.received_at_ns,
        person_id=work.person_id, task_id=task_id,
    )  # fmt: skip


def _not_enough(place: str, gtin: str, units: int, work: Work) -> Outcome:
    book = work.book_units(place, gtin)
    text = f"the book has {book} x {gtin} at {place}, {units} scanned: count the bin"
    return _refuse(Code.NOT_ENOUGH, text)


def _tick(text: str) -> Outcome:
    return Outcome(ok=True, code=Code.NEXT, text=text, sound=Sound.TICK)


def _refuse(code: Code, text: str) -> Outcome:
    return Outcome(ok=False, code=code, text=text, sound=Sound.BAD)
