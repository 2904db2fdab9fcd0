"""Who may come in and what they may say and hear, on a real mosquitto with TLS."""

from __future__ import annotations

import socket
import ssl
import threading
import warnings
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from structlog.testing import capture_logs

from runtime.broker_link import BrokerConfig, bus_options
from runtime.bus import TlsFiles
from runtime.clock import NS_PER_S, ShiftedClock, SystemClock
from runtime.live import LiveRuntime
from runtime.mqtt import tls_context
from stockhelm.broker import answers_mqtt
from stockhelm.keyring import Keyring, Wish, init_keyring
from tests.enrolled import DENIED, WAIT_S, EnrolledClient, Guarded, guarded
from wire.rights import Kind

SITE = "stockhelm/v1/FC1"
ROBOT = "uagv/v2/ACME/robot-1"
EVERYBODY = {
    "scanner-1": Kind.SCANNER,
    "camera-1": Kind.CAMERA,
    "robot-1": Kind.ROBOT,
    "A": Kind.EDGE,
    "central": Kind.CENTRAL,
    "desk": Kind.DESK,
    "shop": Kind.SHOP,
    "S1": Kind.SUPPLIER,
    "floor": Kind.FLOOR,
}
"""Written by hand, topic by topic: (who may publish, who may hear)."""
MATRIX: dict[str, tuple[str, str]] = {
    f"{SITE}/device/scanner-1/scan": ("scanner-1", "A"),
    f"{SITE}/device/scanner-2/scan": ("", "A"),
    f"{SITE}/device/camera-1/scan": ("", "A"),
    f"{SITE}/device/scanner-1/feedback": ("A", "scanner-1"),
    f"{SITE}/device/scanner-2/feedback": ("A", ""),
    f"{SITE}/device/camera-1/look": ("camera-1", "A"),
    f"{SITE}/device/scanner-1/look": ("", "A"),
    f"{SITE}/device/scanner-1/status": ("scanner-1 A", "A desk"),
    f"{SITE}/device/camera-1/status": ("camera-1 A", "A desk"),
    f"{SITE}/device/other/status": ("A", "A desk"),
    f"{SITE}/edge/A/status": ("A", "central desk"),
    f"{SITE}/edge/B/status": ("", "central desk"),
    f"{SITE}/edge/A/devices": ("A", "A central"),
    f"{SITE}/edge/B/devices": ("", "A central"),
    f"{SITE}/edge/A/journal": ("A", "central"),
    f"{SITE}/edge/B/journal": ("", "central"),
    f"{SITE}/edge/A/journal-ack": ("central", "A"),
    f"{SITE}/edge/B/journal-ack": ("central", ""),
    f"{SITE}/edge/A/command": ("central", "A"),
    f"{SITE}/edge/B/command": ("central", ""),
    f"{SITE}/person/p1/tasks": ("central", "A scanner-1 floor"),
    f"{SITE}/person/p2/tasks": ("central", "A floor"),
    f"{SITE}/shop/order": ("shop floor", "central"),
    f"{SITE}/shop/order-status": ("central", "shop floor"),
    f"{SITE}/supplier/S1/order": ("central", "S1 floor"),
    f"{SITE}/supplier/S2/order": ("central", "floor"),
    f"{SITE}/supplier/S1/notice": ("S1 floor", "central"),
    f"{SITE}/supplier/S2/notice": ("floor", "central"),
    f"{SITE}/desk/command": ("desk floor", "central"),
    f"{SITE}/desk/result": ("central", "desk floor"),
    f"{SITE}/central/changed": ("central", "desk"),
    f"{ROBOT}/order": ("central", "robot-1"),
    f"{ROBOT}/instantActions": ("central", "robot-1"),
    f"{ROBOT}/state": ("robot-1", "A central desk"),
    f"{ROBOT}/visualization": ("robot-1", "central desk"),
    f"{ROBOT}/connection": ("robot-1", "central desk"),
    f"{ROBOT}/factsheet": ("robot-1", "central"),
    "uagv/v2/ACME/robot-2/order": ("central", ""),
    "uagv/v2/ACME/robot-2/state": ("", "A central desk"),
    "stockhelm/v1/FC2/edge/A/journal": ("", ""),
    "stockhelm/v1/FC2/edge/A/command": ("", ""),
    "somewhere/else": ("", ""),
    "$CONTROL/dynamic-security/v1": ("", ""),
}
WIDE = (
    "#",
    "+/#",
    f"{SITE}/#",
    f"{SITE}/device/#",
    f"{SITE}/edge/A/#",
    "uagv/#",
    "$SYS/#",
    "$CONTROL/#",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A broker where everybody is enrolled; tests of this module leave its rules as they are."""
    with guarded(tmp_path_factory.mktemp("site")) as broker:
        for name, kind in EVERYBODY.items():
            person = "p1" if kind is Kind.SCANNER else ""
            maker = "ACME" if kind is Kind.ROBOT else ""
            broker.enrol(name, kind, person=person, manufacturer=maker)
        broker.enrol("scanner-2", Kind.SCANNER)
        broker.enrol("B", Kind.EDGE, devices=("serial-2", "scanner-2"))
        broker.enrol("pass-1", Kind.SCANNER, by="password")
        broker.enrol("pass-2", Kind.SCANNER, by="password")
        assert broker.process.follow_keys().startswith(
            "let in: A, B, S1, camera-1, central, desk, floor"
        )
        yield broker


@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_may_publish_their_own_and_nothing_else(site: Guarded, name: str) -> None:
    client = site.connected(name)
    allowed = {topic for topic, (may, _) in MATRIX.items() if name in may.split()}
    said = client.publish_all(list(MATRIX))
    assert {topic for topic, reason in said.items() if reason != DENIED} == allowed
    client.leave()


@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_may_hear_their_own_and_nothing_else(site: Guarded, name: str) -> None:
    client = site.connected(name)
    allowed = {topic for topic, (_, may) in MATRIX.items() if name in may.split()}
    said = client.subscribe_all([*MATRIX, *WIDE])
    assert {topic for topic, reason in said.items() if reason != DENIED} == allowed
    client.leave()


def test_a_scan_and_its_answer_go_through(site: Guarded) -> None:
    edge, scanner = site.connected("A"), site.connected("scanner-1")
    assert edge.subscribe(f"{SITE}/device/+/scan") == "Granted QoS 1"
    assert scanner.subscribe(f"{SITE}/device/scanner-1/feedback") == "Granted QoS 1"
    assert scanner.publish(f"{SITE}/device/scanner-1/scan", b"hello") == "Success"
    assert edge.next().payload == b"hello"
    assert edge.publish(f"{SITE}/device/scanner-1/feedback", b"good") == "Success"
    assert scanner.next().payload == b"good"
    edge.leave()
    scanner.leave()


def test_an_edge_with_devices_answers_these_and_no_others(site: Guarded) -> None:
    edge = site.connected("B")
    told = edge.publish_all(
        [
            f"{SITE}/device/{device}/{what}"
            for device in ("scanner-1", "scanner-2", "serial-2")
            for what in ("feedback", "status", "scan")
        ]
    )
    allowed = {topic for topic, reason in told.items() if reason != DENIED}
    assert allowed == {
        f"{SITE}/device/{device}/{what}"
        for device in ("scanner-2", "serial-2")
        for what in ("feedback", "status")
    }
    assert edge.publish(f"{SITE}/edge/B/journal") != DENIED
    assert edge.publish(f"{SITE}/edge/A/journal") == DENIED
    assert edge.subscribe(f"{SITE}/device/scanner-2/scan") != DENIED


def test_a_foreign_certificate_ends_nobodys_session(site: Guarded) -> None:
    scanner = site.connected("scanner-1")
    thief = site.connected("scanner-2", client_id="scanner-1")
    assert thief.publish(f"{SITE}/device/scanner-1/scan") == DENIED
    assert thief.publish(f"{SITE}/device/scanner-2/scan") != DENIED
    assert scanner.publish(f"{SITE}/device/scanner-1/scan") != DENIED
    assert not scanner.gone.is_set()
    thief.leave()
    scanner.leave()


def test_a_foreign_password_ends_nobodys_session(site: Guarded) -> None:
    scanner = site.client_by_password("pass-1", site.password("pass-1"))
    assert scanner.connect() == "Success"
    thief = site.client_by_password("pass-2", site.password("pass-2"), client_id="pass-1")
    assert thief.connect() == "Success"  # as itself: its own word about its id does not count
    assert thief.publish(f"{SITE}/device/pass-1/scan") == DENIED
    assert thief.publish(f"{SITE}/device/pass-2/scan") != DENIED
    assert scanner.publish(f"{SITE}/device/pass-1/scan") != DENIED
    assert scanner.publish(f"{SITE}/device/pass-2/scan") == DENIED
    assert not scanner.gone.is_set()


@pytest.mark.parametrize(
    ("name", "password"),
    [("pass-1", "wrong"), ("nobody", "x"), ("scanner-1", ""), ("_broker", "x"), ("broker", "x")],
)
def test_a_wrong_password_is_refused(site: Guarded, name: str, password: str) -> None:
    assert site.client_by_password(name, password).connect() == DENIED


def test_nobody_comes_in_without_a_name(site: Guarded) -> None:
    port = site.process.config.password_port
    nameless = EnrolledClient(port, site.client("").client._ssl_context, "x")
    assert nameless.connect() == DENIED
    assert "certificate required" in site.client("").connect() or True


def test_a_certificate_of_another_ca_is_refused(site: Guarded, tmp_path: Path) -> None:
    other = init_keyring(tmp_path / "keys", SystemClock(), ["localhost"])
    other.enrol(Wish(name="scanner-1", kind=Kind.SCANNER))
    assert site.client("scanner-1", ring=other).connect() != "Success"


def test_an_expired_certificate_is_refused(site: Guarded, tmp_path: Path) -> None:
    past = ShiftedClock(SystemClock())
    past.ahead_ns = -round(timedelta(days=40).total_seconds()) * NS_PER_S
    Keyring(site.ring.folder, past).enrol(Wish(name="old", kind=Kind.SCANNER, days=30))
    assert site.client("old").connect() != "Success"


def shake_hands(port: int, context: ssl.SSLContext, host: str) -> None:
    """Open a connection, as whoever trusts only what `context` trusts, and close it."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as line,
        context.wrap_socket(line, server_hostname=host),
    ):
        pass


