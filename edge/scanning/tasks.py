"""Which task a scan belongs to, or why none: wrong place, wrong article, more than asked for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.scanning.gs1 import ArticleLabel
from edge.scanning.state import (
    PICK,
    RECEIPTS_MAX,
    RECEIVE,
    TWO_STEPS,
    Floor,
    Outcome,
    Session,
    Work,
    refuse,
)
from wire.answers import Code
from wire.ids import Location, bin_location
from wire.messages import PersonTask


def task_for(
    mode: str,
    bin_id: str,
    label: ArticleLabel,
    floor: Floor,
    work: Work,
    to_place: Location | None = None,
) -> PersonTask | Outcome:
    """Return the open task that this scan does, or the refusal that says what to do instead."""
    of_mode = open_tasks(mode, work)
    if not of_mode:
        known = (*work.tasks, *work.handed_on)
        done = [task for task in known if task.kind == mode and task.gtin == label.gtin]
        if done:
            return all_done(mode, label)
        return refuse(Code.NO_TASK, f"no {mode} task is open for {work.person_id}")
    here = [task for task in of_mode if task_bin(task) == bin_location(bin_id)]
    wanted = [task for task in here if task.gtin == label.gtin]
    if not wanted:
        return _wrong_item(mode, bin_id, label, floor, work, here=here, of_mode=of_mode)
    if to_place is not None:
        fitting = [task for task in wanted if task.to_place == to_place]
        if not fitting:
            text = f"{to_place} is not where it goes: put it into {wanted[0].to_place}"
            return refuse(Code.WRONG_BIN, text)
        wanted = fitting
    fitting = [task for task in wanted if label.units <= left_of(task, work)]
    if fitting:
        return next((task for task in fitting if task.lot in {"", label.lot}), fitting[0])
    left = left_of(wanted[0], work)
    text = f"{label.units} scanned: {left} are left to {mode}{_over(mode)}"
    return refuse(Code.TOO_MANY, text)


def over_task(state: Session, label: ArticleLabel, work: Work) -> PersonTask | None:
    """Return the receipt that more units than expected belong to, done or not."""
    known = (*work.tasks, *work.handed_on, *state.receipts)
    here = bin_location(state.bin_id)
    return next(
        (
            task
            for task in known
            if (task.kind, task.gtin, task.to_place) == (RECEIVE, label.gtin, here)
        ),
        None,
    )


def remembered(state: Session, task: PersonTask) -> Session:
    """Return the session that knows this receipt also when nobody lists it any more: as done."""
    done = msgspec.structs.replace(task, units=0, done_units=0)
    others = [other for other in state.receipts if other.task_id != task.task_id]
    return msgspec.structs.replace(state, receipts=(done, *others)[:RECEIPTS_MAX])


def all_done(mode: str, label: ArticleLabel) -> Outcome:
    """Return the refusal of an article of which nothing is left to do."""
    return refuse(Code.TOO_MANY, f"all units of {label.gtin} are done already{_over(mode)}")


def not_at_bin(mode: str, bin_id: str, work: Work) -> Outcome | None:
    """Return the refusal of a bin where this person has nothing to do, before any hand moves."""
    tasks = open_tasks(mode, work)
    if not tasks:
        return refuse(Code.NO_TASK, f"no {mode} task is open for {work.person_id}")
    if any(task_bin(task) == bin_location(bin_id) for task in tasks):
        return None
    return refuse(Code.WRONG_BIN, f"nothing to {mode} at {bin_id}: {next_step(mode, work)}")


def already(
    state: Session, bin_id: str, work: Work, label: ArticleLabel | None = None
) -> Outcome | None:
    """Return the answer to a refused scan that repeats what was booked last: its beep was lost.

    `label`: the article, where that is what books; None: the bin, as at the end of a putaway.
    """
    last = state.last
    if last is None or not state.is_fresh or (state.mode in TWO_STEPS) != (label is None):
        return None
    row = last.moved[0]
    if label is not None and (label.gtin, label.units, label.serial) != (
        row.gtin, row.units, row.serial,
    ):  # fmt: skip
        return None
    if bin_location(bin_id) != (row.from_place if state.mode == PICK else row.to_place):
        return None
    moved = f"{row.units} x {row.gtin} from {row.from_place} to {row.to_place}"
    return refuse(Code.ALREADY, f"{moved} is booked already, once: {next_step(state.mode, work)}")


def open_tasks(mode: str, work: Work) -> list[PersonTask]:
    """Return what may be scanned for: this person's own tasks first."""
    known = (*work.tasks, *work.handed_on)
    return [task for task in known if task.kind == mode and left_of(task, work) > 0]


def left_of(task: PersonTask, work: Work) -> int:
    """Return what is left of a task: the list may be older than what was booked here since."""
    unknown_to_list = work.done_units(task.task_id) - task.done_units
    return task.units - max(unknown_to_list, 0)


def task_bin(task: PersonTask) -> str:
    """Return the place that is scanned first in a task."""
    return task.to_place if task.kind == RECEIVE else task.from_place


def next_step(mode: str, work: Work) -> str:
    """Return what this person shall do next in a mode."""
    tasks = (task for task in work.tasks if task.kind == mode and left_of(task, work) > 0)
    task = next(tasks, None)
    if task is None:
        return "nothing is asked for"
    lot = f" of lot {task.lot}" if task.lot else ""
    return f"{left_of(task, work)} x {task.gtin}{lot} at {task_bin(task)}"


def _over(mode: str) -> str:
    return "; if more came, scan SH-OVER and then it again" if mode == RECEIVE else ""


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
        return refuse(Code.WRONG_BIN, f"{name} is to {mode} at {task_bin(elsewhere[0])}")
    if here:
        expected = floor.article_name.get(here[0].gtin, here[0].gtin)
        text = f"{name} is not asked for at {bin_id}: expected {expected}"
        return refuse(Code.WRONG_ITEM, text)
    return refuse(Code.WRONG_ITEM, f"{name} is not asked for: {next_step(mode, work)}")
