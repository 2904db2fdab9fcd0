"""The registry of faults: what there is, how a value is written, what is refused and how."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim_hardware.config import SimCamera
from sim_hardware.faults.kinds import KINDS, FaultError, check_fault
from sim_hardware.faults.model import FaultKind
from sim_hardware.faults.targets import NAMES
from tests.fault_stage import Faulty, make_stage

CAMERAS = (
    SimCamera(camera_id="camera-1", url="mem://1", bins=("A-01-01-1",)),
    SimCamera(camera_id="camera-2", level="sighting", bins=("A-01-01-1",)),
)


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    faulty = make_stage(tmp_path, cameras=CAMERAS)
    faulty.bench.floor.hire_planner(list)
    return faulty


def names(faulty: Faulty, kind: FaultKind) -> tuple[str, ...]:
    return NAMES[kind.target](faulty.bench.site, faulty.bench.floor.config)


def refused(faulty: Faulty, kind: str, target: str, **values: str | float) -> str:
    with pytest.raises(FaultError) as error:
        check_fault(kind, target, values, faulty.bench.site, faulty.bench.floor.config)
    return str(error.value)


def test_there_are_many_kinds_in_each_group() -> None:
    assert len(KINDS) >= 40
    groups = [kind.group for kind in KINDS.values()]
    assert {group: groups.count(group) >= 5 for group in set(groups)} == {
        "wire": True, "world": True, "process": True,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_says_what_it_does_and_reads_its_defaults(kind: FaultKind) -> None:
    assert kind.target in NAMES
    assert kind.name == kind.name.lower().replace(" ", "-")
    assert len(kind.text) > 10
    assert not kind.text.endswith(".")
    read = kind.read({})
    assert set(read.given) == set(kind.parameters)
    for name, parameter in kind.parameters.items():
        assert parameter.text
        assert kind.read({name: parameter.default}).given[name] == parameter.default


@pytest.mark.parametrize("name", [k.name for k in KINDS.values() if k.group != "process"])
def test_every_fault_of_the_floor_begins_and_ends_twice_over(faulty: Faulty, name: str) -> None:
    target = names(faulty, KINDS[name])[0]
    ends = [faulty.begin(name, target), faulty.begin(name, target)]
    faulty.run(3)
    ends[0]()
    faulty.run(1)
    ends[1]()
    ends[1]()
    faulty.run(3)
    assert faulty.bench.floor.truth().units_missing == {}


@pytest.mark.parametrize(
    ("written", "seconds"), [("3 s", 3.0), ("250 ms", 0.25), ("0.1 min", 6.0), ("2", 2.0), (4, 4.0)]
)
def test_a_time_is_written_in_words_or_as_a_number(written: str | float, seconds: float) -> None:
    assert KINDS["serial-delay"].read({"delay": written}).number("delay") == seconds


def test_a_share_is_written_in_percent_or_as_a_number() -> None:
    kind = KINDS["serial-drop"]
    assert kind.read({"share": "5 %"}).number("share") == pytest.approx(0.05)
    assert kind.read({"share": "0.2"}).number("share") == 0.2


def test_an_unknown_kind_is_refused_with_the_nearest_one(faulty: Faulty) -> None:
    text = refused(faulty, "serial-stal", "scanner-p1")
    assert text.startswith("fault 'serial-stal': there is no such kind; did you mean serial-stall?")


def test_an_unknown_target_is_refused_with_what_there_is(faulty: Faulty) -> None:
    assert refused(faulty, "serial-stall", "scanner-p9") == (
        "FAULT serial-stall scanner-p9: expected a serial device of this site;"
        " did you mean FAULT serial-stall scanner-p4? There is: scanner-p1, scanner-p2, scanner-p3,"
        " scanner-p4, drone-1"
    )
    assert refused(faulty, "cloudburst", "") == (
        "FAULT cloudburst: what it happens to is missing; write: FAULT cloudburst site"
    )
    assert refused(faulty, "kill-central", "central-1").endswith(
        "; did you mean FAULT kill-central central? There is: central"
    )
    assert "expected an mqtt device" in refused(faulty, "link-lost", "scanner-p1")
    assert "expected a robot" in refused(faulty, "robot-lost", "scanner-p5")


def test_wrong_values_are_refused_with_what_is_expected(faulty: Faulty) -> None:
    at = ("serial-delay", "scanner-p1")
    assert refused(faulty, *at, dely=1) == (
        "serial-delay has no value 'dely'; did you mean delay? Expected delay, direction"
    )
    assert refused(faulty, *at, delay="3 m") == (
        "delay=3 m: expected a number, then one of: nothing, s, ms, min, h, d"
    )
    assert refused(faulty, *at, delay="2 h") == "delay=2 h: expected 0 s to 10 s"
    assert refused(faulty, "serial-drop", "scanner-p1", share="5") == (
        "share=5: expected 0 to 1, or 0 % to 100 %; for 5 % write share=5 %"
    )
    assert refused(faulty, *at, direction="up") == (
        "direction=up: expected both or from-device or to-device"
    )
    assert "expected an article of this site" in refused(
        faulty, "wrong-pallet", next(iter(faulty.bench.site.articles)), instead="00000000000000"
    )


def test_a_fault_that_cannot_be_here_begins_nothing(faulty: Faulty) -> None:
    with pytest.raises(FaultError, match="no process runs here"):
        faulty.begin("kill-central", "central")
