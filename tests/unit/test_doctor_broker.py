"""The doctor tries each listener of a broker as a stranger, and counts the days of certificates."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from runtime.clock import NS_PER_S, Clock, ShiftedClock, SystemClock
from runtime.config import to_toml
from stockhelm.broker import BrokerConfig, BrokerProcess, find_mosquitto, free_port
from stockhelm.cli import app
from stockhelm.doctor import Finding
from stockhelm.doctor_broker import lets_strangers_in, look_at_broker
from stockhelm.keyring import Wish, init_keyring
from tests.conftest import Address
from tests.enrolled import Guarded, guarded
from wire.rights import Kind

DAY_NS = 86_400 * NS_PER_S


def found(config: BrokerConfig, clock: Clock | None = None) -> dict[str, Finding]:
    return {one.name: one for one in look_at_broker(config, clock or SystemClock())}


@contextmanager
def mosquitto(settings: Path, port: int) -> Iterator[None]:
    """Run mosquitto with settings of the test's own."""
    program = find_mosquitto()
    assert program is not None
    with subprocess.Popen([program, "-c", settings], stderr=subprocess.DEVNULL) as process:
        try:
            while not listens(port):
                assert process.poll() is None
            yield
        finally:
            process.terminate()


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A broker with keys, on two ports."""
    with guarded(tmp_path_factory.mktemp("closed")) as running:
        yield running


def test_each_listener_of_a_broker_with_keys_refuses_strangers(closed: Guarded) -> None:
    config = closed.process.config
    told = found(config)["strangers at the broker"]
    assert told.ok
    assert told.found == (
        f"127.0.0.1:{config.port} refuses them; 127.0.0.1:{config.password_port} refuses them"
    )


def test_a_listener_with_tls_that_takes_anybody_is_named(closed: Guarded, tmp_path: Path) -> None:
    ring = closed.ring
    lines = [
        f"listener {(port := free_port())} 127.0.0.1", "allow_anonymous true",
        f"cafile {ring.ca_file}", f"certfile {ring.issued_file('broker', 'crt')}",
        f"keyfile {ring.issued_file('broker', 'key')}", "user root",
    ]  # fmt: skip
    (tmp_path / "own.conf").write_text("\n".join(lines))
    with mosquitto(tmp_path / "own.conf", port):
        told = found(msgspec.structs.replace(closed.process.config, port=port))
    assert not told["strangers at the broker"].ok
    assert f"127.0.0.1:{port} lets them in" in told["strangers at the broker"].found


def test_another_broker_without_tls_at_the_port_is_named(closed: Guarded, broker: Address) -> None:
    config = msgspec.structs.replace(closed.process.config, password_port=broker.port)
    told = found(config)["strangers at the broker"]
    assert not told.ok
    assert told.found.endswith(f"127.0.0.1:{broker.port} speaks MQTT without TLS")


def test_without_keys_this_machine_alone_is_let_in(broker: Address, tmp_path: Path) -> None:
    plain = BrokerConfig(directory=str(tmp_path), port=broker.port)
    (told,) = look_at_broker(plain, SystemClock())
    assert told.ok
    assert told.found.endswith("lets in everybody on this machine, as configured")
    with_passwords = msgspec.structs.replace(plain, password_file="passwords")
    (told,) = look_at_broker(with_passwords, SystemClock())
    assert not told.ok
    assert told.found == f"127.0.0.1:{broker.port} lets them in"


def test_a_broker_with_passwords_refuses_strangers(tmp_path: Path) -> None:
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    (tmp_path / "passwords").touch(mode=0o600)
    config = BrokerConfig(
        directory=str(tmp_path / "b"), port=free_port(), kind="mosquitto",
        password_file=str(tmp_path / "passwords"),
    )  # fmt: skip
    with BrokerProcess(config):
        (told,) = look_at_broker(config, SystemClock())
    assert told.ok
    assert told.found == f"127.0.0.1:{config.port} refuses them"


def test_a_broker_that_does_not_run_is_no_fault(tmp_path: Path) -> None:
    config = BrokerConfig(directory=str(tmp_path), port=free_port())
    (told,) = look_at_broker(config, SystemClock())
    assert told.ok
    assert told.found.endswith("nobody listens now")
    with pytest.raises(ConnectionRefusedError):
        lets_strangers_in("127.0.0.1", config.port, tls=True)


def test_certificates_that_end_within_30_days_are_named(tmp_path: Path) -> None:
    clock = ShiftedClock(SystemClock())
    ring = init_keyring(tmp_path / "keys", clock, ["localhost"])
    ring.enrol(Wish(name="scanner-1", kind=Kind.SCANNER, days=60))
    ring.enrol(Wish(name="scanner-2", kind=Kind.SCANNER, days=400))
    ring.enrol(Wish(name="gone", kind=Kind.SCANNER, days=60))
    ring.enrol(Wish(name="by-word", kind=Kind.SCANNER, by="password"))
    ring.revoke("gone")
    config = BrokerConfig(directory=str(tmp_path), port=free_port(), keys=str(tmp_path / "keys"))
    assert found(config, clock)["certificates"].ok
    for days, said in ((31, "scanner-1: 28 days left"), (61, "scanner-1: is over")):
        clock.ahead_ns = days * DAY_NS
        told = found(config, clock)["certificates"]
        assert (told.ok, told.found) == (False, said)
        assert "stockhelm keys renew NAME" in told.fix
    ring.renew("scanner-1", 365)
    assert found(config, clock)["certificates"].ok
    clock.ahead_ns = 3_649 * DAY_NS
    assert "the CA itself: 0 days left" in found(config, clock)["certificates"].found


def test_a_folder_without_keys_is_told(tmp_path: Path) -> None:
    config = BrokerConfig(directory=str(tmp_path), port=free_port(), keys=str(tmp_path / "none"))
    told = found(config)["certificates"]
    assert not told.ok
    assert "expected a folder of keys" in told.found
    ring = init_keyring(tmp_path / "none", SystemClock(), ["localhost"])
    ring.ca_file.write_text("no certificate")
    assert "expected the CA's certificate" in found(config)["certificates"].found


def test_the_command_takes_the_brokers_configuration(tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_text(to_toml(BrokerConfig(directory=str(tmp_path), port=free_port())))
    done = CliRunner().invoke(app, ["doctor", "--json", "--config", str(file)])
    told = {row["name"]: row for row in json.loads(done.stdout)}
    assert done.exit_code == 0
    assert told["strangers at the broker"]["found"].endswith("nobody listens now")
