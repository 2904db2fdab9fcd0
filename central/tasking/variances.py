"""A count that differs from the book: an adjustment is proposed, and its edge books it.

Central never edits a number. An approved adjustment is a command to the edge that owns the bin
(central/ledger/adjust.py); the movement between the bin and `loss:` or `found:` comes back as every
other does. Small ones are approved by policy, larger ones wait for a planner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec
from sqlalchemy import bindparam, func, select, update

from central.belief.core import Prior, shifted
from central.belief.settle import ADJUST_SURE, count_is_right
from central.ledger.adjust import EVENT, FOUND, LOSS, Adjustment, adjust, waiting_adjustments
from central.replenish.numbers import Numbers, units_text
from central.replenish.types import Proposal
from central.statement import Row, Statement
from central.tables import edge_command, movement, proposal
from central.tasking.round import Round
from wire.ids import bin_location, bin_of
from wire.messages import BinCounted

REASON: Final = "count"
PRIOR: Final = Prior()
TWICE: Final = math.log(PRIOR.miscount / (1.0 - PRIOR.miscount))
"""A person was asked once more before this count was taken: their first differed as well."""

_SUPERSEDE: Final = Statement(
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
        decision_reason="the bin was counted again",
    )
)
_BOOKED_AT: Final = Statement(
    select(func.coalesce(func.max(movement.c.committed_at_ns), 0)).where(
        (movement.c.from_place == bindparam("place")) | (movement.c.to_place == bindparam("place")),
        movement.c.gtin == bindparam("of_gtin"),
        movement.c.event_id.startswith(EVENT),
    )
)


def adjustments_of(work: Round, counts: Sequence[BinCounted]) -> list[Proposal]:
    """Return what these new counts ask to adjust; older proposals for their bins are let go.

    The count of a lot or serial number says nothing of the rest of the bin. A count from before the
    last adjustment of its bin came is left out: it saw the book as it was then.
    """
    found = []
    for count in counts:
        if count.lot or count.serial or count.bin_id not in work.floor.site.bins:
            continue
        place = bin_location(count.bin_id)
        pair = {"place": place, "of_gtin": count.gtin}
        if count.observed_at_ns < _BOOKED_AT.scalar(work.conn, pair):
            continue
        _SUPERSEDE.run(work.conn, pair | {"now_ns": work.now_ns})
        under_way = sum(
            move.units if move.to_place == place else -move.units
            for move in waiting_adjustments(work.conn, place)
            if move.gtin == count.gtin
        )
        if count.counted_units - count.book_units - under_way:
            found.append(_proposal(work, count, under_way))
    return found


def _proposal(work: Round, count: BinCounted, under_way: int) -> Proposal:
    by = count.counted_units - count.book_units - under_way
    place = bin_location(count.bin_id)
    sure = count_is_right(shifted(PRIOR.opening, TWICE), by, PRIOR.miscount)
    article = work.floor.site.articles.get(count.gtin)
    numbers: Numbers = {
        "counted_units": count.counted_units,
        "book_units": count.book_units,
        "under_way_units": under_way,
        "count_sure": round(sure, 4),
        "value_cents": abs(by) * (article.price_cents if article else 0),
        "counted_by": count.person_id,
        "may_count": int(_may_count(work, count)),
        "units": abs(by),
    }
    coming = f" and {under_way:+d} is under way" if under_way else ""
    return Proposal(
        kind="adjust", gtin=count.gtin, units=abs(by),
        from_place=FOUND if by > 0 else place, to_place=place if by > 0 else LOSS,
        reason=f"{count.person_id or count.device_id} counted {count.counted_units} at"
        f" {count.bin_id}, the book had {count.book_units}{coming}: {by:+d}. The count is right"
        f" with {sure:.0%}.",
        numbers=numbers, causes=(count.event_id,),
    )  # fmt: skip


def _may_count(work: Round, count: BinCounted) -> bool:
    """Return whether somebody counted whose work it is: a visitor's count waits for a planner."""
    person = work.floor.site.people.get(count.person_id)
    return person is not None and "count" in person.roles.split()


def adjusting_is_allowed(work: Round, item: Proposal) -> str:
    """Return why policy approves an adjustment; empty where a person must decide."""
    policy = work.config.policy
    cents, sure = int(item.numbers["value_cents"]), float(item.numbers["count_sure"])
    if item.units > policy.auto_adjust_units_max or cents > policy.auto_adjust_cents_max:
        return ""
    if sure < ADJUST_SURE or not item.numbers["may_count"]:
        return ""
    return (
        f"adjusts {units_text(item.units)} worth {cents} cents, up to"
        f" {policy.auto_adjust_units_max} and {policy.auto_adjust_cents_max} allowed"
    )


def start_adjustment(work: Round, row: Row, units: int, *, decided_by: str) -> bool:
    """Have the edge book an approved adjustment; False where it cannot be."""
    is_more = row.from_place == FOUND
    counted_by = str(msgspec.json.decode(row.numbers).get("counted_by", ""))
    asked = Adjustment(
        command_id=row.proposal_id,
        bin_id=bin_of(row.to_place if is_more else row.from_place) or "",
        gtin=row.gtin,
        reason=REASON,
        person_id=(counted_by or decided_by) if decided_by == "policy" else decided_by,
        by_units=units if is_more else -units,
    )
    return adjust(work.conn, work.floor.site, asked, work.now_ns).ok


_OVER: Final = Statement(
    select(proposal.c.proposal_id, edge_command.c.status)
    .join(edge_command, edge_command.c.command_id == proposal.c.proposal_id)
    .where(
        proposal.c.kind == "adjust",
        proposal.c.status == "approved",
        edge_command.c.status.in_(("done", "dropped")),
    )
    .order_by(proposal.c.proposal_id)
)
_END: Final = Statement(
    update(proposal)
    .where(proposal.c.proposal_id == bindparam("of_proposal"))
    .values(status=bindparam("to_status"))
)


def settle_adjustments(work: Round) -> None:
    """Close the adjustments that their edges booked, or never did."""
    for row in _OVER.all(work.conn):
        status = "done" if row.status == "done" else "failed"
        _END.run(work.conn, {"of_proposal": row.proposal_id, "to_status": status})
        work.count(f"proposals_{status}")
