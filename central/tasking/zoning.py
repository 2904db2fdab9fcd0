"""A planner's stop zone from the desk: closed or lifted once, answered the same each time."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select

from central.statement import Statement
from central.stop_zones import Answer, Wanted, close_zone, lift_zone
from central.store import insert_new
from central.tables import decision
from central.tasking.round import Round, log
from wire.messages import StopZone, StopZoneResult
from wire.topics import DESK_ZONED

_KNOWN: Final = Statement(
    select(decision.c.ok, decision.c.text).where(decision.c.command_id == bindparam("command_id"))
)


def take_zone(work: Round, command: StopZone) -> None:
    """Close or lift a zone, once; refusals are written down like what is taken."""
    known = _KNOWN.first(work.conn, {"command_id": command.command_id})
    if known is not None:
        _answer(work, command, Answer(ok=bool(known.ok), text=known.text))
        return
    answer = _zoned(work, command)
    row = {
        "command_id": command.command_id,
        "proposal_id": "",
        "person_id": command.person_id,
        "ok": int(answer.ok),
        "text": answer.text,
        "at_ns": work.now_ns,
    }
    insert_new(work.conn, decision, [row])
    work.count("stop_zones", ("lifted" if command.lifts else "closed") if answer.ok else "refused")
    log.info("stop zone", person=command.person_id, ok=answer.ok, text=answer.text)
    _answer(work, command, answer)


def _zoned(work: Round, command: StopZone) -> Answer:
    if work.now_ns > command.expires_at_ns:
        late_s = (work.now_ns - command.expires_at_ns) / 1e9
        text = f"came {late_s:.0f} s too late to central, so nothing changed: ask again"
        return Answer(ok=False, text=text)
    if command.lifts:
        return lift_zone(work.conn, command.lifts, command.person_id, work.now_ns)
    wanted = Wanted(
        zone_id=command.command_id,
        person_id=command.person_id,
        reason=command.reason,
        lasts_s=command.lasts_s,
        nodes=command.nodes,
        box_m=command.box_m,
    )
    return close_zone(work.conn, work.floor.site, wanted, work.now_ns)


def _answer(work: Round, command: StopZone, answer: Answer) -> None:
    message = StopZoneResult(command_id=command.command_id, ok=answer.ok, text=answer.text[:400])
    work.publish(DESK_ZONED, message)