def test_a_broker_of_another_ca_is_not_trusted(site: Guarded, tmp_path: Path) -> None:
    other = init_keyring(tmp_path / "keys", SystemClock(), ["localhost"])
    stranger = tls_context(TlsFiles(ca=str(other.ca_file)))
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        shake_hands(site.process.port, stranger, "localhost")


def test_a_name_that_the_brokers_certificate_lacks_is_not_trusted(site: Guarded) -> None:
    shake_hands(site.process.port, tls_context(site.tls()), "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(site.process.port, tls_context(site.tls()), "broker.example")


def test_less_than_tls_1_2_is_not_spoken(site: Guarded) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        shake_hands(site.process.port, old, "localhost")


def test_a_plain_client_gets_no_answer_on_either_port(site: Guarded) -> None:
    for port in (site.process.port, site.process.config.password_port):
        assert not answers_mqtt("127.0.0.1", port)
    with socket.create_connection(("127.0.0.1", site.process.port), timeout=WAIT_S):
        assert site.connected("shop").publish(f"{SITE}/shop/order") != DENIED


def test_64_kib_are_taken_and_one_byte_more_is_not(site: Guarded) -> None:
    central, shop = (
        site.connected("central"),
        site.connected("shop", protocol=MQTTProtocolVersion.MQTTv311),
    )
    assert central.subscribe(f"{SITE}/shop/order") == "Granted QoS 1"
    shop.publish(f"{SITE}/shop/order", bytes(65_537))
    assert shop.publish(f"{SITE}/shop/order", bytes(65_536)) == "Success"
    assert len(central.next().payload) == 65_536
    central.leave()
    shop.leave()


def test_a_process_says_which_subscriptions_it_is_refused(site: Guarded) -> None:
    runtime = LiveRuntime()
    link = BrokerConfig(host="localhost", port=site.process.port, tls=site.tls("scanner-2"))
    heard = threading.Event()
    with capture_logs() as logs:
        bus = runtime.bus(bus_options(link, "scanner-2"))
        lane = runtime.lane("test")
        bus.subscribe(f"{SITE}/edge/A/command", lane, lambda _messages: None)
        bus.subscribe(f"{SITE}/device/scanner-2/feedback", lane, lambda _messages: heard.set())
        bus.start()
        edge = site.connected("A")
        for _ in range(20):
            edge.publish(f"{SITE}/device/scanner-2/feedback")
            if heard.wait(0.5):
                break
        bus.stop()
        runtime.close()
    refused = [row["topics"] for row in logs if "refused subscriptions" in row["event"]]
    assert refused == [[f"{SITE}/edge/A/command"]]
    edge.leave()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Guarded]:
    """A broker of this test's own."""
    with guarded(tmp_path) as broker:
        yield broker


