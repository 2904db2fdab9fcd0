"""The doctor names what is there and what is not, and fails only for what is required."""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING

from stockhelm.doctor import Finding, _open_broker, examine, listening, run_doctor

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import Address


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_machine_that_is_set_up_has_everything_required(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_doctor(json_out=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert {finding["name"] for finding in told if finding["required"]} == {
        "Python",
        "opencv-python",
        "zxing-cpp",
        "numba",
    }
    assert all(finding["ok"] for finding in told if finding["required"])
    assert all(finding["needed_for"] and finding["fix"] for finding in told)


def test_the_table_shows_what_to_do_for_what_is_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("stockhelm.doctor.SERVER_PATH", "/nowhere")
    assert run_doctor(json_out=False) == 0
    table = capsys.readouterr().out
    assert "without" in table
    assert "install chromium" in table
    assert "missing" not in table


def test_a_required_module_that_does_not_import_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run_doctor(json_out=True) == 1
    told = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert not told["opencv-python"]["ok"]
    assert "libGL.so.1" in told["opencv-python"]["found"]
    assert "libgl1" in told["opencv-python"]["fix"]


def test_a_module_that_kills_its_process_is_only_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zxingcpp.py").write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = by_name(examine())["zxing-cpp"]
    assert not finding.ok
    assert "-11" in finding.found


def test_a_busy_port_is_named_with_what_to_do() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        finding = by_name(examine(desk_port=port))[f"port {port}"]
    assert not finding.ok
    assert "Address already in use" in finding.found
    assert "--port" in finding.fix


def test_python_is_the_one_that_runs_us() -> None:
    finding = by_name(examine())["Python"]
    assert finding.ok
    assert sys.executable in finding.found


def test_a_broker_that_others_reach_without_tls_is_named(broker: Address) -> None:
    others = [("0.0.0.0", broker.port), ("127.0.0.1", broker.port), ("0.0.0.0", 22)]
    found = _open_broker(others, (broker.port,))
    assert not found.ok
    assert found.found == f"0.0.0.0:{broker.port} speaks MQTT without TLS"
    assert "stockhelm keys init" in found.fix
    assert _open_broker(others[1:], (broker.port,)).ok
    assert ("127.0.0.1", broker.port) in listening()


def test_what_the_kernel_writes_of_a_listener_is_read() -> None:
    with socket.socket(socket.AF_INET6) as held:
        held.bind(("::1", 0))
        held.listen()
        assert ("::1", held.getsockname()[1]) in listening()
