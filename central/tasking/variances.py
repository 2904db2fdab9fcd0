"""A count that differs from the book: an adjustment is proposed, and its edge books it.

Central never edits a number. An approved adjustment is a command to the edge that owns the bin
(central/ledger/adjust.py); the movement between the bin and `loss:` or `found:` comes back as every
other does. Small ones are approved by policy, larger ones wait for a planner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, case, delete, func, select, update

from central.belief.core import Prior, shifted
from central.belief.intervals import interval_of, keep_interval, read_rates
from central.belief.settle import ADJUST_SURE, ASKED_TWICE, count_is_right
from central.ledger.adjust import EVENT, FOUND, LOSS, Adjustment, adjust, waiting_adjustments
from central.replenish.numbers import Numbers, units_text
from central.replenish.types import Proposal
from central.statement import Row, Statement
from central.tables import balance, bin_count, edge_command, movement, proposal
from central.tasking.motion import AT_REST, LOOKED_BACK_MAX, in_motion, is_set_aside
from central.tasking.round import NEVER_NS, Round, earliest
from runtime.clock import NS_PER_S
from wire.ids import bin_location, bin_of

REASON: Final = "count"
PRIOR: Final = Prior()

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
        decided_by=bindparam("person"),
        decision_reason=bindparam("why"),
    )
)
_BY_AGE: Final = (
    bin_count.c.committed_at_ns,
    bin_count.c.edge_id,
    bin_count.c.epoch,
    bin_count.c.seq,
)
_NEW: Final = Statement(select(bin_count).where(bin_count.c.status == "new").order_by(*_BY_AGE))
_FORGET_ALL: Final = Statement(
    delete(bin_count).where(
        bin_count.c.bin_id == bindparam("of_bin"),
        bin_count.c.gtin == bindparam("of_gtin"),
        bin_count.c.event_id != bindparam("but"),
    )
)
_TO_JUDGE: Final = Statement(
    select(bin_count)
    .where(bin_count.c.status == "open", bin_count.c.committed_at_ns <= bindparam("latest_ns"))
    .order_by(*_BY_AGE)
)
_NEXT: Final = Statement(
    select(func.min(bin_count.c.committed_at_ns)).where(bin_count.c.status == "open")
)
_SET: Final = Statement(
    update(bin_count)
    .where(bin_count.c.event_id == bindparam("of_event"))
    .values(status=bindparam("to_status"))
)
_FORGET: Final = Statement(delete(bin_count).where(bin_count.c.event_id == bindparam("of_event")))
_DECIDED: Final = Statement(
    delete(bin_count).where(
        bin_count.c.status == "judged",
        ~select(proposal.c.proposal_id)
        .where(
            proposal.c.kind == "adjust",
            proposal.c.status == "waiting",
            proposal.c.gtin == bin_count.c.gtin,
            (proposal.c.from_place == "bin:" + bin_count.c.bin_id)
            | (proposal.c.to_place == "bin:" + bin_count.c.bin_id),
        )
        .exists(),
    )
)
_BOOKED_SINCE: Final = Statement(
    select(movement.c.id)
    .where(
        movement.c.id > bindparam("first_id"),
        movement.c.edge_id == bindparam("edge"),
        (movement.c.epoch > bindparam("of_epoch"))
        | ((movement.c.epoch == bindparam("of_epoch")) & (movement.c.seq > bindparam("of_seq"))),
        (movement.c.from_place == bindparam("place")) | (movement.c.to_place == bindparam("place")),
        movement.c.gtin == bindparam("of_gtin"),
        movement.c.event_id.startswith(EVENT),
        movement.c.from_place.in_((FOUND, bindparam("place"))),
        movement.c.to_place.in_((LOSS, bindparam("place"))),
    )
    .limit(1)
)
_HELD: Final = Statement(
    select(func.coalesce(func.sum(balance.c.units), 0)).where(
        balance.c.place == bindparam("place"), balance.c.gtin == bindparam("of_gtin")
    )
)
_COME_SINCE: Final = Statement(
    select(
        func.coalesce(
            func.sum(
                case(
                    (movement.c.to_place == bindparam("place"), movement.c.units),
                    else_=-movement.c.units,
                )
            ),
            0,
        )
    ).where(
        movement.c.id > bindparam("first_id"),
        movement.c.edge_id == bindparam("edge"),
        (movement.c.epoch > bindparam("of_epoch"))
        | ((movement.c.epoch == bindparam("of_epoch")) & (movement.c.seq > bindparam("of_seq"))),
        (movement.c.from_place == bindparam("place")) | (movement.c.to_place == bindparam("place")),
        movement.c.gtin == bindparam("of_gtin"),
    )
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What counts say whose time has come."""

    adjustments: Sequence[Proposal]
    doubtful: Sequence[tuple[str, str, str]]
    """(place, why, event) of what must be counted once more."""


