"""What the commands of scenarios say, write and end with."""

from __future__ import annotations

import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from runtime.clock import VirtualClock
from sim_hardware.scenarios.text import parse_scenario
from stockhelm.cli import app
from stockhelm.sim_library import find_scenario, library_names, read_scenario
from stockhelm.sim_progress import PlainLines
from stockhelm.sim_shrink import Shrunk, moved, shrink

THEFT = """\
SCENARIO Somebody takes things home
# Nothing else is wrong.

# A word on the site.
SITE demo skus=4 robots=1 orders=0
RUN 4 s
# Now.
AT 0:02 FAULT theft A-01-06-1 units=2  # two of them
EXPECT orders lost = 0
EXPECT books are true
"""


def sim(*words: str) -> Result:
    return CliRunner().invoke(app, ["sim", *words], env={"COLUMNS": "300"})


@pytest.fixture
def theft(tmp_path: Path) -> Path:
    path = tmp_path / "theft.scn"
    path.write_text(THEFT)
    return path


def test_what_is_left_of_a_scenario_is_written_and_may_be_run_as_told(theft: Path) -> None:
    done = sim("shrink", str(theft))
    small = theft.with_name("theft.small.scn")
    assert done.exit_code == 0, done.output
    assert small.read_text().splitlines() == [
        "SCENARIO Somebody takes things home",
        "# Nothing else is wrong.",
        "SITE demo skus=4 robots=1 orders=0",
        "RUN 4 s",
        "AT 0:02 FAULT theft A-01-06-1 units=2  # two of them",
        "EXPECT books are true",
    ]
    assert "3 steps, 4 s became 2 steps, 4 s; still fails: EXPECT books are true" in done.output
    assert done.output.endswith(f"again: stockhelm sim run {small}\n")


def test_shrinking_does_not_call_the_time_of_a_scenario_what_is_left(
    theft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockhelm.sim_progress.PLAIN_EVERY_S", 0.0)
    told = sim("shrink", str(theft)).stderr
    assert "; still fails with 2 steps of 4 s of scenario" in told
    assert "left" not in told


def test_a_person_may_stop_shrinking_and_has_the_smallest_until_then(theft: Path) -> None:
    def stop(_: Shrunk) -> None:
        raise KeyboardInterrupt

    found = shrink(read_scenario(theft), theft.parent, 7, runs_max=60, on_run=stop)
    assert found is not None
    assert found.stopped
    assert found.scenario.text.count("#") == 2, "the title's comment, and the one behind a step"


def test_a_person_may_stop_a_run(theft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stockhelm.sim_command.run_virtual", stop)
    done = sim("run", str(theft))
    assert done.exit_code == 130
    assert done.output.endswith("stopped by hand\n")


def test_what_cannot_be_done_as_asked_ends_with_2(theft: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "bad.scn").write_text("SCENARIO T\nRUN 5 s\nAT 0:01 FAULT cloudburst\n")
    for words, said in (
        (("run", "no-such"), "no such file, and no scenario of that name"),
        (("run", str(theft), "--record", str(tmp_path / "file")), "expected a folder that can be"),
        (("run", str(theft), "--directory", str(tmp_path)), "expected an empty folder"),
        (("run", str(tmp_path / "bad.scn")), "bad.scn:3: FAULT cloudburst: what it happens to"),
        (("check", str(theft), str(tmp_path / "bad.scn")), "write: FAULT cloudburst site"),
        (("shrink", str(theft), "--output", str(tmp_path)), "expected a file in a folder"),
        (("faults", "theif"), "unknown fault 'theif'; did you mean theft?"),
        (("generate", str(tmp_path), "--bins", "1"), "no such warehouse"),
    ):
        done = sim(*words)
        assert (done.exit_code, said in done.output) == (2, True), (words, done.output)
    assert sim("check", str(theft)).output.endswith("home: 3 steps, nothing wrong\n")


@pytest.mark.parametrize("kind", ["partition", "process-clock"])
def test_a_fault_that_cannot_be_live_is_refused_before_anything_starts(
    tmp_path: Path, kind: str
) -> None:
    path, folder = tmp_path / "x.scn", tmp_path / "run"
    path.write_text(f"SCENARIO T\nSITE demo\nRUN 5 s\nAT 0:01 FAULT {kind} edge A\n")
    done = sim("run", str(path), "--mode", "live", "--directory", str(folder))
    assert done.exit_code == 2
    said = f"{path}:4: FAULT {kind} edge A: cannot be in mode live; expected it in mode mem or pty"
    assert said in done.output.splitlines()
    assert not [*folder.iterdir()]
    assert sim("check", str(path)).exit_code == 0


def test_what_could_not_be_done_is_told_by_the_line_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.scn"
    line = "AT 0:01 DO approve buy SKU-001"
    path.write_text(f"SCENARIO T\nSITE demo skus=2 robots=1 orders=0\nRUN 2 s\n{line}  # none\n")
    done = sim("run", str(path))
    assert done.exit_code == 1
    assert f"{path}:4: {line}: no proposal to buy SKU-001 waits for a decision\n" in done.output


def test_what_is_not_as_in_the_books_is_named_by_its_sku_too(theft: Path) -> None:
    done = sim("run", str(theft))
    assert done.exit_code == 1
    assert re.search(r"A-01-06-1 [0-9]{14} \(SKU-[0-9]+\): physically", done.output)


def test_the_list_is_a_line_for_each_and_gives_one_as_it_is_written() -> None:
    lines = sim("list").output.splitlines()
    assert len(lines) == 2 + len(library_names())
    assert any("central-killed" in line for line in lines)
    assert sim("list", "central-killed").output == find_scenario("central-killed").read_text()
    assert len(sim("list", "--long").output) > 2 * len("\n".join(lines))
    assert sim("list", "central-kiled").exit_code == 2


def test_what_only_looks_at_scenarios_waits_for_no_compiler() -> None:
    code = "import stockhelm.sim_look_command, sys; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_scenario_in_another_folder_finds_its_site_again(tmp_path: Path) -> None:
    text = "SCENARIO T\nSITE folder my/site orders=3\nRUN 5 s\n"
    scenario = parse_scenario(text, "x.scn")
    assert moved(scenario, tmp_path, tmp_path) == text.replace("my/site", '"my/site"')
    there = parse_scenario(moved(scenario, tmp_path, tmp_path / "a b"), "x.scn")
    assert there.site.folder == "../my/site"
    assert there.site.options == scenario.site.options


def test_without_a_terminal_a_line_comes_every_ten_seconds() -> None:
    clock = VirtualClock()
    out = StringIO()
    lines = PlainLines(Console(file=out, width=80), clock)
    for second in range(26):
        lines.show(f"second {second}", second, 50.0)
        clock.move_to(clock.monotonic_ns() + 1_000_000_000)
    assert out.getvalue() == "  second 10 (20%)\n  second 20 (40%)\n"


def test_a_search_says_on_stderr_how_far_it_is_and_prints_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stockhelm.sim_progress.PLAIN_EVERY_S", 0.0)
    done = sim("fuzz", "--runs", "1", "--seed", "3")
    assert done.exit_code == 0
    assert done.stdout.startswith("seed 3: 1 runs, 0 of them failed; ")
    assert done.stdout.count("\n") == 1
    assert "  0 runs, 0 of them failed; 0 s of worlds, 0 expectations" in done.stderr