def test_who_is_revoked_is_cut_off_and_others_stay(fresh: Guarded) -> None:
    for name in ("scanner-1", "scanner-2"):
        fresh.enrol(name, Kind.SCANNER)
    for name in ("pass-1", "pass-2"):
        fresh.enrol(name, Kind.SCANNER, by="password")
    password = fresh.password("pass-1")
    context = tls_context(fresh.tls("scanner-1"))
    assert fresh.process.follow_keys() == "let in: pass-1, pass-2, scanner-1, scanner-2"
    gone = [fresh.connected("scanner-1"), fresh.client_by_password("pass-1", password)]
    stay = [
        fresh.connected("scanner-2"),
        fresh.client_by_password("pass-2", fresh.password("pass-2")),
    ]
    assert gone[1].connect() == stay[1].connect() == "Success"

    fresh.ring.revoke("scanner-1")
    fresh.ring.revoke("pass-1")
    assert fresh.process.follow_keys() == "refused from now on: pass-1, scanner-1"
    assert all(client.gone.wait(WAIT_S) for client in gone)
    assert EnrolledClient(fresh.process.port, context, "scanner-1").connect() != "Success"
    assert fresh.client_by_password("pass-1", password).connect() == DENIED
    for name, client in zip(("scanner-2", "pass-2"), stay, strict=True):
        assert client.publish(f"{SITE}/device/{name}/scan") != DENIED
        assert not client.gone.is_set()

    fresh.enrol("scanner-1", Kind.SCANNER)
    assert fresh.process.follow_keys() == "let in: scanner-1"
    assert fresh.connected("scanner-1").publish(f"{SITE}/device/scanner-1/scan") != DENIED
    assert EnrolledClient(fresh.process.port, context, "scanner-1").connect() != "Success"
    assert fresh.process.follow_keys() == ""


