"""Proposals: taken from a plan, decided by policy or a person, started, closed.

Approving and starting is one step of one transaction: an approved proposal always has its task,
its purchase order or its failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import bindparam, func, insert, or_, select, update

from central.demand.service import Forecast
from central.ledger.reservations import available_units
from central.replenish.numbers import Numbers, units_text
from central.replenish.types import Plan, Proposal
from central.statement import Row, Statement
from central.store import insert_new, upsert
from central.tables import decision, forecast, proposal, task
from central.tasking.counts import start_count
from central.tasking.purchasing import start_buy
from central.tasking.robots import start_move
from central.tasking.round import Round, earliest
from central.tasking.variances import adjusting_is_allowed, judged, start_adjustment
from wire.ids import bin_location, bin_of
from wire.messages import DecideProposal, DecisionResult
from wire.topics import DESK_RESULT

PROPOSALS_PER_PLAN_MAX: Final = 500
FAILED_PAUSE_S: Final = 30.0
"""What just failed is not proposed again at once: its cause needs time to be seen."""


def take_plan(work: Round, plan: Plan) -> None:
    """Keep the plan's forecasts and its new proposals; policy decides the small ones at once.

    A target that a proposal of an earlier plan stands for gets no second one; one plan may bring
    it units from several bins.
    """
    _keep_forecasts(work, plan.forecasts)
    busy = _busy_keys(work)
    for item in plan.proposals[:PROPOSALS_PER_PLAN_MAX]:
        if (item.kind, item.gtin, item.to_place) not in busy:
            add_proposal(work, item)


def _keep_forecasts(work: Round, forecasts: Sequence[Forecast]) -> None:
    if not forecasts:
        return
    columns = ("mean_units_per_day", "sd_units_per_day", "days", "made_at_ns")
    upsert(
        work.conn,
        forecast,
        [
            {
                "gtin": item.gtin,
                "mean_units_per_day": item.mean_units_per_day,
                "sd_units_per_day": item.sd_units_per_day,
                "days": item.days,
                "made_at_ns": work.now_ns,
            }
            for item in forecasts
        ],
        replace=columns,
    )


_FAILED_TASK: Final = select(task.c.task_id).where(
    task.c.proposal_id == proposal.c.proposal_id, task.c.done_at_ns > bindparam("failed_after_ns")
)
_LATELY_FAILED: Final = (proposal.c.status == "failed") & (
    (proposal.c.decided_at_ns > bindparam("failed_after_ns")) | _FAILED_TASK.exists()
)
_REFUSED: Final = (proposal.c.status == "rejected") & (
    proposal.c.expires_at_ns > bindparam("now_ns")
)
_BUSY: Final = Statement(
    select(proposal.c.kind, proposal.c.gtin, proposal.c.to_place).where(
        or_(proposal.c.status.in_(("waiting", "approved")), _LATELY_FAILED, _REFUSED)
    )
)


def _busy_keys(work: Round) -> set[tuple[str, str, str]]:
    """Return each (kind, article, target) with a proposal that is open, refused or just failed."""
    times = {"now_ns": work.now_ns, "failed_after_ns": work.later_ns(-FAILED_PAUSE_S)}
    return set(_BUSY.tuples(work.conn, times))


_ADD: Final = Statement(insert(proposal))
_CHANGE: Final = Statement(
    update(proposal).where(proposal.c.proposal_id == bindparam("of_proposal"))
)


def add_proposal(work: Round, item: Proposal) -> str:
    """Write a proposal; one that policy allows is approved and started in the same step."""
    proposal_id = work.new_id(item.kind)
    row = {
        "proposal_id": proposal_id,
        "kind": item.kind,
        "status": "waiting",
        "gtin": item.gtin,
        "units": item.units,
        "from_place": item.from_place,
        "to_place": item.to_place,
        "reason": item.reason,
        "numbers": msgspec.json.encode(item.numbers).decode(),
        "causes": msgspec.json.encode(item.causes).decode(),
        "created_at_ns": work.now_ns,
        "expires_at_ns": work.later_ns(work.config.policy.proposal_expires_s),
    }
    _ADD.run(work.conn, row)
    work.count("proposals", item.kind)
    if not (item.reason and item.numbers):
        work.count("proposals_unexplained", item.kind)
    allowed = policy_reason(work, item)
    if allowed:
        found = find_proposal(work, proposal_id)
        assert found is not None, "the proposal was written just now"
        approve(work, found, decided_by="policy", reason=allowed)
    return proposal_id


def propose_count(
    work: Round, place: str, *, reason: str, causes: tuple[str, ...], by_person: bool = False
) -> None:
    """Propose to count one doubtful bin, unless that is proposed already.

    `by_person`: where people count, they do, also where a drone flies: it says nothing of units. A
    round of a drone or camera that begins at this bin does not stand in the way of that.
    """
    row = work.floor.bin_at(place)
    if row is None:
        return
    person = by_person and bool(work.floor.workers.get(("count", row.edge_id)))
    if _is_counted_soon(work, bin_location(row.bin_id), person=person):
        return
    numbers: Numbers = {
        "bins": row.bin_id,
        "eligible_bins": 1,
        "count_bins_max": 1,
        "doubtful_bins": 1,
        "units": 1,
    }
    item = Proposal(
        kind="count",
        gtin="",
        units=1,
        from_place="",
        to_place=bin_location(row.bin_id),
        reason=reason,
        numbers=numbers | ({"eye": "person", "eye_edge": row.edge_id} if person else {}),
        causes=causes,
    )
    add_proposal(work, item)


_OPEN_COUNTS: Final = Statement(
    select(proposal.c.numbers).where(
        proposal.c.kind == "count",
        proposal.c.to_place == bindparam("place"),
        proposal.c.status.in_(("waiting", "approved")),
    )
)


def _is_counted_soon(work: Round, place: str, *, person: bool) -> bool:
    """Return whether a count of this bin is open, refused or just failed; `person`: by a person."""
    if ("count", "", place) not in _busy_keys(work):
        return False
    if not person:
        return True
    eyes = [
        msgspec.json.decode(numbers).get("eye", "")
        for numbers in _OPEN_COUNTS.scalars(work.conn, {"place": place})
    ]
    return not eyes or "person" in eyes


def judge_counts(work: Round) -> None:
    """Propose to make the books agree with counts whose time to be judged has come."""
    verdict = judged(work)
    for item in verdict.adjustments:
        add_proposal(work, item)
    for place, why, event_id in verdict.doubtful:
        propose_count(work, place, reason=why, causes=(event_id,), by_person=True)


def policy_reason(work: Round, item: Proposal) -> str:
    """Return why policy approves this without a person; empty where a person must decide."""
    policy = work.config.policy
    if item.kind == "count":
        return "counting changes nothing: always allowed"
    if item.kind == "adjust":
        return adjusting_is_allowed(work, item)
    if item.kind == "buy":
        cost_cents = item.units * work.floor.site.articles[item.gtin].price_cents
        limit = policy.auto_buy_cents_max
        return f"costs {cost_cents} cents, up to {limit} allowed" if cost_cents <= limit else ""
    limit = policy.auto_units_max
    what = units_text(item.units)
    return f"moves {what}, up to {limit} allowed" if item.units <= limit else ""


_FIND: Final = Statement(select(proposal).where(proposal.c.proposal_id == bindparam("proposal_id")))


def find_proposal(work: Round, proposal_id: str) -> Row | None:
    """Return the proposal, or None where there is none of this id."""
    return _FIND.first(work.conn, {"proposal_id": proposal_id})


def _change(work: Round, proposal_id: str, **columns: Any) -> None:
    _CHANGE.run(work.conn, {"of_proposal": proposal_id} | columns)


def approve(work: Round, row: Row, *, decided_by: str, reason: str, units: int = 0) -> str:
    """Approve and start a proposal, with `units` where given; return in words what came of it.

    The words begin with "failed" where nothing could be started. Policy moves what is still free;
    a person is asked first (`too_many`).
    """
    wanted = units or row.units
    if row.kind in ("refill", "transfer"):
        wanted = min(wanted, available_units(work.conn, row.from_place, row.gtin))
    started = wanted > 0 and _start(work, row, wanted, decided_by)
    status = "approved" if started else "failed"
    _change(
        work,
        row.proposal_id,
        status=status,
        units=wanted if started else row.units,
        decided_by=decided_by,
        decision_reason=reason if started else f"{reason}; could not be started",
        decided_at_ns=work.now_ns,
    )
    work.count("proposals_decided", status)
    if not started:
        return f"failed: nothing is free at {row.from_place or 'any place'} or nobody can do it"
    if row.kind == "count":
        return "approved"
    return f"approved: {units_text(wanted)}"


def too_many(work: Round, row: Row, units: int) -> str:
    """Return why a person cannot approve so many (0: as proposed); empty where they can.

    Where nothing at all is free there is nothing to choose from: approving then fails.
    """
    if row.kind not in ("refill", "transfer"):
        return ""
    asked = units or row.units
    free = available_units(work.conn, row.from_place, row.gtin)
    if free <= 0 or asked <= free:
        return ""
    place = bin_of(row.from_place) or row.from_place
    are = "is" if free == 1 else "are"
    return f"{asked} cannot be approved: {free} {are} free at {place}; enter {free} or fewer"


def _start(work: Round, row: Row, units: int, decided_by: str) -> bool:
    if row.kind == "adjust":
        return start_adjustment(work, row, units, decided_by=decided_by)
    if row.kind == "buy":
        return start_buy(work, row, units)
    if row.kind == "count":
        return start_count(work, row)
    return start_move(work, row, units)


def end_proposal(work: Round, proposal_id: str, status: str) -> None:
    """Close a proposal as done or failed."""
    _change(work, proposal_id, status=status)
    work.count(f"proposals_{status}")


_EXPIRE: Final = Statement(
    update(proposal)
    .where(proposal.c.status == "waiting", proposal.c.expires_at_ns <= bindparam("now_ns"))
    .values(
        status="expired",
        decided_at_ns=bindparam("now_ns"),
        decision_reason="nobody decided in time",
    )
)


_NEXT_EXPIRY: Final = Statement(
    select(func.min(proposal.c.expires_at_ns)).where(proposal.c.status == "waiting")
)


def next_expiry_at_ns(work: Round) -> int:
    """Return when the next proposal is let go."""
    return earliest(work, _NEXT_EXPIRY)


def expire_proposals(work: Round) -> None:
    """Let go of proposals that nobody decided in time: the next plan looks afresh."""
    _EXPIRE.run(work.conn, {"now_ns": work.now_ns})


def decide(work: Round, command: DecideProposal) -> None:
    """Do what a planner decided, once; answer every repetition as the first time."""
    known = work.conn.execute(
        select(decision).where(decision.c.command_id == command.command_id)
    ).one_or_none()
    if known is not None:
        _answer(work, command.command_id, known.proposal_id, ok=bool(known.ok), text=known.text)
        return
    ok, text = _decide(work, command)
    row = {
        "command_id": command.command_id,
        "proposal_id": command.proposal_id,
        "person_id": command.person_id,
        "ok": int(ok),
        "text": text,
        "at_ns": work.now_ns,
    }
    insert_new(work.conn, decision, [row])
    _answer(work, command.command_id, command.proposal_id, ok=ok, text=text)


def _decide(work: Round, command: DecideProposal) -> tuple[bool, str]:
    row = find_proposal(work, command.proposal_id)
    if row is None:
        return False, f"there is no proposal {command.proposal_id}"
    if row.status != "waiting":
        by = f" by {row.decided_by}" if row.decided_by else ""
        return False, f"{row.proposal_id} is {row.status}{by}: nothing to decide"
    if command.approve:
        refusal = too_many(work, row, command.units)
        if refusal:
            return False, refusal
        text = approve(
            work, row, decided_by=command.person_id, reason=command.reason, units=command.units
        )
        return not text.startswith("failed"), text
    _change(
        work,
        row.proposal_id,
        status="rejected",
        decided_by=command.person_id,
        decision_reason=command.reason,
        decided_at_ns=work.now_ns,
    )
    work.count("proposals_decided", "rejected")
    return True, "rejected"


def _answer(work: Round, command_id: str, proposal_id: str, *, ok: bool, text: str) -> None:
    message = DecisionResult(command_id=command_id, proposal_id=proposal_id, ok=ok, text=text[:400])
    work.publish(DESK_RESULT, message)
