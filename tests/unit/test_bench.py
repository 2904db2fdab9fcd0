"""The frame of the benches: rows, the JSON file, the exit code, and the devices that are timed."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from bench.devices import Sample, Script, SerialDevice
from bench.loop import percentiles
from bench.machine import descendants, resident_mib, sync_ms
from runtime.clock import SystemClock
from runtime.live import LiveRuntime
from stockhelm import bench as frame
from stockhelm.bench import Bench, Row, at_most, beside, figure, run_bench


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Return a bench named `tiny`; `rows` are its figures."""
    module = ModuleType("bench.tiny")
    folders: list[Path] = []

    def run(bench: Bench) -> list[Row]:
        folders.append(bench.directory)
        assert bench.directory.is_dir()
        rows: list[Row] = module.rows
        return rows

    module.__dict__.update(run=run, folders=folders, rows=[figure("speed", "1/s", 3.0)])
    monkeypatch.setitem(sys.modules, "bench.tiny", module)
    monkeypatch.setattr(frame, "BENCHES", {"tiny": "a bench of the tests"})
    monkeypatch.chdir(tmp_path)
    return module


def said() -> tuple[Console, io.StringIO]:
    text = io.StringIO()
    return Console(file=text, width=120, highlight=False), text


def test_a_goal_that_is_missed_is_an_exit_code(tiny: ModuleType) -> None:
    console, _ = said()
    tiny.__dict__["rows"] = [at_most("late", "ms", 5.0, goal=5.0)]
    assert run_bench(["tiny"], console=console) == 0
    tiny.__dict__["rows"] = [at_most("late", "ms", 5.1, goal=5.0)]
    assert run_bench(["tiny"], console=console) == 1


def test_the_file_says_machine_versions_and_rows(tiny: ModuleType, tmp_path: Path) -> None:
    tiny.__dict__["rows"] = [at_most("late", "ms", 6.0, goal=9.0, peer=4.0, peer_name="theirs")]
    console, text = said()
    run_bench([], tmp_path / "f.json", console)
    found = json.loads((tmp_path / "f.json").read_text())
    assert found.keys() == {"bench", "machine", "versions", "rows"}
    assert found["rows"] == [
        {"what": "late", "unit": "ms", "ours": 6.0, "peer": 4.0, "peer_name": "theirs",
         "ratio": 1.5, "goal": 9.0, "met": True}
    ]  # fmt: skip
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["versions"].keys() >= {"stockhelm", "numba"}
    assert "4 (1)" in text.getvalue()
    assert "peer 1: theirs" in text.getvalue()


def test_the_work_folder_goes_with_the_bench(tiny: ModuleType, tmp_path: Path) -> None:
    run_bench(["tiny"], console=said()[0])
    (folder,) = tiny.folders
    assert folder.parent == tmp_path / "var"
    assert not folder.exists()


def test_an_unknown_bench_is_named(tiny: ModuleType) -> None:
    console, text = said()
    assert run_bench(["slow"], console=console) == 1
    assert "'slow' is no bench: expected tiny" in text.getvalue()


def test_a_script_repeats_its_round() -> None:
    texts = Script(("a", "b"), ("c", "d"), 1).texts()
    assert [next(texts) for _ in range(7)] == ["a", "b", "c", "d", "c", "d", "c"]


def test_a_serial_device_takes_answers_in_order(tmp_path: Path) -> None:
    """The other end of the line is opened as the edge opens it."""
    runtime = LiveRuntime()
    samples: list[Sample] = []
    answered = threading.Event()
    lane = runtime.lane("devices")

    def take(sample: Sample) -> None:
        samples.append(sample)
        if len(samples) == 3:
            answered.set()

    path = str(tmp_path / "scanner")
    try:
        device = SerialDevice("d1", path, runtime=runtime, lane=lane, on_sample=take)
        host = runtime.ports.open(path, 115_200, lane, lambda _chunks: None, lambda _why: None)
        for text in ("]C1one", "]C1two", "]C1three"):
            device.scan(text)
        host.write(b"\x06\x07no_bin: scan")
        host.write(b" a bin\r\n\x06")
        assert answered.wait(5.0)
    finally:
        runtime.close()
    assert [(s.seq, s.ok, s.text) for s in samples] == [
        (1, True, ""),
        (2, False, "no_bin: scan a bin"),
        (3, True, ""),
    ]
    assert device.unanswered == 0


def test_this_process_holds_memory_and_the_disk_takes_time(tmp_path: Path) -> None:
    assert os.getpid() in descendants(os.getppid())
    assert resident_mib([os.getpid()]) > 1
    assert min(sync_ms(tmp_path, SystemClock())) > 0


def test_percentiles_of_a_hundred() -> None:
    assert percentiles([float(n) for n in range(101)]) == (50.0, 99.0)


def test_a_share_of_the_peers_figure_is_a_goal() -> None:
    row = beside("fast", "1/s", 80.0, peer=100.0, peer_name="theirs", share_min=0.8)
    assert (row.goal, row.ratio, row.met) == (80.0, 0.8, True)
    assert not beside("slow", "1/s", 79.0, peer=100.0, peer_name="theirs", share_min=0.8).met
