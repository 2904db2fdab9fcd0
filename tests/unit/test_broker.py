"""How the broker process starts, refuses to start, and ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Literal

import pytest

from runtime.config import is_loopback
from stockhelm.broker import (
    BrokerConfig,
    BrokerError,
    BrokerProcess,
    answers_mqtt,
    find_mosquitto,
    free_port,
)
from stockhelm.keyring import hash_password

if TYPE_CHECKING:
    from pathlib import Path

WAIT_S = 10.0
Kind = Literal["mosquitto", "embedded"]
START_AND_WAIT = """
import sys
from stockhelm.broker import BrokerConfig, BrokerProcess
directory, port, kind = sys.argv[1:]
broker = BrokerProcess(BrokerConfig(directory=directory, port=int(port), kind=kind))
broker.start()
print("ready", flush=True)
sys.stdin.read()
"""
RUN = """
import sys
from stockhelm.broker import BrokerConfig, run_broker
directory, port, kind = sys.argv[1:]
sys.exit(run_broker(BrokerConfig(directory=directory, port=int(port), kind=kind)))
"""


@pytest.fixture(params=["mosquitto", "embedded"])
def kind(request: pytest.FixtureRequest) -> Kind:
    wanted: Kind = request.param
    if wanted == "mosquitto" and find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    return wanted


def child(script: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def falls_silent(port: int) -> bool:
    """Return whether the broker there ends within a bounded time."""
    deadline_s = time.monotonic() + WAIT_S
    while time.monotonic() < deadline_s:
        if not answers_mqtt("127.0.0.1", port):
            return True
        time.sleep(0.02)
    return False


def test_it_says_which_broker_it_is(tmp_path: Path) -> None:
    embedded = BrokerProcess(BrokerConfig(directory=str(tmp_path), kind="embedded"))
    assert embedded.describe().startswith("embedded amqtt ")
    assert embedded.describe().endswith("(as asked)")


def test_without_mosquitto_the_embedded_one_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stockhelm.broker.SERVER_PATH", str(tmp_path))
    config = BrokerConfig(directory=str(tmp_path), port=free_port())
    with BrokerProcess(config) as broker:
        assert broker.describe().endswith("(mosquitto was not found)")
        assert answers_mqtt(broker.host, broker.port)
    with pytest.raises(BrokerError, match="mosquitto was not found on"):
        BrokerProcess(BrokerConfig(directory=str(tmp_path), kind="mosquitto"))


def test_a_busy_port_is_refused_with_what_to_do(tmp_path: Path, kind: Kind) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        broker = BrokerProcess(BrokerConfig(directory=str(tmp_path), port=port, kind=kind))
        with pytest.raises(BrokerError) as caught:
            broker.start()
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in str(caught.value)
    assert f"sport = :{port}" in str(caught.value)
    assert broker.pid is None


def test_a_broker_that_dies_at_its_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    config = BrokerConfig(
        directory=str(tmp_path),
        port=free_port(),
        kind="mosquitto",
        password_file=str(tmp_path / "absent"),
    )
    broker = BrokerProcess(config)
    with pytest.raises(BrokerError, match=r"ended with \d+ at its start; the end of .*absent"):
        broker.start()
    assert broker.pid is None


def test_nobody_is_let_in_from_elsewhere_without_a_password(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"host '0\.0\.0\.0': expected `keys`"):
        BrokerProcess(BrokerConfig(directory=str(tmp_path), host="0.0.0.0"))
    with pytest.raises(BrokerError, match=r"host '10\.0\.0\.7': expected `keys`"):
        BrokerProcess(
            BrokerConfig(directory=str(tmp_path), host="10.0.0.7", password_file="passwords")
        )
    with pytest.raises(BrokerError, match="the embedded broker listens on the loopback only"):
        BrokerProcess(BrokerConfig(directory=str(tmp_path), host="10.0.0.7", kind="embedded"))


def test_a_broker_that_wants_a_password_is_ready_too(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    passwords = tmp_path / "passwords"
    passwords.write_text(f"somebody:{hash_password('open')}\n")
    config = BrokerConfig(
        directory=str(tmp_path / "broker"), port=free_port(), password_file=str(passwords)
    )
    with BrokerProcess(config) as broker:
        assert answers_mqtt(broker.host, broker.port)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"keys": "k", "password_file": "p"}, "password_file: expected none beside keys"),
        ({"password_port": 8884}, "password_port: expected keys beside it"),
        ({"keys": "k", "password_port": 1883}, "password_port = 1883: expected another than port"),
    ],
)
def test_what_does_not_go_together_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        BrokerConfig(directory="d", **fields)


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("192.168.1.4", False),
        ("broker.local", False),
    ],
)
def test_the_loopback_is_known(host: str, *, own: bool) -> None:
    assert is_loopback(host) is own


def test_it_can_be_started_again_where_it_stored(tmp_path: Path, kind: Kind) -> None:
    port = free_port()
    for _ in range(2):
        with BrokerProcess(BrokerConfig(directory=str(tmp_path), port=port, kind=kind)):
            assert answers_mqtt("127.0.0.1", port)
        assert not answers_mqtt("127.0.0.1", port)
    assert (tmp_path / "broker.log").exists()


def test_a_broker_that_ends_by_itself_is_noticed(tmp_path: Path, kind: Kind) -> None:
    config = BrokerConfig(directory=str(tmp_path), port=free_port(), kind=kind)
    with BrokerProcess(config) as broker:
        assert broker.wait(0.0) is None
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        assert broker.wait(WAIT_S) == -signal.SIGKILL


def test_no_broker_is_left_when_its_parent_is_killed(tmp_path: Path, kind: Kind) -> None:
    port = free_port()
    with child(START_AND_WAIT, str(tmp_path), str(port), kind) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert answers_mqtt("127.0.0.1", port)
        parent.kill()
    assert falls_silent(port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_broker_run_ends_cleanly_when_asked(
    tmp_path: Path, kind: Kind, number: signal.Signals
) -> None:
    port = free_port()
    with child(RUN, str(tmp_path), str(port), kind) as process:
        assert process.stdout is not None
        assert f"listens on 127.0.0.1:{port}" in process.stdout.readline()
        process.send_signal(number)
        assert process.wait(WAIT_S) == 0
    assert not answers_mqtt("127.0.0.1", port)


def test_broker_run_on_a_busy_port_says_why(tmp_path: Path, kind: Kind) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        with child(RUN, str(tmp_path), port, kind) as process:
            _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 1
    assert "Address already in use" in said
