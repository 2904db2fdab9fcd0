"""Pure: the numbers of a proposal as a planner reads them: the sum first, then each with a label.

What says nothing (a limit that is far away, a zero that is the rule) is left out; what is not known
here is shown by its name, so that no number of a newer central is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from central.desk.rows import WhyFigure
from central.replenish.numbers import NO_LIMIT, position_sum

Numbers = Mapping[str, Any]
METHODS: Final = {
    "ses": "exponential smoothing",
    "sba": "Croston's method as corrected by Syntetos and Boylan",
    "tsb": "method of Teunter, Syntetos and Babai",
    "none": "nothing sold yet",
}
SHOWN_AS_SECONDS_MAX: Final = 120.0
IN_THE_SUM: Final = (
    "on_hand_units", "inbound_units", "on_order_units", "reserved_units", "allocated_units",
    "backordered_units", "position_units",
)  # fmt: skip
BESIDE_ANOTHER: Final = (
    "sd_units_per_day", "forecast_days", "lead_demand_variance", "units", "eye_name", "eye_edge",
)  # fmt: skip
"""Shown with another number, or in the heading."""


def sums(numbers: Numbers, *, source: str, target: str) -> list[str]:
    """Return the lines that add up to a proposal's units; none where it has no such numbers."""
    needed = ("on_hand_units", "position_units", "reorder_point_units", "order_up_to_units")
    if not all(_is_number(numbers.get(key)) for key in needed):
        return []
    position, reorder_point, up_to = (int(numbers[key]) for key in needed[1:])
    already, case_units = _whole(numbers, "already_units", 0), _whole(numbers, "case_units", 1)
    wanted = up_to - position - already
    less = f" - {already} of another move" if already else ""
    lines = [
        position_sum(dict(numbers)),
        f"{position} is at or below {reorder_point}, where stock is brought"
        if position <= reorder_point
        else f"{position} is above {reorder_point}, where stock would be brought",
        f"up to {up_to}{_minus(position)}{less} = {wanted} wanted",
    ]
    if not _is_number(numbers.get("units")):
        return lines
    limits = []
    if min(_whole(numbers, key, NO_LIMIT) for key in ("source_free_units", "due_room_units")) >= (
        case_units
    ):
        most = math.ceil(wanted / max(1, case_units)) * case_units
        limits += [f"{most} in whole cases of {case_units}"] if case_units > 1 else []
    else:
        most = wanted
        limits.append(f"no whole case of {case_units} goes, so single units")
    for key, words in (("source_free_units", f"free at {source}"),
                       ("room_units", f"fit into {target}")):  # fmt: skip
        if _whole(numbers, key, NO_LIMIT) < most:
            limits.append(f"only {numbers[key]} {words}")
    return [*lines, ", ".join([*limits, f"so {numbers['units']}"])]


def figures(numbers: Numbers) -> list[WhyFigure]:
    """Return the numbers with labels, in the order in which they are used."""
    hidden = {*BESIDE_ANOTHER, *(IN_THE_SUM if _is_number(numbers.get("position_units")) else ())}
    shown = []
    for key, (label, text) in LABELS.items():
        if key in numbers and key not in hidden:
            value = text(numbers, key)
            if value:
                shown.append(WhyFigure(label=label, text=value))
    shown += [
        WhyFigure(label=key.replace("_", " "), text=_plain(numbers[key]))
        for key in numbers
        if key not in LABELS and key not in hidden
    ]
    return shown


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(numbers: Numbers, key: str, absent: int) -> int:
    value = numbers.get(key)
    return int(value) if value is not None and _is_number(value) else absent


def _minus(units: int) -> str:
    return f" - {units}" if units >= 0 else f" + {-units}"


def _plain(value: Any) -> str:
    if not _is_number(value):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}".rstrip("0").rstrip(".")


# --- how each is shown: "" leaves it out ---------------------------------------------------------


def _as_is(numbers: Numbers, key: str) -> str:
    return _plain(numbers[key])


def _eye(numbers: Numbers, key: str) -> str:
    name, edge_id = numbers.get("eye_name", ""), numbers.get("eye_edge", "")
    return f"{numbers[key]} {name or edge_id}".strip()


def _unless(nothing: int) -> Callable[[Numbers, str], str]:
    """Return what shows a number, but not where it is `nothing`."""

    def text(numbers: Numbers, key: str) -> str:
        return "" if numbers[key] == nothing else _plain(numbers[key])

    return text


def _if_so(words: str) -> Callable[[Numbers, str], str]:
    """Return what shows `words` where a number is not zero."""

    def text(numbers: Numbers, key: str) -> str:
        return words if numbers[key] else ""

    return text


def _unless_so(words: str) -> Callable[[Numbers, str], str]:
    """Return what shows `words` where a number is zero."""

    def text(numbers: Numbers, key: str) -> str:
        return "" if numbers[key] else words

    return text


def _limit(numbers: Numbers, key: str) -> str:
    return "" if _whole(numbers, key, NO_LIMIT) >= NO_LIMIT else _plain(numbers[key])


