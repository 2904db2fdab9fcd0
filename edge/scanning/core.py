"""The scan session of one person: a pure state machine from labels to stock events.

| mode | scans | event |
|---|---|---|
| receive | dock bin, article, article ... | supplier -> dock bin, at each article |
| putaway, refill | from bin, article, to bin, article ... | from bin -> to bin, at each to bin |
| pick | bin, article, article ... | bin -> tote, at each article |
| count | bin, article, article ... | BinCounted, at each article; one that differs: again |
| move, pack, return, quarantine ... | see edge/scanning/free.py | a movement without a task |

A mode stays until another command. `SH-UNDO` takes back what was scanned last: the half step, else
the last movement; `SH-CANCEL` forgets bin and half step. In a receipt `SH-DAMAGED` and `SH-OVER`
say what the next article is, `SH-SHORT` that no more comes. A refusal leaves the session as it was,
but for `recount`, which remembers that it asked.
"""

from __future__ import annotations

from typing import Final

import msgspec

from edge.scanning import free
from edge.scanning.gs1 import (
    ArticleLabel,
    BinLabel,
    CommandLabel,
    ContainerLabel,
    Label,
    OrderLabel,
    Refused,
)
from edge.scanning.state import (
    CONTAINER,
    COUNT,
    RECEIVE,
    TASK_MODES,
    TWO_STEPS,
    Arrival,
    Floor,
    LastMove,
    Moved,
    Outcome,
    Session,
    Step,
    Work,
    events_of,
    not_enough,
    refuse,
    tick,
)
from edge.scanning.taking import arriving, checked, lacking, take
from edge.scanning.tasks import (
    all_done,
    already,
    left_of,
    next_step,
    not_at_bin,
    open_tasks,
    over_task,
    remembered,
    task_for,
)
from wire.answers import Code, Sound
from wire.ids import BinId, Gtin14, bin_location, bin_of, location
from wire.messages import UNITS_MAX, BinCounted, PersonTask, TaskClosed

__all__ = ["Arrival", "Floor", "Outcome", "Session", "Work", "step"]
DAMAGED: Final = "damaged"
OVER: Final = "over"
RECOUNTS_MAX: Final = 50
"""Counts at one bin that wait for their second look; more are booked at once."""
_replace = msgspec.structs.replace


def step(
    state: Session, label: Label | Refused, arrival: Arrival, floor: Floor, work: Work
) -> Step:
    """Return the session after one scan and the answer to it."""
    match label:
        case Refused():
            return state, refuse(label.code, label.text)
        case CommandLabel():
            return _command(state, label.name, arrival, work)
        case ContainerLabel():
            return free.container_scanned(state, label, arrival, work)
        case OrderLabel():
            return free.order_scanned(state, label)
        case BinLabel():
            refused = _strange_bin(label, floor)
            return (state, refused) if refused else _bin(state, label.bin_id, arrival, floor, work)
        case ArticleLabel():
            if label.gtin not in floor.article_name:
                text = f"article {label.gtin} is not in this site's list"
                return state, refuse(Code.UNKNOWN_ARTICLE, text)
            return _article(state, label, arrival, floor, work)


def _strange_bin(label: BinLabel, floor: Floor) -> Outcome | None:
    """Return the refusal of a bin that is not of this site or not of this zone."""
    if label.gln != floor.gln:
        text = f"bin {label.bin_id} is of site {label.gln}: this is site {floor.gln}"
        return refuse(Code.FOREIGN_SITE, text)
    owner = floor.bin_owner.get(label.bin_id)
    if owner is None:
        return refuse(Code.UNKNOWN_BIN, f"bin {label.bin_id} is not in this site's list")
    if owner != floor.edge_id:
        text = f"bin {label.bin_id} is in zone {owner}: this scanner works in {floor.edge_id}"
        return refuse(Code.FOREIGN_ZONE, text)
    return None


def _command(state: Session, name: str, arrival: Arrival, work: Work) -> Step:
    match name:
        case "UNDO":
            return _undo(state, arrival, work)
        case "CANCEL":
            if not state.mode:
                return state, refuse(Code.WRONG_MODE, "nothing to cancel: scan a command first")
            kept = Session(mode=state.mode, last=state.last, receipts=state.receipts)
            if state.mode in free.FREE_MODES:
                return kept, free.begin(state.mode)
            return kept, tick(f"{state.mode}: scan the bin")
        case "DAMAGED" | "OVER" | "SHORT":
            return _of_receipt(state, name, arrival, work)
    mode = name.lower()
    if mode in free.FREE_MODES:
        return Session(mode=mode, receipts=state.receipts), free.begin(mode)
    text = "count: scan the bin" if mode == COUNT else f"{mode}: {next_step(mode, work)}"
    return Session(mode=mode, receipts=state.receipts), tick(text)


