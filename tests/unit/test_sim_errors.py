"""What people do wrong: what it does to the stock, and that the list of incidents explains it."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from sim_hardware.config import SimErrors
from sim_hardware.world.accuracy import accuracy_of
from sim_hardware.world.errors import RATES
from tests.sim_floor import Bench, Reader, make_bench
from wire.ids import bin_of
from wire.messages import PersonTask

SURE = 1.0


@dataclass
class Books:
    """Believes every scan that got a good beep, as an edge does: stock moves as the tasks say."""

    bench: Bench
    tasks: dict[str, list[PersonTask]]
    refuses: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.units: Counter[tuple[str, str]] = Counter()
        for row in self.bench.site.opening:
            self.units[f"bin:{row.bin_id}", row.gtin] += row.units
        self._mode: dict[str, str] = {}
        self._held: dict[str, tuple[str, int]] = {}
        for person, tasks in self.tasks.items():
            self.bench.give_tasks(person, *tasks)
        self.reader = Reader(self.bench, self._answer)

    def _answer(self, device: str, text: str) -> str | None:
        if "SH-" in text:
            command = text.partition("SH-")[2]
            if command != "CANCEL":  # which forgets the half step; the mode stays
                self._mode[device] = command
            self._held.pop(device, None)
            return None
        if self.refuses and self.refuses.pop():
            return "no: not now"
        if text.startswith("]E0"):
            self._article(device, f"0{text[3:]}", 1)
        elif text.startswith("]C101"):
            self._article(device, text[5:19], int(text[21:]))
        elif device in self._held:
            gtin, units = self._held.pop(device)
            self._book(device, gtin, units, "putaway")
        return None

    def _article(self, device: str, gtin: str, units: int) -> None:
        mode = self._mode.get(device, "")
        if mode == "PUTAWAY":
            self._held[device] = (gtin, units)
        elif mode in {"PICK", "RECEIVE"}:
            self._book(device, gtin, units, mode.lower())

    def _book(self, device: str, gtin: str, units: int, kind: str) -> None:
        person = device.removeprefix("scanner-")
        [task] = [t for t in self.tasks[person] if (t.gtin, t.kind) == (gtin, kind)]
        self.units[task.from_place, gtin] -= units
        self.units[task.to_place, gtin] += units

    def rows(self) -> list[tuple[str, str, int]]:
        return [(place, gtin, units) for (place, gtin), units in self.units.items()]


def face(bench: Bench, number: int) -> tuple[str, str, int]:
    """Return (bin, GTIN, units) of a well filled pick face."""
    bins = bench.site.bins
    rows = [r for r in bench.site.opening if bins[r.bin_id].kind == "pick" and r.units > 20]
    row = rows[number]
    return row.bin_id, row.gtin, row.units


def pick(bench: Bench, number: int, units: int) -> PersonTask:
    bin_id, gtin, _ = face(bench, number)
    return PersonTask(task_id=f"T{number}", kind="pick", gtin=gtin, units=units,
                      from_place=f"bin:{bin_id}", to_place=f"tote:O{number}")  # fmt: skip


def putaway(bench: Bench, units: int) -> PersonTask:
    gtin = bench.site.opening[0].gtin
    bench.floor.world.stock.arrive("bin:DOCK-1", gtin, units)
    return PersonTask(task_id="P1", kind="putaway", gtin=gtin, units=units,
                      from_place="bin:DOCK-1", to_place="bin:A-01-01-1")  # fmt: skip


def test_without_rates_nobody_errs(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    books = Books(bench, {"p3": [pick(bench, 0, 3)]})
    bench.runtime.run_for(30)
    truth = bench.floor.truth(books.rows())
    assert truth.incidents == []
    assert truth.accuracy is not None
    assert truth.accuracy.bins_true == truth.accuracy.bins
    assert truth.accuracy.unit_share == 1.0


def test_misplaced_goods_stand_beside_the_bin_that_was_scanned(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, errors=(SimErrors(misplace=SURE),))
    task = putaway(bench, 12)
    before = bench.units(task.to_place, task.gtin)
    books = Books(bench, {"p1": [task]})
    books.units["bin:DOCK-1", task.gtin] += 12
    bench.runtime.run_for(30)
    [incident] = bench.floor.truth().incidents
    beside = bench.floor.world.neighbours("A-01-01-1")[0].bin_id
    assert (incident.kind, incident.person_id, incident.units) == ("misplaced", "p1", 12)
    assert bench.units(task.to_place, task.gtin) == before
    assert beside in incident.text
    assert dict(bench.floor.world.incidents.effects) == {
        (f"bin:{beside}", task.gtin): 12,
        (task.to_place, task.gtin): -12,
    }


def test_a_wrong_pick_takes_the_neighbours_article_along(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, errors=(SimErrors(persons=("p3",), wrong_pick=SURE),))
    task = pick(bench, 0, 2)
    Books(bench, {"p3": [task]})
    bench.runtime.run_for(40)
    [incident] = bench.floor.truth().incidents
    wrong = next(e for e in incident.effects if e.gtin != task.gtin and e.units < 0)
    assert incident.kind == "wrong-pick"
    assert bench.units(task.from_place, task.gtin) == face(bench, 0)[2]
    assert bench.units(task.to_place, task.gtin) == 0
    assert bench.units(task.to_place, wrong.gtin) == -wrong.units == incident.units
    other = bin_of(wrong.place)
    assert other in {row.bin_id for row in bench.floor.world.neighbours(face(bench, 0)[0])}


def test_who_miscounts_takes_one_more_or_less_than_is_scanned(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, errors=(SimErrors(miscount=SURE),))
    task = pick(bench, 0, 5)
    books = Books(bench, {"p3": [task]})
    bench.runtime.run_for(40)
    left = bench.units(task.from_place, task.gtin)
    assert abs(left - books.units[task.from_place, task.gtin]) == 1
    [incident] = bench.floor.truth().incidents
    assert incident.kind == "miscounted"


def test_a_false_count_moves_nothing_and_is_on_the_list(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, errors=(SimErrors(miscount=SURE),))
    bin_id, gtin, units = face(bench, 0)
    task = PersonTask(task_id="C1", kind="count", gtin=gtin, units=0,
                      from_place=f"bin:{bin_id}", to_place=f"bin:{bin_id}")  # fmt: skip
    books = Books(bench, {"p3": [task]})
    bench.runtime.run_for(30)
    [incident] = bench.floor.truth().incidents
    said = units + incident.units
    assert incident.kind == "false-count"
    assert abs(incident.units) == 1
    assert any(text.endswith(f"30{said}") for _, text in books.reader.scans)
    assert bench.units(f"bin:{bin_id}", gtin) == units
    assert bench.floor.world.incidents.about(f"bin:{bin_id}", gtin) == [incident]


def test_a_forgotten_scan_is_a_move_that_no_book_knows(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, errors=(SimErrors(forget_scan=SURE),))
    task = pick(bench, 0, 3)
    books = Books(bench, {"p3": [task]})
    bench.runtime.run_for(5)
    kinds = [row.kind for row in bench.floor.truth().incidents]
    assert set(kinds) == {"unscanned"}
    assert books.units[task.from_place, task.gtin] == face(bench, 0)[2]
    assert bench.units(task.from_place, task.gtin) == face(bench, 0)[2] - 3 * len(kinds)


def test_stolen_units_are_gone_from_the_bin_and_nowhere_else(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    bench.floor.people["p3"].errors.steal = SURE
    task = pick(bench, 0, 3)
    Books(bench, {"p3": [task]})
    bench.runtime.run_for(40)
    [incident] = bench.floor.truth().incidents
    assert (incident.kind, incident.bin_id) == ("stolen", face(bench, 0)[0])
    assert bench.units("stolen:p3", task.gtin) == incident.units in {1, 2}
    assert bench.floor.truth().units_missing == {}


def test_a_wrong_pallet_is_received_by_who_trusts_the_paper(tmp_path: Path) -> None:
    bench = make_bench(tmp_path, errors=(SimErrors(trust_paper=SURE),))
    asked, came = (row.gtin for row in list(bench.site.articles.values())[:2])
    bench.floor.world.stock.arrive("supplier:S1", came, 24)
    task = PersonTask(task_id="R1", kind="receive", gtin=asked, units=24,
                      from_place="supplier:S1", to_place="bin:DOCK-1")  # fmt: skip
    books = Books(bench, {"p1": [task]})
    bench.runtime.run_for(30)
    assert books.units["bin:DOCK-1", asked] == 24
    assert bench.units("bin:DOCK-1", came) == 24
    accuracy = bench.floor.truth(books.rows()).accuracy
    assert accuracy is not None
    assert accuracy.differences == tuple(
        sorted([("bin:DOCK-1", asked, -24), ("bin:DOCK-1", came, 24)])
    )


def test_who_is_away_does_nothing_until_they_are_back(tmp_path: Path) -> None:
    bench = make_bench(tmp_path)
    person = bench.floor.people["p3"]
    person.send_away(400.0)
    books = Books(bench, {"p3": [pick(bench, 0, 1)]})
    bench.runtime.run_for(90)
    assert person.tasks_done["pick"] == 0
    bench.runtime.run_for(40)
    assert person.tasks_done["pick"] == 1
    person.send_away(1e6)
    books.tasks["p3"] = [pick(bench, 1, 1)]
    bench.give_tasks("p3", *books.tasks["p3"])
    bench.runtime.run_for(30)
    assert person.tasks_done["pick"] == 1
    person.call_back()
    bench.runtime.run_for(30)
    assert person.tasks_done["pick"] == 2


def test_accuracy_counts_bins_articles_and_units() -> None:
    truth = [("bin:A", "1", 10), ("bin:A", "2", 5), ("bin:B", "1", 4), ("robot:r", "1", 9)]
    books = [("bin:A", "1", 10), ("bin:A", "2", 3), ("bin:C", "1", 1)]
    found = accuracy_of(books, truth, ["A", "B", "C", "D"], leave_out=["C"])
    assert (found.bins, found.bins_true) == (3, 1)
    assert (found.pairs, found.pairs_true) == (3, 1)
    assert (found.units, found.units_off) == (19, 6)
    assert found.differences == (("bin:A", "2", 2), ("bin:B", "1", 4))
    assert found.bin_share == pytest.approx(1 / 3)
    assert accuracy_of([], [], []).unit_share == 1.0


rates = st.fixed_dictionaries({name: st.sampled_from([0.0, 0.3, 1.0]) for name in RATES})


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.generate))
@given(rates, st.lists(st.booleans(), max_size=20), st.integers(1, 9), st.integers(0, 3))
@example(
    dict.fromkeys(RATES, 0.0)
    | {"steal": 0.3, "forget_scan": 0.3, "miscount": 1.0, "wrong_pick": 1.0, "pause": 0.3},
    [True, False, False, True, False, False, False, False, True], 8, 0,
)  # fmt: skip
def test_what_is_there_is_what_was_scanned_and_what_the_incidents_say(
    given: dict[str, float], refuses: list[bool], units: int, seed: int
) -> None:
    """Nothing comes from nowhere, and no difference is without its incidents."""
    errors = msgspec.convert({**given, "pause_s": 5.0}, SimErrors)
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench(Path(folder), seed=seed, errors=(errors,))
        gtin = bench.site.opening[0].gtin
        bench.floor.world.stock.arrive("supplier:S1", gtin, 24)
        receive = PersonTask(task_id="R1", kind="receive", gtin=gtin, units=24,
                             from_place="supplier:S1", to_place="bin:DOCK-1")  # fmt: skip
        store = putaway(bench, 6)
        tasks = {
            "p1": [receive],
            "p2": [store],
            **{f"p{3 + n}": [pick(bench, n, units)] for n in range(4)},
        }
        books = Books(bench, tasks, refuses)
        books.units["bin:DOCK-1", store.gtin] += 6
        bench.runtime.run_for(60)
        bench.floor.freeze()
        bench.runtime.run_for(1)
        truth = bench.floor.truth(books.rows())
        assert truth.units_missing == {}
        assert all(units > 0 for _, _, units in truth.stock)
        assert truth.accuracy is not None
        effects = {
            pair: off for pair, off in bench.floor.world.incidents.effects.items()
            if off and bin_of(pair[0]) and bin_of(pair[0]) not in truth.in_flight_bins
        }  # fmt: skip
        differences = {(p, g): off for p, g, off in truth.accuracy.differences}
        assert differences == effects
        explained = bench.floor.world.incidents.explain(differences)
        assert all(explained.values())
        assert explained.keys() == differences.keys()
