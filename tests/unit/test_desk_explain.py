"""What a planner reads behind "Why?": the sum, and numbers with labels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from central.desk.explain import LABELS, figures, sums
from central.replenish.planner import plan, recompute
from tests.planning import BINS, PEN, at, bin_row, site, snapshot

TRANSFER: dict[str, Any] = {
    "zone": "B", "on_hand_units": 68, "inbound_units": 60, "reserved_units": 4,
    "backordered_units": 2, "position_units": 122, "mean_units_per_day": 24.441,
    "sd_units_per_day": 12.108, "forecast_days": 56, "forecast_method": "ses", "surge": 0,
    "cover_d": 8.0, "cover_demand_units": 192.6, "zones_sharing": 1, "faces_up_to_units": 106,
    "reorder_point_units": 202, "order_up_to_units": 299, "already_units": 0, "room_units": 202,
    "source_free_units": 144, "case_units": 12, "due_room_units": 202, "units": 144,
}  # fmt: skip


def shown(numbers: Mapping[str, Any]) -> dict[str, str]:
    return {figure.label: figure.text for figure in figures(numbers)}


def test_the_sum_leads_from_what_is_there_to_the_units() -> None:
    assert sums(TRANSFER, source="A-03-11-1", target="B-03-13-2") == [
        "68 there + 60 coming - 4 promised - 2 owed = 122",
        "122 is at or below 202, where stock is brought",
        "up to 299 - 122 = 177 wanted",
        "180 in whole cases of 12, only 144 free at A-03-11-1, so 144",
    ]


def test_the_sum_says_what_other_moves_bring_and_where_the_room_ends() -> None:
    numbers = TRANSFER | {
        "position_units": -3, "already_units": 24, "room_units": 60, "source_free_units": 900,
        "units": 60,
    }  # fmt: skip
    assert sums(numbers, source="A-1", target="B-1")[2:] == [
        "up to 299 + 3 - 24 of another move = 278 wanted",
        "288 in whole cases of 12, only 60 fit into B-1, so 60",
    ]


def test_the_sum_says_where_a_whole_case_does_not_go() -> None:
    numbers = TRANSFER | {"source_free_units": 5, "units": 5}
    assert sums(numbers, source="A-1", target="B-1")[3] == (
        "no whole case of 12 goes, so single units, only 5 free at A-1, so 5"
    )


def test_numbers_that_do_not_add_up_make_no_sum() -> None:
    assert sums({"bins": "A-1 A-2", "units": 2}, source="", target="") == []
    assert sums(TRANSFER | {"position_units": "12"}, source="", target="") == []


def test_labels_are_plain_and_zeros_that_say_nothing_are_hidden() -> None:
    found = shown(TRANSFER)
    assert found["Sold per day"] == "24.4 ± 12.1 units"
    assert found["Forecast by"] == "exponential smoothing, 56 days of sales"
    assert found["Shall last another"] == "8 d"
    assert list(found)[:3] == ["Zone", "Sold per day", "Forecast by"]
    assert not {"Today", "Zones that share the demand", "Room when it falls due"} & set(found)
    assert not [label for label in found if "_" in label or "units," in label]
    assert shown(TRANSFER | {"surge": 1})["Today"] == "sells far more than forecast"
    assert shown(TRANSFER | {"zones_sharing": 2})["Zones that share the demand"] == "2"
    assert shown(TRANSFER | {"due_room_units": 5})["Room when it falls due"] == "5"


def test_what_is_not_known_here_is_shown_by_its_name() -> None:
    assert shown({"moon_phase": 0.25, "unreadable": "12 units", "list": [1]}) == {
        "moon phase": "0.25", "unreadable": "12 units", "list": "[1]",
    }  # fmt: skip
    odd = dict.fromkeys(LABELS, "?")
    assert shown(odd)["Position"] == "?"


def test_every_number_of_a_plan_has_a_label_and_its_sum_ends_in_its_units() -> None:
    bins = (*BINS, bin_row("B-13", "pick", PEN, 48))
    found = plan(
        snapshot(
            site=site(bins), balances=at({"B-11": 1, "A-02": 20}), backordered={PEN: 2},
            last_count_round_ns=0,
        )
    )  # fmt: skip
    assert {p.kind for p in found.proposals} == {"refill", "transfer", "buy", "count"}
    for p in found.proposals:
        plain = {label.replace("_", " ") for label in p.numbers} - {"bins", "zone"}
        assert not plain & set(shown(p.numbers))
        lines = sums(p.numbers, source="source", target="target")
        assert (
            lines == [] if p.kind == "count" else lines[-1].endswith(f"so {recompute(p.numbers)}")
        )


def test_the_desk_starts_without_the_planners_kernels() -> None:
    code = "import sys, central.desk.service; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
