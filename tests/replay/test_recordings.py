"""What was recorded is replayed to the same counts: in memory, on terminals, after kill -9."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from runtime.config import to_toml
from runtime.recording import Opened, Recording, RecordingError
from sim_hardware.plant import Mode
from sim_hardware.scenarios.text import parse_scenario
from stockhelm.cli import app
from stockhelm.sim_live import run_live
from stockhelm.sim_replay import ReplayReport, replay
from stockhelm.sim_run import RunOptions, run_virtual
from tests.edge_world import MUG, PEN, article_label, bin_label, command_label, task
from tests.recorded_edge import RecordedEdge

PICK = (command_label("PICK"), bin_label("A-01"), article_label(MUG, 2))
SENSIBLE = (
    PICK,
    (command_label("PICK"), bin_label("A-02"), article_label(PEN, 1), command_label("UNDO")),
    (command_label("RECEIVE"), bin_label("DOCK-1"), article_label(MUG, 3)),
    (command_label("PUTAWAY"), bin_label("DOCK-1"), article_label(MUG, 2), bin_label("A-03")),
)
LABELS = (
    *(command_label(name) for name in ("RECEIVE", "PUTAWAY", "PICK", "COUNT", "UNDO", "CANCEL")),
    *(bin_label(name) for name in ("DOCK-1", "A-01", "A-02", "A-03")),
    *(article_label(gtin, units) for gtin in (MUG, PEN) for units in (1, 2, 50)),
)
TASKS = (
    task("pick", 9, task_id="K1"),
    task("pick", 4, task_id="K2", gtin=PEN, from_place="bin:A-02", to_place="tote:O2"),
    task("receive", 12, task_id="R1", from_place="supplier:S1", to_place="bin:DOCK-1"),
    task("putaway", 8, task_id="U1", from_place="bin:DOCK-1", to_place="bin:A-03"),
)
SCENARIO = """
SCENARIO A morning that is recorded
SITE demo skus=8 robots=2 orders=200
DAY 6 min
SPEED 4
RUN 32 s
AT 0:15 SCAN scanner-guest CARD COUNT
AT 0:18 FAULT kill-edge edge A FOR 4 s
AT 0:20 FAULT unplug scanner-3 FOR 5 s
AT 0:24 FAULT kill-central central FOR 4 s
AT 0:29 DO approve all
EXPECT books are true
"""


@pytest.fixture
def edge(tmp_path: Path) -> RecordedEdge:
    found = RecordedEdge(tmp_path / "edge", tmp_path / "records")
    found.central.tell_tasks(*TASKS)
    found.run()
    return found


def pick(edge: RecordedEdge) -> None:
    for text in PICK:
        edge.scanner.scan(text)
        edge.run(0.2)


def test_an_edge_comes_to_the_same_counts(edge: RecordedEdge) -> None:
    pick(edge)
    edge.send(b"]C191SH-PICK\r\n")
    edge.run(0.1)
    edge.end()
    report = replay(edge.records)
    (found,) = report.processes
    assert report.ok
    assert (found.has_end, found.compared_with) == (True, "the end of the recording")
    assert (found.counts, found.differences, found.notes) == (5, [], [])
    assert found.messages >= 4
    assert found.line_bytes == 14


@pytest.mark.parametrize("mode", ["mem", "pty"])
def test_lives_that_ended_by_kill_are_compared_with_what_they_left(
    edge: RecordedEdge, mode: Mode
) -> None:
    pick(edge)
    edge.unplug()
    edge.run(1.0)
    edge.kill()
    edge.plug()
    edge.start()
    edge.send(b"half a li")
    pick(edge)
    edge.kill()
    there = sorted(edge.records.iterdir())
    report = replay(edge.records, mode=mode)
    assert report.ok
    assert sorted(edge.records.iterdir()) == there, "a replay only reads"
    assert {file.stat().st_mode & 0o007 for file in there} == {0}
    assert [one.has_end for one in report.processes] == [False, False]
    assert report.processes[0].compared_with.startswith("edge-A-002.db")
    assert report.processes[1].compared_with.endswith("data/edge.db")


def test_what_was_handed_to_a_killed_process_and_not_written_is_set_aside(
    edge: RecordedEdge,
) -> None:
    pick(edge)
    # The machine dies with the power: what its disk keeps is an older moment than what was handed.
    store = edge.agent.store
    last = store.last_seq
    with store.db.atomic():
        store.db.execute("DELETE FROM journal WHERE seq = ?", (last,))
        store.db.execute("UPDATE counts SET units = units + 2 WHERE place = 'bin:A-01'")
        store.db.execute("UPDATE counts SET units = units - 2 WHERE place = 'tote:O1'")
    edge.kill()
    (found,) = replay(edge.records).processes
    assert (found.outcome, found.in_flight) == ("equal", 1)


def test_a_difference_is_found_named_and_ends_with_code_1(edge: RecordedEdge) -> None:
    pick(edge)
    edge.agent.store.db.execute("UPDATE counts SET units = units + 1 WHERE place = 'bin:A-01'")
    edge.end()
    out = edge.records / "report.json"
    done = CliRunner().invoke(
        app, ["sim", "replay", str(edge.records), "--report", str(out)], terminal_width=200
    )
    assert done.exit_code == 1, done.output
    assert "1 count differs, of 5 counts against the end of the recording" in done.output
    assert "1 recording, mode mem: NOT equal: 1 differs" in done.output
    (found,) = msgspec.json.decode(out.read_bytes(), type=ReplayReport).processes
    (row,) = found.differences
    assert (row.place, row.gtin) == ("bin:A-01", MUG)
    assert row.recorded_units == row.replayed_units + 1


def test_a_torn_recording_is_replayed_up_to_where_it_tore(edge: RecordedEdge) -> None:
    pick(edge)
    edge.kill()
    (path,) = edge.records.glob("*.rec")
    path.write_bytes(path.read_bytes() + b"\x40\x00\x00\x00torn")
    (found,) = replay(edge.records).processes
    assert found.outcome == "equal"
    assert f"offset {path.stat().st_size - 8}: expected a frame of 64 bytes" in found.torn


def test_a_recording_stands_alone(edge: RecordedEdge, tmp_path: Path) -> None:
    pick(edge)
    edge.end()
    elsewhere = tmp_path / "elsewhere"
    edge.records.rename(elsewhere)
    (tmp_path / "edge").rename(tmp_path / "gone")
    assert replay(elsewhere).ok


def test_a_killed_process_without_its_database_is_compared_with_nothing(
    edge: RecordedEdge, tmp_path: Path
) -> None:
    pick(edge)
    edge.kill()
    (tmp_path / "edge").rename(tmp_path / "gone")
    done = CliRunner().invoke(app, ["sim", "replay", str(edge.records)], terminal_width=200)
    assert done.exit_code == 1
    assert "not compared: its recording has no end, and its database is not here" in done.output
    assert "1 recording, mode mem: 1 not compared" in done.output
    assert "NOT equal" not in done.output
    assert "killed" not in done.output


def test_no_password_comes_into_a_recording(tmp_path: Path) -> None:
    edge = RecordedEdge(tmp_path / "edge", tmp_path / "records")
    edge.kill()
    broker = msgspec.structs.replace(edge.config.broker, username="shop", password="open sesame")
    edge.config = msgspec.structs.replace(edge.config, broker=broker)
    edge.start()
    edge.end()
    assert b"open sesame" in to_toml(edge.config).encode()
    for path in edge.records.iterdir():
        assert b"open sesame" not in path.read_bytes()
    header = Recording(tmp_path / "records" / "edge-A-002.rec").header
    assert 'username = "shop"' in header.config


def test_lines_open_with_the_success_that_they_had(edge: RecordedEdge) -> None:
    edge.unplug()
    edge.run(3.0)
    edge.plug()
    edge.run(6.0)
    edge.send(b"]C191SH-COUNT\r\n")
    edge.run()
    edge.end()
    (recording,) = (Recording(path) for path in edge.records.glob("*.rec"))
    opened = [bool(r.reason) for _, r in recording.records() if isinstance(r, Opened)]
    assert opened[0] is False
    assert opened[-1] is False
    assert True in opened
    (found,) = replay(edge.records).processes
    assert found.outcome == "equal"
    assert found.notes == []


@pytest.mark.parametrize("what", ["absent", "empty"])
def test_where_there_is_no_recording_nothing_is_replayed(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "given"
    if what != "absent":
        folder.mkdir()
    says = {
        "absent": "given: expected a folder with recordings",
        "empty": r"expected recordings \(\*\.rec\)",
    }[what]
    with pytest.raises(RecordingError, match=says):
        replay(folder)
    done = CliRunner().invoke(app, ["sim", "replay", str(folder)])
    assert done.exit_code == 2
    assert "expected" in done.output


def test_what_cannot_be_replayed_is_said_and_does_not_stop_the_others(edge: RecordedEdge) -> None:
    (edge.records / "a.rec").write_bytes(b"PK\x03\x04 something else altogether")
    edge.kill()
    edge.start()
    edge.kill()
    (edge.records / "edge-A-002.db").unlink()
    edge.start()
    pick(edge)
    edge.end()
    done = CliRunner().invoke(app, ["sim", "replay", str(edge.records)], terminal_width=300)
    assert done.exit_code == 2
    lines = done.output.splitlines()
    assert lines[0].startswith("a.rec: not replayed: offset 0: expected ")
    assert lines[1].startswith("edge-A-001.rec: not compared: its recording has no end")
    assert lines[2].startswith("edge-A-002.rec: not replayed: expected beside it edge-A-002.db")
    assert lines[3].startswith("edge-A-003.rec: equal: 5 counts against the end")
    assert lines[4] == "4 recordings, mode mem: 2 not replayed, 1 not compared, 1 equal"


def test_a_process_that_crashes_in_its_replay_is_told_with_the_place(
    edge: RecordedEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    pick(edge)
    edge.end()

    def fall(*_: object) -> None:
        raise RuntimeError("a stage fell over")

    monkeypatch.setattr("edge.counting.store.EdgeStore.transaction", fall)
    done = CliRunner().invoke(app, ["sim", "replay", str(edge.records)], terminal_width=300)
    assert done.exit_code == 1
    assert "edge-A-001.rec: crashed: RuntimeError: a stage fell over (in " in done.output
    assert "test_recordings.py" in done.output


def test_a_person_may_stop_a_replay(edge: RecordedEdge, monkeypatch: pytest.MonkeyPatch) -> None:
    edge.end()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stockhelm.sim_replay.read_contents", stop)
    done = CliRunner().invoke(app, ["sim", "replay", str(edge.records)])
    assert (done.exit_code, done.output) == (130, "stopped by hand\n")


def test_a_whole_site_is_recorded_without_changing_it_and_replayed(tmp_path: Path) -> None:
    scenario = parse_scenario(SCENARIO, "a.scn")
    records = tmp_path / "records"
    told = run_virtual(scenario, tmp_path, RunOptions(seed=3, record=records))
    silent = run_virtual(scenario, tmp_path, RunOptions(seed=3))
    assert told.ok
    assert told.trace_digest == silent.trace_digest
    report = replay(records)
    assert report.ok, report
    assert [(one.name, one.life) for one in report.processes] == [
        ("central", 1), ("central", 2), ("edge-A", 1), ("edge-A", 2), ("edge-B", 1),
    ]  # fmt: skip


@settings(max_examples=12)
@given(seed=st.integers(0, 2**32))
def test_whatever_happens_to_an_edge_its_replay_counts_the_same(seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        edge = RecordedEdge(Path(name) / "edge", Path(name) / "records")
        happen(edge, Random(seed))
        edge.end()
        report = replay(edge.records)
        assert report.ok, report


def happen(edge: RecordedEdge, random: Random) -> None:
    """Let forty things happen, sensible and not, close together and far apart."""
    for person_id in ("P1", "P2"):
        edge.central.tell_tasks(*TASKS, person_id=person_id)
    for _ in range(40):
        (break_something if random.random() < 0.3 else work)(edge, random)
        edge.run(random.choice((0.0, 0.0, 0.01, 0.3, 2.0)))


def work(edge: RecordedEdge, random: Random) -> None:
    """Let somebody scan, or central tell something."""
    match random.randrange(6):
        case 0:
            for person_id in ("P1", "P2"):
                told = random.sample(TASKS, random.choice((0, 3, 3, 4)))
                edge.central.tell_tasks(*told, person_id=person_id)
        case 1:
            edge.record_move(random.randint(1, 3), expires_in_s=random.choice((-1, 60)))
        case 2 | 3:
            for text in random.choice(SENSIBLE):
                edge.send(text.encode() + b"\r\n")
        case _:
            for text in random.choice(SENSIBLE):
                edge.scanner.scan(text)
                edge.run(random.choice((0.0, 0.1)))


def break_something(edge: RecordedEdge, random: Random) -> None:
    """Let something go wrong."""
    match random.randrange(6):
        case 0:
            edge.kill()
            edge.run(random.random())
            edge.start()
        case 1:
            edge.unplug()
        case 2:
            edge.plug()
        case 3:
            edge.base.broker.fail()
            edge.run(random.random())
            edge.base.broker.recover()
        case 4:
            line = random.choice(LABELS).encode() + b"\r\n"
            edge.send(line[: random.choice((3, len(line)))])
        case _:
            edge.scanner.scan(random.choice(LABELS))


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_real_processes_that_were_killed_are_replayed_in_every_mode(tmp_path: Path) -> None:
    scenario = parse_scenario(SCENARIO, "a.scn")
    records = tmp_path / "records"
    run_live(scenario, tmp_path, RunOptions(mode="live", seed=3, record=records))
    modes: tuple[Mode, ...] = ("mem", "pty", "live")
    for mode in modes:
        report = replay(records, mode=mode, speed=4.0)
        assert report.ok, report
        lives = [(one.name, one.life) for one in report.processes]
        assert {("edge-A", 1), ("edge-A", 2), ("central", 2)} <= set(lives)
