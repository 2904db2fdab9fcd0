"""A planner's adjustment from the desk: checked, answered once, booked by the edge of the bin."""

from __future__ import annotations

from typing import Final

from sqlalchemy import bindparam, delete, select, update

from central.ledger.adjust import Adjusted, Adjustment, adjust
from central.statement import Statement
from central.store import insert_new
from central.tables import bin_count, decision, proposal
from central.tasking.round import Round
from wire.ids import bin_location
from wire.messages import AdjustResult, AdjustStock
from wire.topics import DESK_ADJUSTED

_KNOWN: Final = Statement(
    select(decision.c.ok, decision.c.text).where(decision.c.command_id == bindparam("command_id"))
)
_LET_GO: Final = Statement(
    update(proposal)
    .where(
        proposal.c.kind == "adjust",
        proposal.c.status == "waiting",
        proposal.c.gtin == bindparam("of_gtin"),
        (proposal.c.from_place == bindparam("place")) | (proposal.c.to_place == bindparam("place")),
    )
    .values(
        status="expired",
        decided_at_ns=bindparam("now_ns"),
        decided_by=bindparam("person"),
        decision_reason="somebody said since then what the bin holds",
    )
)
_FORGET_COUNTS: Final = Statement(
    delete(bin_count).where(
        bin_count.c.bin_id == bindparam("of_bin"), bin_count.c.gtin == bindparam("of_gtin")
    )
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
        place = bin_location(command.bin_id)
        pair = {"place": place, "of_gtin": command.gtin}
        _LET_GO.run(work.conn, pair | {"now_ns": work.now_ns, "person": command.person_id})
        _FORGET_COUNTS.run(work.conn, {"of_bin": command.bin_id, "of_gtin": command.gtin})
    return answer


def _answer(work: Round, command: AdjustStock, answer: Adjusted) -> None:
    message = AdjustResult(command_id=command.command_id, ok=answer.ok, text=answer.text[:400])
    work.publish(DESK_ADJUSTED, message)
