"""The sentences a planner reads: what is there, what is expected, what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence

from central.replenish.types import Numbers, ProposalKind


def move(kind: ProposalKind, target: str, source: str, units: int, numbers: Numbers) -> str:
    """Return why `units` shall go from `source` to `target`."""
    bring = f"bring {_cases(units, numbers)} from {source}"
    if kind == "refill":
        return f"Pick face {target} {_holds(numbers)}, {_lead(numbers)}: {bring}.{_also(numbers)}"
    return (
        f"Zone {numbers['zone']} {_holds(numbers)} in faces and reserve; its faces take"
        f" {_whole(numbers, 'faces_up_to_units')} and {_short(numbers, 'cover_demand_units')} will"
        f" be asked for in {_short(numbers, 'cover_d')} d; reorder point"
        f" {_whole(numbers, 'reorder_point_units')}, up to"
        f" {_whole(numbers, 'order_up_to_units')}: {bring} to {target}.{_also(numbers)}"
    )


def purchase(supplier: str, units: int, numbers: Numbers) -> str:
    """Return why `units` shall be bought."""
    head = "No reserve bin has any: urgent. " if numbers["urgent"] else ""
    return (
        f"{head}The site {_holds(numbers)} and {_whole(numbers, 'on_order_units')} are on order,"
        f" {_lead(numbers)}: buy {_cases(units, numbers)} from {supplier}.{_also(numbers)}"
    )


def count(numbers: Numbers, doubtful: Sequence[str]) -> str:
    """Return why these bins shall be counted."""
    parts = []
    if doubtful:
        parts.append(f"{', '.join(doubtful)}: the last look disagrees with the book")
    never = int(numbers["never_seen_bins"])
    if never:
        parts.append(f"{never} never seen")
    oldest_s = float(numbers["oldest_unseen_s"])
    if oldest_s >= 0:
        parts.append(f"the longest unseen for {oldest_s / 60:.0f} min")
    bins = str(numbers["bins"]).split()
    return f"Count {len(bins)} bins ({'; '.join(parts)}): {', '.join(bins)}."


def starved(bin_id: str, numbers: Numbers, on_order: int) -> str:
    """Return why a pick face cannot be refilled."""
    coming = f"{on_order} are on order" if on_order else "nothing is on order"
    return (
        f"Pick face {bin_id} {_holds(numbers)}, {_lead(numbers)}, but no reserve bin has free"
        f" units; {coming}."
    )


def no_supplier(gtin: str, supplier_id: str) -> str:
    """Return why an article cannot be bought."""
    return (
        f"{gtin} cannot be bought: its supplier {supplier_id!r} is not in suppliers.csv;"
        " add it there."
    )


def no_room(gtin: str, units: int, room: int) -> str:
    """Return why an article is not bought although it should be."""
    return (
        f"{gtin}: {units} units should be bought, but the reserve bins have room for"
        f" {max(0, room)} beyond what is on order, less than a case: make room first."
    )


def _holds(numbers: Numbers) -> str:
    """Return "holds 4" with what changes it, as far as there is any."""
    extras = [
        f"{_whole(numbers, key)} {word}"
        for key, word in (
            ("inbound_units", "on the way"),
            ("reserved_units", "reserved"),
            ("allocated_units", "allocated"),
            ("backordered_units", "backordered"),
        )
        if int(numbers.get(key, 0))
    ]
    note = f" ({', '.join(extras)})" if extras else ""
    return f"holds {_whole(numbers, 'on_hand_units')}{note}"


def _lead(numbers: Numbers) -> str:
    sd = math.sqrt(float(numbers["lead_demand_variance"]))
    return (
        f"expected demand in the lead time of {_short(numbers, 'lead_time_d')} d is"
        f" {_short(numbers, 'lead_demand_units')} +- {sd:.1f}; reorder point"
        f" {_whole(numbers, 'reorder_point_units')}, up to {_whole(numbers, 'order_up_to_units')}"
    )


def _also(numbers: Numbers) -> str:
    return " Today sells far more than forecast." if numbers["surge"] else ""


def _cases(units: int, numbers: Numbers) -> str:
    case = int(numbers["case_units"])
    if units % case:
        return f"{units}"
    return f"{units} ({units // case} case{'s' if units > case else ''})"


def _whole(numbers: Numbers, key: str) -> str:
    return f"{int(numbers[key])}"


def _short(numbers: Numbers, key: str) -> str:
    value = float(numbers[key])
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2g}"
