"""`stockhelm broker run` beside `stockhelm keys`, as an operator uses them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runtime.bus import TlsFiles
from runtime.config import to_toml
from runtime.mqtt import tls_context
from stockhelm.broker import BrokerConfig, find_mosquitto, free_port
from stockhelm.broker_rules import find_plugin
from stockhelm.cli import app
from tests.enrolled import DENIED, WAIT_S, EnrolledClient

ROOT = Path(__file__).resolve().parents[2]


def keys(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, ["keys", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def running(config: BrokerConfig, file: Path) -> Iterator[subprocess.Popen[str]]:
    file.write_text(to_toml(config), encoding="utf-8")
    command = [sys.executable, "-m", "stockhelm", "broker", "run", "--config", str(file)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(WAIT_S)


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.timeout(60)
def test_enrolling_and_revoking_reach_a_broker_that_runs(tmp_path: Path) -> None:
    if find_mosquitto() is None or find_plugin() is None:
        pytest.skip("mosquitto with its dynamic-security plugin is not installed")
    folder, port = tmp_path / "keys", free_port()
    keys("init", folder, "--host", "localhost")
    config = BrokerConfig(directory=str(tmp_path / "broker"), port=port, keys=str(folder))
    with running(config, tmp_path / "broker.toml") as process:
        assert said(process).endswith(f"listens on 127.0.0.1:{port} with TLS")
        keys("enrol", "--dir", folder, "scanner-1", "--kind", "scanner")
        assert said(process) == "let in: scanner-1"
        issued = folder / "issued"
        context = tls_context(
            TlsFiles(
                ca=str(folder / "ca.crt"),
                certificate=str(issued / "scanner-1.crt"),
                key=str(issued / "scanner-1.key"),
            )
        )
        scanner = EnrolledClient(port, context, "scanner-1")
        assert scanner.connect() == "Success"
        assert scanner.publish("stockhelm/v1/FC1/device/scanner-1/scan") != DENIED
        keys("revoke", "--dir", folder, "scanner-1")
        assert said(process) == "refused from now on: scanner-1"
        assert scanner.gone.wait(WAIT_S)
        scanner.leave()
        assert EnrolledClient(port, context, "scanner-1").connect() != "Success"
        keys("revoke", "--dir", folder, "broker")
        assert "identity = 'broker': expected who is enrolled" in said(process)
        process.wait(WAIT_S)
    assert process.returncode == 1
