"""A planner's pin: one robot alone may have a task, until somebody else may again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, select

from central.statement import Statement
from central.store import insert_new
from central.tables import decision, task_pin
from central.tasking.round import Round, find_task, forget_pin, log
from wire.messages import PinResult, PinTask
from wire.topics import DESK_PINNED

BEFORE_PICKUP: Final = frozenset({"open", "assigned"})
_KNOWN: Final = Statement(
    select(decision.c.ok, decision.c.text).where(decision.c.command_id == bindparam("command_id"))
)
_PIN: Final = Statement(
    select(task_pin.c.robot_id, task_pin.c.person_id).where(
        task_pin.c.task_id == bindparam("task_id")
    )
)


@dataclass(frozen=True, slots=True)
class Pin:
    """The one robot that may have a task, and who says so; empty: any robot."""

    robot_id: str
    person_id: str


NO_PIN: Final = Pin("", "")


def pin_of(work: Round, task_id: str) -> Pin:
    """Return the pin of a task."""
    row = _PIN.first(work.conn, {"task_id": task_id})
    return Pin(row.robot_id, row.person_id) if row is not None else NO_PIN


def take_pin(work: Round, command: PinTask) -> None:
    """Pin a task, or unpin it, once; refusals are written down like what is taken."""
    known = _KNOWN.first(work.conn, {"command_id": command.command_id})
    if known is not None:
        _answer(work, command, ok=bool(known.ok), text=known.text)
        return
    refusal = _why_not(work, command)
    text = refusal or _pinned(work, command)
    row = {
        "command_id": command.command_id, "proposal_id": "", "person_id": command.person_id,
        "ok": int(not refusal), "text": text, "at_ns": work.now_ns,
    }  # fmt: skip
    insert_new(work.conn, decision, [row])
    work.count("task_pins", "refused" if refusal else "taken")
    log.info("task pinned", person=command.person_id, ok=not refusal, text=text)
    _answer(work, command, ok=not refusal, text=text)


def _why_not(work: Round, command: PinTask) -> str:
    """Return why a task cannot be pinned; empty: it can."""
    row = find_task(work, command.task_id)
    if row is None:
        return f"there is no task {command.task_id!r}"
    if row.worker_kind != "robot":
        return f"task {command.task_id} is for a {row.worker_kind}, not for a robot"
    if row.status not in BEFORE_PICKUP:
        return f"task {command.task_id} is {row.status}: only what is not picked up can be pinned"
    robots = sorted(f"{r.manufacturer}/{r.serial}" for r in work.floor.site.robots)
    if command.robot_id and command.robot_id not in robots:
        return f"robot {command.robot_id!r} is not in robots.csv: expected {_some(robots)}"
    return ""


def _some(names: list[str], shown_max: int = 5) -> str:
    more = f" or {len(names) - shown_max} others" if len(names) > shown_max else ""
    return ", ".join(names[:shown_max]) + more if names else "none there"


def _pinned(work: Round, command: PinTask) -> str:
    task_id, robot_id, person = command.task_id, command.robot_id, command.person_id
    row = find_task(work, task_id)
    assert row is not None, "what cannot be pinned was refused"
    forget_pin(work, task_id)
    work.effects.pins.append((task_id, robot_id, person))
    if not robot_id:
        return f"any robot may have task {task_id} again"
    said = {
        "task_id": task_id, "robot_id": robot_id, "person_id": person,
        "reason": command.reason, "at_ns": work.now_ns,
    }  # fmt: skip
    insert_new(work.conn, task_pin, [said])
    text = f"only {robot_id} may have task {task_id}; it gets it as soon as it can"
    if row.status == "assigned" and row.worker_id != robot_id:
        # What a robot was sent is never taken back, and the books know only when it is done.
        text += f", unless {row.worker_id} was sent its pickup before"
    return text


def _answer(work: Round, command: PinTask, *, ok: bool, text: str) -> None:
    work.publish(DESK_PINNED, PinResult(command_id=command.command_id, ok=ok, text=text[:400]))
