"""Folders of runs: gone with their process, also a killed one; never one that somebody holds."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.one_at_a_time import hold_folder
from stockhelm import work_folder as place
from stockhelm.work_folder import PREFIX, remove_left, work_folder

HOLD = """
import sys
from pathlib import Path
from stockhelm.work_folder import work_folder
with work_folder("sim", Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let temporary files, and those in memory, lie in a folder of the test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(place, "MEMORY_FOLDER", tmp_path / "no-memory")
    yield tmp_path
    monkeypatch.undo()


def test_a_folder_goes_at_the_end_also_where_something_fails(temporary: Path) -> None:
    def work() -> None:
        with work_folder("sim") as folder:
            (folder / "file").touch()
            assert [*temporary.iterdir()] == [folder]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert [*temporary.iterdir()] == []


def test_the_folder_of_a_killed_process_goes_with_the_next_start(temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(temporary)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        held = Path(child.stdout.readline().strip())
        (held / "deep").mkdir()
        with work_folder("sim") as mine:
            assert held.is_dir(), "a living process holds it"
            assert remove_left() == []
            assert mine.is_dir()
        child.kill()
        child.wait()
    assert held.is_dir()
    with work_folder("check"):
        assert not held.exists()


def test_a_folder_in_which_a_process_still_works_stays(temporary: Path) -> None:
    left = temporary / f"{PREFIX}sim-left"
    with hold_folder(left / "edge-A", "edge-A"):
        assert remove_left() == []
    assert remove_left() == [left]


def test_what_is_not_ours_stays(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    (temporary / f"{PREFIX}file").touch()
    (temporary / "stockhelm-sim-of-another-version").mkdir()
    before = sorted(temporary.iterdir())
    assert remove_left() == []
    assert sorted(temporary.iterdir()) == before


def test_one_start_removes_so_many_and_the_next_goes_on(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "REMOVED_MAX", 2)
    for number in range(3):
        (temporary / f"{PREFIX}sim-{number}").mkdir()
    assert len(remove_left()) == 2
    assert len(remove_left()) == 1
    assert [*temporary.iterdir()] == []
