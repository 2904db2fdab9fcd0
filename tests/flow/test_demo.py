"""The whole loop, run as a user runs it: the books agree with each other and with the truth."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

DEMO = [sys.executable, "-m", "stockhelm", "demo"]


def run_demo(tmp_path: Path, *options: str, timeout_s: float = 110) -> dict[str, Any]:
    """Run the demo without a person; return its report."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [*DEMO, "--headless", "--report", str(report), "--directory", str(tmp_path), *options],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def assert_books_are_true(report: dict[str, Any]) -> None:
    assert report["settled"]
    assert report["events_accepted"] > 0
    assert report["events_acknowledged"] == report["events_accepted"]
    assert report["differences"] == []
    assert report["bins_book_differs_from_truth"] == 0
    assert report["robot_conflicts"] == 0
    assert report["ledger_balanced"] is True
    assert report["counts_rebuild_equal"] is True


@pytest.mark.long
@pytest.mark.timeout(150)
def test_killed_processes_come_back_and_the_books_are_true(tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    directory = tmp_path / "run"
    command = [*DEMO, "--headless", "--seconds", "30", "--directory", str(directory)]
    with subprocess.Popen(
        [*command, "--report", str(report_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "300"},
    ) as demo:
        assert demo.stdout is not None
        said: list[str] = []
        victims = iter(("mosquitto", "central run", "edge run"))
        for line in demo.stdout:
            said.append(line)
            if "orders" in line and "filled;" in line:
                victim = next(victims, None)
                if victim is not None:
                    _kill_child(demo.pid, victim)
        demo.wait(timeout=60)
    assert demo.returncode == 0, "".join(said)
    assert sum("ended by itself with -9" in line for line in said) == 3
    report = json.loads(report_file.read_text())
    assert_books_are_true(report)
    assert sum(report["tasks_done"].values()) > 0
    assert report["orders_created"] > 0
    assert report["sightings"] > 0


def _kill_child(parent: int, name: str) -> None:
    """Kill -9 the first child of `parent` with `name` in its command (or the broker there is)."""
    children = psutil.Process(parent).children(recursive=True)
    found = [child for child in children if name in " ".join(child.cmdline())]
    found = found or [c for c in children if "embedded_broker" in " ".join(c.cmdline())]
    found[0].kill()


@pytest.mark.soak
@pytest.mark.timeout(150)
def test_with_everybody_enrolled_the_loop_closes_over_tls(tmp_path: Path) -> None:
    report = run_demo(tmp_path, "--seconds", "20", "--tls")
    assert_books_are_true(report)
    assert report["tasks_done"].get("pick", 0) > 0
    logs = "".join(file.read_text() for file in (tmp_path / "logs").glob("*.log"))
    assert "refused subscriptions" not in logs


@pytest.mark.soak
@pytest.mark.timeout(150)
def test_real_sales_drive_the_same_loop(tmp_path: Path, data_dir: Path) -> None:
    sales = data_dir / "demand" / "cj_A_orders_top40.csv"
    report = run_demo(tmp_path, "--seconds", "18", "--orders", str(sales))
    assert_books_are_true(report)
    assert report["orders_created"] > 0
    assert report["tasks_done"].get("pick", 0) > 0


def test_a_sales_file_with_a_bad_row_is_refused_with_its_line(tmp_path: Path) -> None:
    bad = tmp_path / "sales.csv"
    bad.write_text("date,sku,quantity\n2024-01-01,a,1\n2024-01-02,a,many\n")
    done = subprocess.run(
        [*DEMO, "--headless", "--orders", str(bad)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert (
        f"{bad} line 3: expected a date YYYY-MM-DD and a whole quantity" in said.replace("\n", "")
        or "line 3" in said
    )


def test_a_busy_port_is_reported_with_the_fix(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = subprocess.run(
            [*DEMO, "--port", str(port), "--directory", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert done.returncode == 1
    said = " ".join(done.stdout.split())
    assert f"port {port} on 127.0.0.1 is taken" in said
    assert f"--port {port + 80}" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--directory", "{path}"), "holds an earlier run"),
        (("--report", "{path}/nowhere/r.json"), "No such file or directory"),
        (("--directory", "{path}/a-file"), "File exists"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(
    tmp_path: Path, options: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "a-file").touch()
    given = [option.replace("{path}", str(tmp_path)) for option in options]
    done = subprocess.run(
        [*DEMO, "--headless", *given],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env={**os.environ, "COLUMNS": "300"},
    )
    assert done.returncode == 1
    assert expected in done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    "line", [*(pytest.param(x, marks=pytest.mark.soak) for x in ("broker:", "is ready")), "http://"]
)
def test_ctrl_c_ends_it_at_once_and_leaves_no_process(tmp_path: Path, line: str) -> None:
    with subprocess.Popen(
        [*DEMO, "--headless", "--directory", str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as demo:
        assert demo.stdout is not None
        for said in demo.stdout:
            if line in said:
                break
        code = _ends_by_ctrl_c(demo)
        assert code == 130, demo.stdout.read()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_ctrl_c_ends_it_whenever_it_comes(tmp_path: Path) -> None:
    draw = random.Random(20_261_124)
    for number in range(25):
        with subprocess.Popen(
            [*DEMO, "--headless", "--directory", str(tmp_path / str(number))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "200"},
        ) as demo:
            assert demo.stdout is not None
            assert demo.stdout.readline().startswith("seed ")  # from here on it hears
            after_s = draw.uniform(0, 6)
            time.sleep(after_s)  # at no line: any moment
            code = _ends_by_ctrl_c(demo)
            assert code == 130, (number, after_s, demo.stdout.read())


def _ends_by_ctrl_c(demo: subprocess.Popen[str]) -> int:
    """Return the code that the demo ends with; fails where it ends not, or leaves a process."""
    children = psutil.Process(demo.pid).children(recursive=True)
    demo.send_signal(signal.SIGINT)
    code = demo.wait(timeout=30)  # the machine may be busy
    _, alive = psutil.wait_procs(children, timeout=15)
    assert [child.cmdline() for child in alive] == []
    return code


@pytest.mark.long
@pytest.mark.timeout(150)
def test_a_kill_leaves_no_process_behind(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*DEMO, "--headless", "--seconds", "90", "--directory", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "http://127.0.0.1:" in line:
                break
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) >= 6
        demo.kill()
        demo.wait(timeout=10)
        # A process that hangs ends itself 4 s after it is told to; the machine may be busy.
        _, alive = psutil.wait_procs(children, timeout=15)
        assert [child.cmdline() for child in alive] == []
