"""`stockhelm keys`: what it makes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from runtime.broker_link import BrokerConfig, bus_options
from runtime.bus import TlsFiles
from runtime.errors import StartError
from runtime.mqtt import tls_context
from stockhelm.cli import app


def keys(*arguments: str | Path) -> tuple[int, str]:
    """Return exit code and all that was said."""
    done = CliRunner().invoke(app, ["keys", *map(str, arguments)])
    return done.exit_code, done.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    code, said = keys("init", made, "--host", "localhost", "--host", "10.0.0.7")
    assert code == 0, said
    return made


def certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def test_a_new_ca_is_small_and_its_keys_are_private(folder: Path) -> None:
    ca = certificate(folder / "ca.crt")
    key = ca.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert 3_640 < (ca.not_valid_after_utc - ca.not_valid_before_utc).days < 3_660
    for file in ("ca.key", "enrolled.json", "issued/broker.key"):
        assert (folder / file).stat().st_mode & 0o777 == 0o600, file
    names = certificate(folder / "issued/broker.crt").extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == ["10.0.0.7"]


def test_nothing_is_overwritten(folder: Path) -> None:
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    code, said = keys("init", folder)
    assert code == 1
    assert "ca.key is there already: nothing is overwritten" in said
    code, said = keys("enrol", "--dir", folder, "broker", "--kind", "scanner")
    assert code == 1
    assert "'broker' is enrolled already, as broker by certificate (valid)" in said
    assert f"`stockhelm keys revoke --dir {folder} broker` first" in said
    assert {f: f.read_bytes() for f in before if f.name != "in-use.lock"} == {
        f: text for f, text in before.items() if f.name != "in-use.lock"
    }
    (folder / "issued" / "mine.key").write_text("mine")
    code, said = keys("enrol", "--dir", folder, "mine", "--kind", "scanner")
    assert code == 1
    assert "mine.key is there already: move it away" in said


def test_a_certificate_is_renewed_and_both_are_revoked_together(folder: Path) -> None:
    enrol = ("enrol", "--dir", folder, "scanner-1", "--kind", "scanner", "--days", "3")
    assert keys(*enrol)[0] == 0
    assert "(2 days left: `stockhelm keys renew`)" in keys("list", "--dir", folder)[1]
    old = certificate(folder / "issued/scanner-1.crt")
    code, said = keys("renew", "--dir", folder, "scanner-1", "--days", "60")
    assert code == 0, said
    new = certificate(folder / "issued/scanner-1.crt")
    assert new.subject == old.subject
    assert new.serial_number != old.serial_number
    assert (new.not_valid_after_utc - new.not_valid_before_utc).days >= 60
    assert (folder / "issued/scanner-1.key").stat().st_mode & 0o777 == 0o600
    assert keys("revoke", "--dir", folder, "scanner-1")[0] == 0
    crl = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    assert {row.serial_number for row in crl} == {old.serial_number, new.serial_number}


def test_what_cannot_be_renewed_is_said(folder: Path) -> None:
    assert keys("enrol", "--dir", folder, "p", "--kind", "scanner", "--password")[0] == 0
    code, said = keys("renew", "--dir", folder, "p")
    assert (code, "has a password" in said) == (1, True)
    code, said = keys("renew", "--dir", folder, "nobody")
    assert (code, "'nobody' is not enrolled" in said) == (1, True)
    assert keys("renew", "--dir", folder, "broker", "--days", "0")[0] == 2


def test_somebody_is_enrolled_revoked_and_enrolled_again(folder: Path) -> None:
    enrol = ("enrol", "--dir", folder, "scanner-1", "--kind", "scanner", "--days", "30")
    code, said = keys(*enrol)
    assert code == 0, said
    assert "scanner scanner-1 enrolled by certificate, valid until 20" in said
    first = certificate(folder / "issued/scanner-1.crt")
    assert (first.not_valid_after_utc - first.not_valid_before_utc).days == 30
    code, said = keys("revoke", "--dir", folder, "scanner-1")
    assert code == 0, said
    assert not (folder / "issued/scanner-1.key").exists()
    crl = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    assert [row.serial_number for row in crl] == [first.serial_number]
    code, said = keys("revoke", "--dir", folder, "scanner-1")
    assert code == 1
    assert "'scanner-1' is revoked already" in said
    assert keys(*enrol)[0] == 0
    code, said = keys("list", "--dir", folder, "--json")
    assert code == 0
    told = json.loads(said)
    assert [(row["name"], row["state"]) for row in told] == [
        ("broker", "valid"),
        ("scanner-1", "revoked"),
        ("scanner-1", "valid"),
    ]
    assert "scanner-1" in keys("list", "--dir", folder)[1]


def test_a_password_is_told_once_and_kept_only_as_a_hash(folder: Path) -> None:
    code, said = keys("enrol", "--dir", folder, "s2", "--kind", "scanner", "--password")
    assert code == 0, said
    file = folder / "issued" / "s2.password"
    password = file.read_text().strip()
    assert len(password) == 32
    assert file.stat().st_mode & 0o777 == 0o600
    assert password not in (folder / "enrolled.json").read_text()
    assert "$7$" not in keys("list", "--dir", folder, "--json")[1]
    assert keys("revoke", "--dir", folder, "s2")[0] == 0
    assert "$7$" not in (folder / "enrolled.json").read_text()
    assert not file.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a/b", "--kind", "scanner"), "name 'a/b': expected 1 to 40 letters"),
        (("+", "--kind", "scanner"), "name '+': expected 1 to 40 letters"),
        (("_broker", "--kind", "scanner"), "name '_broker': expected 1 to 40 letters"),
        (("a" * 41, "--kind", "scanner"), "expected 1 to 40 letters"),
        (("a", "--kind", "robot"), "a robot, and nobody else, needs --manufacturer"),
        (("a", "--kind", "edge", "--manufacturer", "M"), "a robot, and nobody else, needs"),
        (("a", "--kind", "edge", "--person", "p1"), "--person is for scanners"),
        (("a", "--kind", "scanner", "--device", "b"), "--device is for edges"),
        (("a", "--kind", "edge", "--device", "b/c"), "device 'b/c': expected 1 to 40 letters"),
        (("a", "--kind", "scanner", "--days", "0"), "--days 0: expected 1 to 3650"),
        (("a", "--kind", "scanner", "--password", "--certificate"), "got both"),
        (("a", "--kind", "scanner", "--password", "--days", "3"), "--days is for certificates"),
        (("a", "--kind", "desk", "--password", "--host", "h"), "a server (--host) needs a"),
        (("a", "--kind", "broker"), "a broker needs --host"),
        (("a", "--kind", "desk", "--host", "a b"), "--host 'a b': expected a host name"),
    ],
)
def test_a_wrong_wish_ends_with_2(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    code, told = keys("enrol", "--dir", folder, *arguments)
    assert code == 2, told
    assert said in told
    assert len(list((folder / "issued").iterdir())) == 2


def test_a_folder_without_keys_is_named(tmp_path: Path) -> None:
    code, said = keys("list", "--dir", tmp_path)
    assert code == 1
    assert f"make one with `stockhelm keys init {tmp_path}`" in said
    assert keys("revoke", "--dir", tmp_path, "x")[0] == 1
    assert keys("enrol", "--dir", tmp_path, "x")[0] == 2  # no --kind
    (tmp_path / "enrolled.json").write_text("{")
    code, said = keys("list", "--dir", tmp_path)
    assert code == 1
    assert "is not what `stockhelm keys` wrote" in said


def test_the_key_of_another_ca_is_refused(folder: Path, tmp_path: Path) -> None:
    assert keys("init", tmp_path / "other")[0] == 0
    (folder / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    code, said = keys("enrol", "--dir", folder, "s1", "--kind", "scanner")
    assert code == 1
    assert "it does not belong to the certificate" in said


def test_a_client_checks_certificate_and_host_name(folder: Path) -> None:
    ca, issued = str(folder / "ca.crt"), folder / "issued"
    context = tls_context(
        TlsFiles(ca=ca, certificate=str(issued / "broker.crt"), key=str(issued / "broker.key"))
    )
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(StartError, match=r"tls\.ca = 'absent': .*No such file"):
        tls_context(TlsFiles(ca="absent"))
    with pytest.raises(StartError, match=r"tls\.certificate = .*expected a certificate and its"):
        tls_context(TlsFiles(ca=ca, certificate=ca, key=str(issued / "broker.key")))


def test_a_process_takes_its_password_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    broker = BrokerConfig(
        username="A", password_file=str(file), tls=TlsFiles(ca=str(tmp_path / "ca.crt"))
    )
    options = bus_options(broker, "edge-FC1-A")
    assert (options.client_id, options.password) == ("A", "secret")
    assert bus_options(BrokerConfig(username="A"), "edge-FC1-A").client_id == "edge-FC1-A"
    file.unlink()
    with pytest.raises(StartError, match=r"broker\.password_file = .*No such file"):
        bus_options(broker, "edge-FC1-A")