def next_judging_at_ns(work: Round) -> int:
    """Return when the next count is judged."""
    found = earliest(work, _NEXT)
    return found if found == NEVER_NS else found + _quiet_ns(work)


def judged(work: Round) -> Judged:
    """Return what the counts ask for whose time to be judged has come.

    A newer count lets go what older ones of its bin and article asked for. One that differs is
    judged after a while, when what people and robots did at the bin is booked. Where goods were
    under way that may explain the difference, the book stays as it is; where they cannot, but were
    handled all the same, the bin is counted again: only a count taken at rest changes the book.
    """
    _DECIDED.run(work.conn)
    newest = {(row.bin_id, row.gtin): row for row in _NEW.all(work.conn)}
    for row in newest.values():
        _take(work, row)
    adjustments, doubtful = [], []
    for row in _TO_JUDGE.all(work.conn, {"latest_ns": work.now_ns - _quiet_ns(work)}):
        by, under_way = _difference(work, row)
        moving = in_motion(work, row) if by else AT_REST
        if by and moving == AT_REST:
            _SET.run(work.conn, {"of_event": row.event_id, "to_status": "judged"})
            sure = _count_is_right(work, row, by)
            adjustments.append(_proposal(work, row, under_way, sure))
            continue
        _FORGET.run(work.conn, {"of_event": row.event_id})
        if by:
            work.count("counts_unsettled")
        if by and not moving.explains(by):
            why = f"{by:+d} x {row.gtin} at {row.bin_id}, counted while goods were handled there"
            doubtful.append((bin_location(row.bin_id), why, row.event_id))
    return Judged(adjustments, doubtful)


def _quiet_ns(work: Round) -> int:
    return round(work.config.tasking.count_quiet_s * NS_PER_S)


def let_go(
    work: Round, bin_id: str, gtin: str, why: str, *, decided_by: str = "", but: str = ""
) -> None:
    """Forget the counts of this bin and article `but` one, and the adjustments they asked for."""
    _FORGET_ALL.run(work.conn, {"of_bin": bin_id, "of_gtin": gtin, "but": but})
    pair = {"of_gtin": gtin, "place": bin_location(bin_id)}
    told = {"now_ns": work.now_ns, "person": decided_by, "why": why}
    _SUPERSEDE.run(work.conn, pair | told)


def _take(work: Round, row: Row) -> None:
    """Let go what older counts of this bin and article asked for; keep this one if it differs."""
    let_go(work, row.bin_id, row.gtin, "the bin was counted again", but=row.event_id)
    is_known = row.bin_id in work.floor.site.bins
    if row.counted_units == row.book_units or not is_known:
        if is_known:
            keep_interval(work.conn, interval_of(work.conn, row, 0))
        _FORGET.run(work.conn, {"of_event": row.event_id})
    else:
        _SET.run(work.conn, {"of_event": row.event_id, "to_status": "open"})


def _difference(work: Round, row: Row) -> tuple[int, int]:
    """Return how much the book is to change, and what else is going to be booked.

    Nothing where a correction was booked or asked for since: the count saw the book as it was
    before. What went into quarantine or came out of it corrects nothing: those are goods on their
    way (motion.py).
    """
    place = bin_location(row.bin_id)
    if _BOOKED_SINCE.first(work.conn, _since(row)) is not None:
        return 0, 0
    corrections = [
        move
        for move in waiting_adjustments(work.conn, place)
        if move.gtin == row.gtin and not is_set_aside(move)
    ]
    if any(move.observed_at_ns >= row.committed_at_ns for move in corrections):
        return 0, 0
    under_way = sum(move.units if move.to_place == place else -move.units for move in corrections)
    return row.counted_units - row.book_units - under_way, under_way