def _of_receipt(state: Session, name: str, arrival: Arrival, work: Work) -> Step:
    """Return the session after a command about the receipt at this dock."""
    if state.mode != RECEIVE or not state.bin_id:
        text = f"SH-{name} is about a receipt: scan SH-RECEIVE and the dock first"
        return state, refuse(Code.WRONG_MODE, text)
    if name != "SHORT":
        what = "broken" if name == "DAMAGED" else "more than was expected"
        armed = _replace(state, armed=name.lower(), is_fresh=False)
        return armed, tick(f"the next article is {what}: scan it")
    here = bin_location(state.bin_id)
    tasks = [task for task in open_tasks(RECEIVE, work) if task.to_place == here]
    last_id = state.last.task_id if state.last else ""
    task = next((task for task in tasks if task.task_id == last_id), None)
    if task is None and len(tasks) == 1:
        task = tasks[0]
    if task is None:
        text = f"no receipt is open at {state.bin_id}: {next_step(RECEIVE, work)}"
        if tasks:
            text = (
                f"{len(tasks)} receipts are open at {state.bin_id}: scan one of the short article"
            )
        return state, refuse(Code.NO_TASK, text)
    left = left_of(task, work)
    outcome = Outcome(
        ok=True, code=Code.CLOSED, sound=Sound.DONE,
        events=(_closed(task.task_id, left, arrival, work),),
        text=f"{left} x {task.gtin} did not come: done",
    )  # fmt: skip
    last = LastMove(moved=(), task_id=task.task_id, short_units=left)
    return _replace(remembered(state, task), armed="", last=last, is_fresh=False), outcome


def _closed(
    task_id: str, units: int, arrival: Arrival, work: Work, *, undone: bool = False
) -> TaskClosed:
    return TaskClosed(
        event_id=arrival.event_id, task_id=task_id, short_units=units,
        device_id=arrival.scan.device_id, observed_at_ns=arrival.scan.scanned_at_ns,
        received_at_ns=arrival.received_at_ns, person_id=work.person_id, undone=undone,
    )  # fmt: skip


def _undo(state: Session, arrival: Arrival, work: Work) -> Step:
    if state.gtin:
        taken_back = _replace(state, gtin="", units=0, lot="", expires_on="", serial="")
        return taken_back, tick(f"{state.units} x {state.gtin} taken back: scan the article")
    if state.armed or state.is_carried:
        free_hands = _replace(state, armed="", container="", is_carried=False)
        return free_hands, tick(f"{state.armed or state.container} taken back")
    last = state.last
    if last is None:
        return state, refuse(Code.NOTHING_TO_UNDO, "nothing was moved since the last command")
    if last.short_units:
        outcome = Outcome(
            ok=True, code=Code.UNDONE, sound=Sound.GOOD,
            text=f"{last.short_units} units may still come: scan the article",
            events=(_closed(last.task_id, last.short_units, arrival, work, undone=True),),
        )  # fmt: skip
        return _replace(state, last=None, is_fresh=False), outcome
    refused = _gone_on(last, work)
    if refused:
        return state, refused
    back = [
        _replace(row, from_place=row.to_place, to_place=row.from_place)
        for row in reversed(last.moved)
    ]
    units = sum(row.units for row in back)
    gtins = {row.gtin for row in back} - {""}
    what = f"{units} x {gtins.pop()}" if len(gtins) == 1 else f"{units} units"
    outcome = Outcome(
        ok=True, code=Code.UNDONE, sound=Sound.GOOD,
        text=f"{what} are back at {back[-1].to_place}",
        events=events_of(back, arrival, work, reason="undo", task_id=last.task_id),
    )  # fmt: skip
    return _replace(state, last=None, is_fresh=False), outcome


def _gone_on(last: LastMove, work: Work) -> Outcome | None:
    """Return the refusal of an undo whose goods are not all where they were put."""
    units: dict[tuple[str, str], int] = {}
    for row in last.moved:
        if not row.gtin:
            where = work.details.container_place(row.container)
            if where != row.to_place:
                text = f"container {row.container} is at {where or CONTAINER} now"
                return refuse(Code.NOT_ENOUGH, text)
            continue
        if not row.to_place.startswith(("bin:", "tote:", "quarantine:", CONTAINER)):
            continue
        key = (row.to_place, row.gtin)
        units[key] = units.get(key, 0) + row.units
        if work.book_units(*key) < units[key]:
            return not_enough(*key, units[key], work)
        refused = lacking(row, work)
        if refused:
            return refused
    return None


