"""What the simulator's commands say and leave where a file, a disk or a name is in their way."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sim_hardware.scenarios.text import parse_scenario
from sim_hardware.world.warehouse.files import WRITERS
from stockhelm.cli import app
from stockhelm.sim_library import read_scenario
from stockhelm.sim_run import RunOptions, run_virtual

FULL = Path("/dev/full")
"""A device that refuses every byte: no space left."""
SHORT = "SCENARIO Short\nSITE demo skus=2 robots=1 orders=20\nRUN 2 s\nEXPECT books are true\n"


def sim(*words: str) -> Result:
    return CliRunner().invoke(app, ["sim", *words], env={"COLUMNS": "300"})


def said(done: Result) -> str:
    """Return what a command that could not be done said; it says so without a traceback."""
    assert done.exit_code == 2, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.output


@pytest.fixture
def short(tmp_path: Path) -> Path:
    path = tmp_path / "short.scn"
    path.write_text(SHORT)
    return path


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generated") / "site"
    assert sim("generate", str(folder), "--bins", "50").exit_code == 0
    return folder


@pytest.fixture
def site(generated: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    for path in generated.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (tmp_path / "there.scn").write_text("SCENARIO There\nSITE folder site\nRUN 2 s\n")
    return folder


# --- files that are written -----------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--report", "--trace"])
def test_a_full_disk_ends_a_run_with_the_file_that_had_no_room(short: Path, option: str) -> None:
    found = said(sim("run", str(short), option, str(FULL)))
    assert f"{option} {FULL}: No space left on device: make room, or name another place" in found


def test_no_file_is_made_or_emptied_by_a_run_that_cannot_be(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.scn"
    wrong.write_text(SHORT.replace("EXPECT", "AT 0:01 SCAN scanner-9 BIN A-01-01-1\nEXPECT"))
    kept, new = tmp_path / "kept", tmp_path / "new"
    kept.write_text("of yesterday")
    assert "scanner-9" in said(sim("run", str(wrong), "--trace", str(kept), "--report", str(new)))
    assert kept.read_text() == "of yesterday"
    assert not new.exists()


def test_a_run_does_not_write_over_its_scenario_nor_two_files_into_one(short: Path) -> None:
    assert "name another file" in said(sim("run", str(short), "--report", str(short)))
    both = str(short.with_name("both"))
    assert "file of --report" in said(sim("run", str(short), "--report", both, "--trace", both))
    assert short.read_text() == SHORT
    assert not Path(both).exists()


def test_two_runs_do_not_mix_their_lines_in_one_trace(short: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with trace.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another run writes it" in said(sim("run", str(short), "--trace", str(trace)))
    assert sim("run", str(short), "--trace", str(trace)).exit_code == 0
    assert b"central's database is open" in trace.read_bytes()


def test_the_folder_of_a_run_does_not_stand_in_its_trace(short: Path, tmp_path: Path) -> None:
    scenario = read_scenario(short)
    traces = []
    for name in ("plain", "größe 5 % ☃"):
        trace = tmp_path / f"{name}.trace"
        options = RunOptions(directory=tmp_path / name, trace=trace)
        report = run_virtual(scenario, tmp_path, options)
        traces.append((trace.read_bytes(), report.trace_digest))
    assert traces[0] == traces[1]


# --- what is read ---------------------------------------------------------------------------------


def test_names_that_no_file_can_have_are_refused_one_by_one(short: Path) -> None:
    found = said(sim("check", "a" * 5_000, str(short)))
    assert "File name too long" in found
    assert "nothing wrong" in found


def test_a_file_of_another_editor_is_read_and_a_huge_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "theirs.scn"
    path.write_bytes(b"\xef\xbb\xbf" + SHORT.replace("\n", "\r\n").encode())
    assert sim("check", str(path)).exit_code == 0
    path.write_text(SHORT, encoding="utf-16")
    assert "expected a file saved as UTF-8" in said(sim("check", str(path)))
    with path.open("wb") as file:
        file.truncate(10 * 1024**3)  # nothing of it is on the disk, and none of it is read
    assert "over 1,000,000 bytes" in said(sim("check", str(path)))


def test_a_separator_of_gs1_may_stand_in_quotes() -> None:
    scan = 'AT 0:01 SCAN scanner-guest RAW "]C110A\x1d21B"  # an\u2028other line for some\n'
    scenario = parse_scenario(SHORT.replace("EXPECT", scan + "EXPECT"), "x")
    assert "10A\x1d21B" in repr(scenario.steps[0].action).encode().decode("unicode_escape")
    assert scenario.steps[1].line == 5


def test_what_came_is_said_as_it_came_and_not_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "odd.scn"
    path.write_text(SHORT + ":x: here\nAT 0:01 DO " + "a " * 300_000 + "\n")
    found = said(sim("check", str(path)))
    assert ':5: unknown word ":x:"' in found
    assert ":6: over 4,000 characters" in found
    assert len(found) < 10_000


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("AT \u0660:\u0660\u0661 DO approve all", "expected a time"),
        ("AT 0:99 DO approve all", "expected a time"),
        ("AT 0:01 DO order SKU-01 x0", "expected 1 to 1,000,000 units"),
        ("AT 0:01 DO order SKU-01 x9999999999", "expected 1 to 1,000,000 units"),
        ("AT 0:01 SCAN scanner-guest ARTICLE SKU-01 x0", "expected x1 or more"),
        ("AT 0:01 DO order SKU-01 x-4", "expected a whole number from 1"),
        ("AT 0:01 FAULT theft A-01-01-1 units=1.5", "expected a whole number of units"),
        ("AT 0:01 FAULT label-swap A-01-01-1 with=A-01-01-1", "expected another bin"),
        ("WITH planner delay_s=2\nWITH planner delay_s=3", "stands in line 5 already"),
    ],
)
def test_a_line_that_would_do_other_than_it_says_is_refused(
    tmp_path: Path, line: str, text: str
) -> None:
    path = tmp_path / "odd.scn"
    path.write_text(f"{SHORT}{line}\n")
    assert text in said(sim("check", str(path)))


# --- folders of sites -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("people.csv", b"person_id,name,edge_id,roles\np1,An\xe9,A,pick\n", "cannot be read as"),
        ("history.csv", b"day,gtin,units\n1,y,1\n", "site/history.csv line 2: GTIN 'y'"),
        ("history.csv", b'day,gtin,units\n"' + b"x" * 200_000 + b'",1,1\n', "is no CSV"),
        ("bins.csv", b'bin_id\n"' + b"x" * 200_000 + b'"\n', "is no CSV"),
    ],
)
def test_a_file_of_a_site_that_cannot_be_read_has_its_name_said(
    site: Path, name: str, content: bytes, text: str
) -> None:
    (site / name).write_bytes(content)
    assert text in said(sim("check", str(site.with_name("there.scn"))))


def test_stock_behind_a_link_to_nowhere_is_not_left_out(site: Path) -> None:
    (site / "opening.csv").unlink()
    (site / "opening.csv").symlink_to("opening.csv")
    found = said(sim("run", str(site.with_name("there.scn"))))
    assert "opening.csv: expected a file that can be read" in found


def test_a_warehouse_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "half"
    words = ("generate", str(folder), "--bins", "50")

    def stops(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("stockhelm.sim_generate.WRITERS", {**WRITERS, "history.csv": stops})
        assert sim(*words).exit_code == 130
    assert not [*folder.iterdir()]
    assert "--map" in said(sim(*words, "--map", str(tmp_path / "none" / "x.svg")))
    assert not [*folder.iterdir()]
    assert sim(*words).exit_code == 0
    assert {*WRITERS, "generated.json"} == {path.name for path in folder.iterdir()}