def _since(row: Row) -> dict[str, Any]:
    """Return what asks for the movements of a count's bin and article that were booked after it."""
    return {
        "first_id": row.last_id - LOOKED_BACK_MAX,
        "edge": row.edge_id,
        "of_epoch": row.epoch,
        "of_seq": row.seq,
        "place": bin_location(row.bin_id),
        "of_gtin": row.gtin,
    }


def _apart_units(work: Round, row: Row) -> int:
    """Return how much more the ledger had at a count than the edge's book: 0 while all is well.

    Where they differ, as after an old copy of an edge's database was brought back, the difference
    to the edge's book would make the ledger false.
    """
    pair = {"place": bin_location(row.bin_id), "of_gtin": row.gtin}
    held = int(_HELD.scalar(work.conn, pair))
    return held - int(_COME_SINCE.scalar(work.conn, _since(row))) - int(row.book_units)


def _count_is_right(work: Round, count: Row, by: int) -> float:
    """Return how likely a count that differs is right; what it found is kept to learn from.

    The book was as sure as what was done at the bin leaves it by what counts have taught, at most
    as opening stock.
    """
    rates = read_rates(work.conn, work.floor.site.bins)
    before = interval_of(work.conn, count, by)
    if not _apart_units(work, count):  # else it tells of a database, not of the work at the bin
        keep_interval(work.conn, before)
    exposed = (before.picks, before.putaways, before.moves, before.days)
    row = work.floor.site.bins.get(count.bin_id)
    expected = rates.expected(row, count.bin_id, before.sure, exposed)
    book_sure = min(expected, PRIOR.opening)
    return count_is_right(shifted(book_sure, ASKED_TWICE), by, rates.miscount)


def _proposal(work: Round, count: Row, under_way: int, sure: float) -> Proposal:
    by = count.counted_units - count.book_units - under_way
    place = bin_location(count.bin_id)
    article = work.floor.site.articles.get(count.gtin)
    apart = _apart_units(work, count)
    if apart:
        work.count("counts_of_another_book")
    numbers: Numbers = {
        "counted_units": count.counted_units,
        "book_units": count.book_units,
        "under_way_units": under_way,
        "apart_units": apart,
        "count_sure": round(sure, 4),
        "value_cents": abs(by) * (article.price_cents if article else 0),
        "counted_by": count.person_id,
        "may_count": int(_may_count(work, count)),
        "units": abs(by),
    }
    coming = f" and {under_way:+d} is under way" if under_way else ""
    if apart:
        coming += f" (that is edge {count.edge_id}'s: the ledger had {count.book_units + apart})"
    return Proposal(
        kind="adjust", gtin=count.gtin, units=abs(by),
        from_place=FOUND if by > 0 else place, to_place=place if by > 0 else LOSS,
        reason=f"{count.counted_by} counted {count.counted_units} at"
        f" {count.bin_id}, the book had {count.book_units}{coming}: {by:+d}. The count is right"
        f" with {sure:.0%}.",
        numbers=numbers, causes=(count.event_id,),
    )  # fmt: skip


def _may_count(work: Round, count: Row) -> bool:
    """Return whether somebody counted whose work it is: a visitor's count waits for a planner."""
    person = work.floor.site.people.get(count.person_id)
    return person is not None and "count" in person.roles.split()


def adjusting_is_allowed(work: Round, item: Proposal) -> str:
    """Return why policy approves an adjustment; empty where a person must decide."""
    policy = work.config.policy
    cents, sure = int(item.numbers["value_cents"]), float(item.numbers["count_sure"])
    if item.units > policy.auto_adjust_units_max or cents > policy.auto_adjust_cents_max:
        return ""
    if sure < ADJUST_SURE or not item.numbers["may_count"] or item.numbers["apart_units"]:
        return ""
    return (
        f"adjusts {units_text(item.units)} worth {cents} cents, up to"
        f" {policy.auto_adjust_units_max} and {policy.auto_adjust_cents_max} allowed"
    )


_OF_EVENTS: Final = Statement(
    select(bin_count).where(bin_count.c.event_id.in_(bindparam("events")))
)


def start_adjustment(work: Round, row: Row, units: int, *, decided_by: str) -> bool:
    """Have the edge book an approved adjustment; False where it cannot be.

    Also where a late fact tells that goods were handled at the bin while it was counted.
    """
    causes = {"events": msgspec.json.decode(row.causes, type=list[str])}
    if any(in_motion(work, count) != AT_REST for count in _OF_EVENTS.all(work.conn, causes)):
        work.count("counts_unsettled")
        return False
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