def _bin(state: Session, bin_id: BinId, arrival: Arrival, floor: Floor, work: Work) -> Step:
    if not state.mode:
        text = f"bin {bin_id}: scan a command first, such as SH-PICK"
        return state, refuse(Code.WRONG_MODE, text)
    if state.mode in free.FREE_MODES:
        return free.bin_scanned(state, bin_id, arrival, work)
    if state.mode in TWO_STEPS and state.gtin:
        return _put_away(state, bin_id, arrival, floor, work)
    if state.mode != COUNT:
        refused = not_at_bin(state.mode, bin_id, work)
        # More of a receipt may come when all of it is done: SH-OVER is said at its dock.
        if refused and not (state.mode == RECEIVE and _is_dock(state, bin_id, work)):
            return state, already(state, bin_id, work) or refused
    here = _replace(
        state, bin_id=bin_id, gtin="", units=0, lot="", expires_on="", serial="", armed="",
        recounts=(), since_ns=arrival.received_at_ns, is_fresh=False,
    )  # fmt: skip
    return here, tick(f"{state.mode} at {bin_id}: scan the article")


def _is_dock(state: Session, bin_id: str, work: Work) -> bool:
    place = bin_location(bin_id)
    known = (*work.tasks, *state.receipts)
    return any(task.kind == RECEIVE and task.to_place == place for task in known)


def _article(
    state: Session, label: ArticleLabel, arrival: Arrival, floor: Floor, work: Work
) -> Step:
    if not state.mode:
        return state, refuse(Code.WRONG_MODE, "an article: scan a command first, such as SH-PICK")
    if label.units == 0 and state.mode != COUNT:
        return state, refuse(Code.MALFORMED, "count 0: only SH-COUNT takes it")
    if state.mode in free.FREE_MODES:
        return free.article_scanned(state, label, arrival, floor, work)
    if not state.bin_id:
        return state, refuse(Code.NO_BIN, f"an article: scan the bin to {state.mode} first")
    if state.mode == COUNT:
        return _count(state, label, arrival, floor, work)
    assert state.mode in TASK_MODES, "every other mode has its own rules"
    if state.mode == RECEIVE:
        return _receive(state, label, arrival, floor, work)
    task = task_for(state.mode, state.bin_id, label, floor, work)
    if isinstance(task, Outcome):
        return state, already(state, state.bin_id, work, label) or task
    taken = _taken(label, task, arrival, work)
    if isinstance(taken, Outcome):
        return state, taken
    if state.mode in TWO_STEPS:
        held = _replace(
            state, gtin=taken.gtin, units=taken.units, lot=label.lot, serial=taken.serial,
            expires_on=taken.expires_on, is_fresh=False,
        )  # fmt: skip
        name = floor.article_name[label.gtin]
        return held, tick(f"{label.units} x {name}: scan {bin_of(task.to_place) or 'the bin'}")
    return _book(state, task, taken, arrival, work)


def _taken(
    label: ArticleLabel, task: PersonTask, arrival: Arrival, work: Work
) -> ArticleLabel | Outcome:
    """Return what is taken for a task, with its lot; or why these goods are not the ones."""
    found = take(label, task.from_place, work)
    return found if isinstance(found, Outcome) else checked(found, task.kind, arrival, work, task)


def _receive(
    state: Session, label: ArticleLabel, arrival: Arrival, floor: Floor, work: Work
) -> Step:
    task = task_for(RECEIVE, state.bin_id, label, floor, work)
    ended = over_task(state, label, work) if isinstance(task, Outcome) else None
    if ended and state.armed == OVER:
        task = ended
    if isinstance(task, Outcome):
        if ended and task.code in {Code.NO_TASK, Code.WRONG_ITEM}:
            task = all_done(RECEIVE, label)
        return state, already(state, state.bin_id, work, label) or task
    after = remembered(_replace(state, armed=""), task)
    if state.armed == DAMAGED:
        # Broken goods are taken out of the way whatever their lot and day.
        refused = arriving(label, task.from_place, work)
        if refused:
            return state, refused
        to_place = location("damaged")
        return _book(after, task, label, arrival, work, reason=DAMAGED, to_place=to_place)
    known = checked(label, RECEIVE, arrival, work, task)
    if isinstance(known, Outcome):
        return state, known
    refused = arriving(known, task.from_place, work)
    if refused:
        return state, refused
    return _book(after, task, known, arrival, work)


