"""A planner's adjustment from the desk: checked, answered once, booked by the edge of the bin."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, select

from central.ledger.adjust import Adjusted, Adjustment, adjust
from central.statement import Statement
from central.store import insert_new
from central.tables import decision
from central.tasking.round import Round
from central.tasking.variances import let_go
from wire.messages import AdjustResult, AdjustStock
from wire.topics import DESK_ADJUSTED

_KNOWN: Final = Statement(
    select(decision.c.ok, decision.c.text).where(decision.c.command_id == bindparam("command_id"))
)


def take_adjustment(work: Round, command: AdjustStock) -> None:
    """Have an adjustment booked, once; answer every repetition as the first time.

    Refusals are written down like what is taken: who asked for what, when, and the answer.
    """
    known = _KNOWN.first(work.conn, {"command_id": command.command_id})
    if known is not None:
        _answer(work, command, Adjusted(ok=bool(known.ok), text=known.text))
        return
    answer = _adjusted(work, command)
    row = {
        "command_id": command.command_id,
        "proposal_id": "",
        "person_id": command.person_id,
        "ok": int(answer.ok),
        "text": answer.text,
        "at_ns": work.now_ns,
    }
    insert_new(work.conn, decision, [row])  # one that is booked has written its row itself
    work.count("adjustments", "taken" if answer.ok else "refused")
    _answer(work, command, answer)


def _adjusted(work: Round, command: AdjustStock) -> Adjusted:
    if work.now_ns > command.expires_at_ns:
        late_s = (work.now_ns - command.expires_at_ns) / 1e9
        text = (
            f"came {late_s:.0f} s too late to central, so nothing is booked: look what"
            f" {command.bin_id} holds now, and ask again"
        )
        return Adjusted(ok=False, text=text)
    asked = Adjustment(
        command_id=command.command_id,
        bin_id=command.bin_id,
        gtin=command.gtin,
        reason=command.reason,
        person_id=command.person_id,
        to_units=None if command.is_difference else command.units,
        by_units=command.units if command.is_difference else None,
        lot=command.lot,
        quarantine=command.quarantine,
    )
    answer = adjust(work.conn, work.floor.site, asked, work.now_ns)
    if answer.ok and not command.is_difference:
        why = "somebody said since then what the bin holds"
        let_go(work, command.bin_id, command.gtin, why, decided_by=command.person_id)
    return answer


def _answer(work: Round, command: AdjustStock, answer: Adjusted) -> None:
    message = AdjustResult(command_id=command.command_id, ok=answer.ok, text=answer.text[:400])
    work.publish(DESK_ADJUSTED, message)