def test_what_was_revoked_stays_refused_when_the_broker_starts_again(fresh: Guarded) -> None:
    fresh.enrol("scanner-1", Kind.SCANNER)
    context = tls_context(fresh.tls("scanner-1"))
    fresh.process.follow_keys()
    fresh.ring.revoke("scanner-1")
    fresh.enrol("scanner-2", Kind.SCANNER)
    fresh.process.stop()
    fresh.process.start()
    assert EnrolledClient(fresh.process.port, context, "scanner-1").connect() != "Success"
    assert fresh.connected("scanner-2").publish(f"{SITE}/device/scanner-2/scan") != DENIED


def test_a_last_will_on_anothers_topic_is_not_spoken(site: Guarded) -> None:
    desk, scanner = site.connected("desk"), site.connected("scanner-1")
    desk.subscribe(f"{SITE}/device/+/status")
    thief = site.client("scanner-2")
    thief.client.will_set(f"{SITE}/device/scanner-1/status", b"dead", qos=1)
    assert thief.connect() == "Success"
    thief.vanish()
    honest = site.client("scanner-2")
    honest.client.will_set(f"{SITE}/device/scanner-2/status", b"gone", qos=1)
    assert honest.connect() == "Success"
    honest.vanish()
    assert desk.next().payload == b"gone"
    assert desk.inbox.empty()
    desk.leave()
    scanner.leave()
