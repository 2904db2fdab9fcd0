"""The supervisor says what ended and why, starts it again, and leaves nothing behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runtime.clock import SystemClock
from runtime.config import to_toml
from stockhelm.broker import BrokerConfig, answers_mqtt, find_mosquitto, free_port
from stockhelm.ending import Stopped
from stockhelm.processes import Process, ProcessError, Restart, Supervisor


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path, SystemClock())
    yield found
    found.stop()


def broker_row(tmp_path: Path, port: int, restart: Restart = Restart.ALWAYS) -> Process:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    config = tmp_path / "broker.toml"
    config.write_text(to_toml(BrokerConfig(directory=str(tmp_path / "b"), port=port)))
    return Process(
        name="broker", arguments=("broker", "run", "--config", str(config)), restart=restart
    )


def test_a_process_is_started_once_it_says_that_it_is_ready(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    port = free_port()
    ready: list[str] = []
    supervisor.start([broker_row(tmp_path, port)], ready.append)
    assert ready == ["broker"]
    assert answers_mqtt("127.0.0.1", port)
    assert supervisor.watch() == []


def test_a_process_that_cannot_start_is_named_with_its_own_words(supervisor: Supervisor) -> None:
    row = Process(name="edge-A", arguments=("edge", "run", "--config", "/nowhere/edge.toml"))
    with pytest.raises(ProcessError) as caught:
        supervisor.start([row], lambda _name: None)
    assert "edge-A ended by itself with 1" in str(caught.value)
    assert "/nowhere/edge.toml: cannot be read: No such file or directory" in str(caught.value)


def test_who_waits_for_the_start_may_end_it(supervisor: Supervisor, tmp_path: Path) -> None:
    looks = iter(["before the start"])

    def look() -> None:
        if next(looks, None) is None:
            raise Stopped

    with pytest.raises(Stopped):
        supervisor.start([broker_row(tmp_path, free_port())], lambda _name: None, look)
    assert set(supervisor.pids()) == {"broker"}  # known, so `stop` ends it


def test_what_ends_by_itself_is_started_again(supervisor: Supervisor, tmp_path: Path) -> None:
    port = free_port()
    supervisor.start([broker_row(tmp_path, port)], lambda _name: None)
    first = psutil.Process(supervisor.pids()["broker"])
    supervisor.send_signal("broker", signal.SIGTERM)
    first.wait(timeout=10)
    lines = supervisor.watch()
    assert len(lines) == 1
    assert "started again (1 of at most 5)" in lines[0]
    assert supervisor.pids()["broker"] != first.pid


def test_what_may_not_end_ends_everything(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([broker_row(tmp_path, free_port(), Restart.NEVER)], lambda _name: None)
    child = psutil.Process(supervisor.pids()["broker"])
    supervisor.send_signal("broker", signal.SIGTERM)
    child.wait(timeout=10)
    with pytest.raises(ProcessError, match="broker ended by itself with 0"):
        supervisor.watch()


def test_stopping_leaves_no_process_behind(supervisor: Supervisor, tmp_path: Path) -> None:
    supervisor.start([broker_row(tmp_path, free_port())], lambda _name: None)
    process = psutil.Process(supervisor.pids()["broker"])
    children = [process, *process.children(recursive=True)]
    assert len(children) >= 2
    supervisor.stop()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