def _days(numbers: Numbers, key: str) -> str:
    return f"{_plain(numbers[key])} d"


def _seconds(numbers: Numbers, key: str) -> str:
    value = numbers[key]
    if not _is_number(value) or value < 0:
        return ""
    return f"{value:.0f} s" if value < SHOWN_AS_SECONDS_MAX else f"{value / 60:.0f} min"


def _spread(of: str, *, is_variance: bool = False) -> Callable[[Numbers, str], str]:
    """Return what shows a mean with the standard deviation that stands under `of`."""

    def text(numbers: Numbers, key: str) -> str:
        mean, spread = numbers[key], numbers.get(of)
        if not (_is_number(mean) and spread is not None and _is_number(spread) and spread >= 0):
            return _plain(mean)
        return f"{mean:.1f} ± {math.sqrt(spread) if is_variance else spread:.1f} units"

    return text


def _method(numbers: Numbers, key: str) -> str:
    days = numbers.get("forecast_days")
    method = METHODS.get(str(numbers[key]), str(numbers[key]))
    return f"{method}, {_plain(days)} days of sales" if days is not None else method


def _share(numbers: Numbers, key: str) -> str:
    return f"{float(numbers[key]):.0%}" if _is_number(numbers[key]) else _plain(numbers[key])


def _money(numbers: Numbers, key: str) -> str:
    return f"{numbers[key] / 100:,.2f}" if _is_number(numbers[key]) else _plain(numbers[key])


def _due_room(numbers: Numbers, key: str) -> str:
    """Return the room at the due time where it decides: less than a case."""
    is_tight = _whole(numbers, key, NO_LIMIT) < _whole(numbers, "case_units", 1)
    return _plain(numbers[key]) if is_tight else ""


LABELS: Final[Mapping[str, tuple[str, Callable[[Numbers, str], str]]]] = {
    "zone": ("Zone", _as_is),
    "on_hand_units": ("There", _as_is),
    "inbound_units": ("Coming", _unless(0)),
    "on_order_units": ("On order", _unless(0)),
    "reserved_units": ("Promised", _unless(0)),
    "allocated_units": ("Promised to orders", _unless(0)),
    "backordered_units": ("Owed to orders", _unless(0)),
    "position_units": ("Position", _as_is),
    "mean_units_per_day": ("Sold per day", _spread("sd_units_per_day")),
    "forecast_method": ("Forecast by", _method),
    "surge": ("Today", _if_so("sells far more than forecast")),
    "faces_sharing": ("Faces that share the demand", _unless(1)),
    "zones_sharing": ("Zones that share the demand", _unless(1)),
    "service_level": ("Shall not run out in", _share),
    "lead_time_d": ("Lead time and review", _days),
    "lead_demand_units": (
        "Expected in that time", _spread("lead_demand_variance", is_variance=True)
    ),
    "reorder_point_units": ("Brought at or below", _as_is),
    "cover_d": ("Shall last another", _days),
    "cover_demand_units": ("Expected in those days", _as_is),
    "faces_up_to_units": ("Its faces take", _as_is),
    "order_up_to_units": ("Filled up to", _as_is),
    "already_units": ("Brought by another move", _unless(0)),
    "case_units": ("Units in a case", _as_is),
    "source_free_units": ("Free at the source", _limit),
    "room_units": ("Room at the target", _limit),
    "due_room_units": ("Room when it falls due", _due_room),
    "cost_cents": ("Costs", _money),
    "urgent": ("Urgent", _if_so("no reserve bin has any")),
    "bins": ("Bins", _as_is),
    "eye": ("Looked at by", _eye),
    "errors_per_h": ("Errors found in an hour, expected", _as_is),
    "minutes_per_error": ("Minutes of a person for an error", _as_is),
    "wrong_shares": ("Books wrong with", _as_is),
    "finds_shares": ("Share of those that the look shows", _as_is),
    "count_seconds": ("Seconds at each bin", _as_is),
    "walk_s": ("Start and way", _seconds),
    "refused": ("Not chosen", _as_is),
    "doubtful_bins": ("Bins in doubt", _unless(0)),
    "never_seen_bins": ("Bins never seen", _unless(0)),
    "oldest_unseen_s": ("Longest unseen", _seconds),
    "eligible_bins": ("Bins that can be counted", _as_is),
    "count_bins_max": ("Bins in a round, at most", _as_is),
    "count_every_s": ("A round every", _seconds),
    "least_sure": ("The least sure book is right with", _share),
    "counted_units": ("Counted", _as_is),
    "book_units": ("The book had", _as_is),
    "under_way_units": ("Being adjusted already", _unless(0)),
    "apart_units": ("The ledger had more than its edge", _unless(0)),
    "count_sure": ("The count is right with", _share),
    "value_cents": ("Worth", _money),
    "counted_by": ("Counted by", _as_is),
    "may_count": ("Policy", _unless_so("leaves it to a planner: not counted by the role count")),
}  # fmt: skip
