"""The sentences a planner reads: the sum of what is there, what is wanted, what is done about it.

Each can be followed with the numbers in it: what is there + coming - promised - owed makes the
position, the position is compared with the reorder point, what is missing up to the level above it
is brought, as far as the source has it free and it fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from central.replenish.numbers import Numbers, position_sum, units_text
from central.replenish.types import ProposalKind


def move(kind: ProposalKind, target: str, source: str, units: int, numbers: Numbers) -> str:
    """Return why `units` shall go from `source` to `target`."""
    ends = f"{_taken(target, source, units, numbers)}{_also(numbers)}"
    if kind == "refill":
        return f"Pick face {target}: {_position(numbers)}. {_lead(numbers)}. {ends}"
    zones = _sharing(numbers, "zones_sharing", "zones")
    return (
        f"Zone {numbers['zone']}, faces and reserve: {_position(numbers)}. Its faces take"
        f" {_whole(numbers, 'faces_up_to_units')} and {_short(numbers, 'cover_demand_units')} will"
        f" be asked for in {_days(numbers, 'cover_d')}{zones}; {_until(numbers)}. {ends}"
    )


def purchase(supplier: str, units: int, numbers: Numbers) -> str:
    """Return why `units` shall be bought."""
    head = "No reserve bin has any: urgent. " if numbers["urgent"] else ""
    wanted, _ = _wanted(numbers)
    room = int(numbers["room_units"])
    only = f", the reserve bins have room for {room}" if units < wanted else ""
    return (
        f"{head}The site: {_position(numbers)}. {_lead(numbers)}."
        f" It wants {wanted}{only}: buy {_cases(units, numbers)} from {supplier}.{_also(numbers)}"
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
    least_sure = float(numbers["least_sure"])
    if least_sure < 1.0:
        parts.append(f"the least sure book is right with {least_sure:.1%}")
    bins = str(numbers["bins"]).split()
    what = "1 bin" if len(bins) == 1 else f"{len(bins)} bins"
    who = str(numbers["eye_name"]) or f"a person of {numbers['eye_edge']}"
    refused = str(numbers["refused"])
    instead = f" Not chosen: {refused}." if refused else ""
    return (
        f"Count {what} by {who} ({'; '.join(parts)}): {', '.join(bins)}. An hour of it is expected"
        f" to find {float(numbers['errors_per_h']):.3g} errors, one for"
        f" {float(numbers['minutes_per_error']):.3g} minutes of a person.{instead}"
    )


def starved(bin_id: str, numbers: Numbers, on_order: int) -> str:
    """Return why a pick face cannot be refilled."""
    are = "is" if on_order == 1 else "are"
    coming = f"{on_order} {are} on order" if on_order else "nothing is on order"
    return (
        f"Pick face {bin_id}: {_position(numbers)}. {_lead(numbers)}. No reserve bin has free"
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
        f"{gtin}: {units_text(units)} should be bought, but the reserve bins have room for"
        f" {max(0, room)} beyond what is on order, less than a case: make room first."
    )


def _position(numbers: Numbers) -> str:
    return (
        f"{position_sum(numbers)}, at or below the reorder point of"
        f" {_whole(numbers, 'reorder_point_units')}"
    )


def _lead(numbers: Numbers) -> str:
    sd = math.sqrt(float(numbers["lead_demand_variance"]))
    faces = _sharing(numbers, "faces_sharing", "faces")
    return (
        f"Expected demand in the lead time and review of {_days(numbers, 'lead_time_d')} is"
        f" {_short(numbers, 'lead_demand_units')} +- {sd:.1f}{faces}; {_until(numbers)}"
    )


def _sharing(numbers: Numbers, key: str, words: str) -> str:
    """Return how many share the demand evenly, empty where nobody else does."""
    shared = int(numbers.get(key, 1))
    return f" (its share as one of {shared} {words})" if shared > 1 else ""


def _until(numbers: Numbers) -> str:
    return f"it is filled up to {_whole(numbers, 'order_up_to_units')}"


def _wanted(numbers: Numbers) -> tuple[int, int]:
    """Return the units still wanted, and how many whole cases cover them."""
    wanted = (
        int(numbers["order_up_to_units"])
        - int(numbers["position_units"])
        - int(numbers["already_units"])
    )
    return wanted, math.ceil(wanted / int(numbers["case_units"]))


def _taken(target: str, source: str, units: int, numbers: Numbers) -> str:
    """Return what is wanted, what limits it, and what is brought."""
    wanted, cases = _wanted(numbers)
    already, case_units = int(numbers["already_units"]), int(numbers["case_units"])
    more = f" {wanted} besides the {already} of another move" if already else f" {wanted}"
    whole = cases * case_units
    round_up = f", {whole} in whole cases of {case_units}" if whole != wanted else ""
    free, room = int(numbers["source_free_units"]), int(numbers["room_units"])
    limits = []
    if free < case_units:
        round_up = ""
        limits.append(f"{source} has no whole case left, {free} single")
    elif int(numbers["due_room_units"]) < case_units:
        round_up = ""
        limits.append(f"a whole case of {case_units} would never fit in time")
    else:
        limits.append(f"{source} has {free} free")
    if units < wanted and room < free:
        limits.append(f"{target} has room for {room}")
    return (
        f"It wants{more}{round_up}; {' and '.join(limits)}:"
        f" bring {_cases(units, numbers)} to {target}."
    )


def _also(numbers: Numbers) -> str:
    return " Today sells far more than forecast." if numbers["surge"] else ""


def _cases(units: int, numbers: Numbers) -> str:
    case = int(numbers["case_units"])
    if units % case or case == 1:
        return f"{units}"
    return f"{units} ({units // case} case{'s' if units > case else ''})"


def _whole(numbers: Numbers, key: str) -> str:
    return f"{int(numbers[key])}"


def _short(numbers: Numbers, key: str) -> str:
    value = float(numbers[key])
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2g}"


def _days(numbers: Numbers, key: str) -> str:
    return _short(numbers, key).removesuffix(".0") + " d"