def _put_away(state: Session, to_bin: BinId, arrival: Arrival, floor: Floor, work: Work) -> Step:
    label = ArticleLabel(Gtin14(state.gtin), state.units, state.lot, state.expires_on, state.serial)
    to_place = bin_location(to_bin)
    task = task_for(state.mode, state.bin_id, label, floor, work, to_place=to_place)
    if isinstance(task, Outcome):
        return state, task
    taken = _taken(label, task, arrival, work)
    if isinstance(taken, Outcome):
        return state, taken
    free_hands = _replace(state, gtin="", units=0, lot="", expires_on="", serial="")
    return _book(free_hands, task, taken, arrival, work)


def _book(
    state: Session,
    task: PersonTask,
    label: ArticleLabel,
    arrival: Arrival,
    work: Work,
    *,
    reason: str = "",
    to_place: str = "",
) -> Step:
    row = Moved(
        gtin=label.gtin, units=label.units, lot=label.lot, expires_on=label.expires_on,
        serial=label.serial, from_place=task.from_place, to_place=to_place or task.to_place,
    )  # fmt: skip
    left = left_of(task, work) - label.units
    told = f"{row.units} x {row.gtin} from {row.from_place} to {row.to_place}"
    outcome = Outcome(
        ok=True, code=Code.BOOKED,
        events=events_of((row,), arrival, work, reason=reason or task.kind, task_id=task.task_id),
        text=f"{told}: {left} left" if left > 0 else f"{told}: done",
        sound=Sound.GOOD if left > 0 else Sound.DONE,
    )  # fmt: skip
    last = LastMove(moved=(row,), task_id=task.task_id)
    return _replace(state, last=last, is_fresh=True), outcome


def _count(state: Session, label: ArticleLabel, arrival: Arrival, floor: Floor, work: Work) -> Step:
    """Return the count as an event. It needs no task: whoever sees something may say so.

    Blind: no answer says the book's number. A count that differs is asked for once more; the second
    one is taken as it is.
    """
    place = bin_location(state.bin_id)
    book = min(max(_book_units(label, place, work), 0), UNITS_MAX)
    key = f"{label.gtin} {label.lot} {label.serial}"
    name = floor.article_name[label.gtin]
    asked = key in state.recounts
    if label.units != book and not asked and len(state.recounts) < RECOUNTS_MAX:
        text = f"{name} at {state.bin_id}: count once more and scan what you see"
        again = Outcome(ok=False, code=Code.RECOUNT, text=text, sound=Sound.AGAIN)
        looked = arrival.received_at_ns
        return _replace(state, recounts=(*state.recounts, key), since_ns=looked), again
    task = next(
        (
            task
            for task in (*work.tasks, *work.handed_on)
            if task.kind == COUNT
            and _is_asked(task, state.bin_id)
            and task.gtin in {"", label.gtin}
        ),
        None,
    )
    event = BinCounted(
        event_id=arrival.event_id, bin_id=state.bin_id, gtin=label.gtin,
        counted_units=label.units, book_units=book, lot=label.lot, serial=label.serial,
        expires_on=label.expires_on,
        device_id=arrival.scan.device_id, observed_at_ns=arrival.scan.scanned_at_ns,
        received_at_ns=arrival.received_at_ns, person_id=work.person_id,
        task_id=task.task_id if task else "", since_ns=state.since_ns,
    )  # fmt: skip
    text = f"{label.units} x {name} counted at {state.bin_id}"
    outcome = Outcome(ok=True, code=Code.COUNTED, text=text, sound=Sound.GOOD, events=(event,))
    recounts = tuple(r for r in state.recounts if r != key)
    return _replace(state, recounts=recounts, since_ns=arrival.received_at_ns), outcome


def _is_asked(task: PersonTask, bin_id: str) -> bool:
    """Return whether a counting task asks for this bin."""
    if task.stops:
        return any(stop.bin_id == bin_id for stop in task.stops)
    return bin_location(bin_id) in {task.from_place, task.to_place}


def _book_units(label: ArticleLabel, place: str, work: Work) -> int:
    """Return what the book has of just that: the unit, the lot, or the article."""
    if label.serial:
        return int(work.details.serial_place(label.gtin, label.serial) == place)
    if label.lot:
        return work.details.lots_at(place, label.gtin).get(label.lot, 0)
    return work.book_units(place, label.gtin)
