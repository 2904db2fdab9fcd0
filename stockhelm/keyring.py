"""The folder of `stockhelm keys`: a small CA and who is enrolled, by certificate or password.

    ca.crt  ca.key  crl.pem  enrolled.json  issued/NAME.crt  issued/NAME.key  issued/NAME.password

Private keys and passwords are readable by their owner alone. Nothing that is there is overwritten:
`enrol` refuses a name that is enrolled, `revoke` takes its files away.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from runtime.clock import Clock
from runtime.errors import StartError
from runtime.one_at_a_time import hold_folder
from stockhelm.certificates import CA_DAYS, LEAF_DAYS, LEAF_DAYS_MAX, Authority, make_authority
from wire.ids import IdError, parse_name
from wire.messages import EDGE_DEVICES_MAX
from wire.rights import Identity, Kind

ENROLLED_MAX: Final = 100_000
HOSTS_MAX: Final = 20
DEVICES_MAX: Final = EDGE_DEVICES_MAX
"""Of one edge; one with more is enrolled without them, for all of the site."""
HOST_PATTERN: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?|::1?")
PASSWORD_BYTES: Final = 20
SALT_BYTES: Final = 12  # mosquitto 2.0 takes no other length
ITERATIONS: Final = 1_000  # of 160 random bits nothing can be guessed; a broker hashes each connect
_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644


class KeysError(StartError):
    """It was not done; the text says why and what to do."""


class KeysUsageError(KeysError):
    """It cannot be done as asked: a name, kind or option is wrong."""


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """One row of enrolled.json."""

    name: str
    kind: Kind
    by: Literal["certificate", "password"]
    enrolled_at_ns: int
    expires_at_ns: int = 0
    """Of a certificate; 0: a password, which lasts until it is revoked."""
    revoked_at_ns: int = 0
    """0: it is not."""
    serial: str = ""
    """Of the certificate, hexadecimal."""
    password_hash: str = ""
    """As mosquitto keeps it."""
    hosts: tuple[str, ...] = ()
    person: str = ""
    manufacturer: str = ""
    serial_number: str = ""
    devices: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        """Return who it is to the broker."""
        return Identity(
            name=self.name,
            kind=self.kind,
            person=self.person,
            manufacturer=self.manufacturer,
            serial=self.serial_number,
            devices=self.devices,
        )

    def state(self, now_ns: int) -> str:
        """Return `valid`, `expired` or `revoked`."""
        if self.revoked_at_ns:
            return "revoked"
        return "expired" if 0 < self.expires_at_ns <= now_ns else "valid"


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1] = 1
    rows: Annotated[tuple[Enrolled, ...], msgspec.Meta(max_length=ENROLLED_MAX)] = ()


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of `enrol`."""

    name: str
    kind: Kind
    by: Literal["certificate", "password"] = "certificate"
    days: int = LEAF_DAYS
    hosts: tuple[str, ...] = ()
    person: str = ""
    manufacturer: str = ""
    serial_number: str = ""
    devices: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise KeysUsageError where it cannot be done as asked."""
        try:
            parse_name(self.name, "name")
            for what in ("person", "manufacturer", "serial_number"):
                if getattr(self, what):
                    parse_name(getattr(self, what), what.replace("_", " "))
            for device in self.devices:
                parse_name(device, "device")
        except IdError as error:
            raise KeysUsageError(str(error)) from error
        if not 1 <= self.days <= LEAF_DAYS_MAX:
            raise KeysUsageError(f"--days {self.days}: expected 1 to {LEAF_DAYS_MAX}")
        if (self.kind is Kind.ROBOT) != bool(self.manufacturer):
            raise KeysUsageError(
                f"{self.name}: a robot, and nobody else, needs --manufacturer: its VDA 5050 topics"
                " are interface/v2/MANUFACTURER/SERIAL/..."
            )
        if self.person and self.kind is not Kind.SCANNER:
            raise KeysUsageError(f"{self.name}: --person is for scanners, got --kind {self.kind}")
        if self.devices and self.kind is not Kind.EDGE:
            raise KeysUsageError(f"{self.name}: --device is for edges, got --kind {self.kind}")
        if len(self.devices) > DEVICES_MAX:
            raise KeysUsageError(
                f"--device: expected at most {DEVICES_MAX}, got {len(self.devices)}; without any,"
                " an edge answers all devices of the site"
            )
        if self.kind is Kind.BROKER and not self.hosts:
            raise KeysUsageError(f"{self.name}: a broker needs --host, as clients name it")
        if self.by == "password" and (self.hosts or self.kind is Kind.BROKER):
            raise KeysUsageError(f"{self.name}: a server (--host) needs a certificate")
        _check_hosts(self.hosts)


def _check_hosts(hosts: Sequence[str]) -> None:
    if len(hosts) > HOSTS_MAX:
        raise KeysUsageError(f"--host: expected at most {HOSTS_MAX}, got {len(hosts)}")
    for host in hosts:
        if not HOST_PATTERN.fullmatch(host):
            raise KeysUsageError(f"--host {host!r}: expected a host name or an address")


class Keyring:
    """The folder, opened."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        if not self.registry_file.is_file():
            raise KeysError(
                f"{folder}: expected a folder of keys, found no {self.registry_file.name} in it:"
                f" make one with `stockhelm keys init {folder}`"
            )

    @property
    def registry_file(self) -> Path:
        """Return the file that says who is enrolled: it changes with each of them."""
        return self.folder / "enrolled.json"

    @property
    def ca_file(self) -> Path:
        """Return the file that everybody needs who checks a certificate of this CA."""
        return self.folder / "ca.crt"

    @property
    def crl_file(self) -> Path:
        """Return the list of revoked certificates."""
        return self.folder / "crl.pem"

    def issued_file(self, name: str, ending: str) -> Path:
        """Return where a certificate (`crt`), a `key` or a `password` of `name` lies."""
        return self.folder / "issued" / f"{name}.{ending}"

    def rows(self) -> tuple[Enrolled, ...]:
        """Return everybody who is or was enrolled, the oldest first."""
        try:
            return msgspec.json.decode(self.registry_file.read_bytes(), type=_File).rows
        except OSError as error:
            raise KeysError(f"{self.registry_file}: cannot be read: {error.strerror}") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise KeysError(
                f"{self.registry_file}: is not what `stockhelm keys` wrote: {error}; take it from"
                " a backup"
            ) from error

    def valid(self) -> dict[str, Enrolled]:
        """Return who may connect now, by name."""
        now_ns = self._clock.now_ns()
        return {row.name: row for row in self.rows() if row.state(now_ns) == "valid"}

    def enrol(self, wish: Wish) -> tuple[Enrolled, list[Path]]:
        """Enrol somebody; return the row and the files that go to the device.

        Raises KeysUsageError for a wrong wish, KeysError where the name is enrolled already.
        """
        wish.check()
        with self._held():
            rows = self.rows()
            now_ns = self._clock.now_ns()
            self._refuse_known(wish, rows, now_ns)
            row = Enrolled(
                name=wish.name, kind=wish.kind, by=wish.by, enrolled_at_ns=now_ns,
                hosts=wish.hosts, person=wish.person, manufacturer=wish.manufacturer,
                serial_number=wish.serial_number, devices=tuple(sorted(set(wish.devices))),
            )  # fmt: skip
            if wish.by == "password":
                password = base64.b32encode(os.urandom(PASSWORD_BYTES)).decode().lower()
                row = msgspec.structs.replace(row, password_hash=hash_password(password))
                texts = {"password": (password.encode() + b"\n", _PRIVATE)}
            else:
                issued = self._authority().issue(
                    wish.name, wish.kind, now_ns=now_ns, days=wish.days, hosts=wish.hosts
                )
                row = msgspec.structs.replace(
                    row, serial=issued.serial, expires_at_ns=issued.expires_at_ns
                )
                texts = {"crt": (issued.certificate, _PUBLIC), "key": (issued.key, _PRIVATE)}
            files = []
            for ending, (text, mode) in texts.items():
                files.append(self.issued_file(wish.name, ending))
                _write(files[-1], text, mode)
            self._save((*rows, row))
            return row, files

    def renew(self, name: str, days: int) -> tuple[Enrolled, list[Path]]:
        """Make a new certificate and key for a name that has one; return the row and the files.

        The old certificate is good until its own day: nobody is cut off before the new one is on
        the device. Raises KeysUsageError for wrong days, KeysError where there is none to renew.
        """
        if not 1 <= days <= LEAF_DAYS_MAX:
            raise KeysUsageError(f"--days {days}: expected 1 to {LEAF_DAYS_MAX}")
        with self._held():
            rows = self.rows()
            now_ns = self._clock.now_ns()
            found = [row for row in rows if row.name == name and not row.revoked_at_ns]
            if not found:
                raise KeysError(
                    f"{name!r} is not enrolled:"
                    f" `stockhelm keys enrol --dir {self.folder} {name} --kind KIND` makes it"
                )
            old = found[-1]
            if old.by == "password":
                raise KeysError(f"{name!r} has a password: that lasts until it is revoked")
            issued = self._authority().issue(
                name, old.kind, now_ns=now_ns, days=days, hosts=old.hosts
            )
            row = msgspec.structs.replace(
                old, serial=issued.serial, enrolled_at_ns=now_ns, expires_at_ns=issued.expires_at_ns
            )
            # First the row: what is on the disk can always be revoked.
            self._save((*rows, row))
            files = [self.issued_file(name, ending) for ending in ("key", "crt")]
            _replace(files[0], issued.key, _PRIVATE)
            _replace(files[1], issued.certificate, _PUBLIC)
            return row, files

    def revoke(self, name: str) -> Enrolled:
        """Revoke what `name` has; its files here go. Raises KeysError where it has nothing."""
        with self._held():
            rows = list(self.rows())
            found = [i for i, row in enumerate(rows) if row.name == name and not row.revoked_at_ns]
            if not found:
                was = any(row.name == name for row in rows)
                raise KeysError(
                    f"{name!r} {'is revoked already' if was else 'was never enrolled'}: nothing to"
                    f" do (`stockhelm keys list --dir {self.folder}` shows who is enrolled)"
                )
            for i in found:
                rows[i] = msgspec.structs.replace(
                    rows[i], revoked_at_ns=self._clock.now_ns(), password_hash=""
                )
            # The CRL first: who is told that a name is revoked finds it refused.
            self._write_crl(rows)
            self._save(rows)
            for ending in ("crt", "key", "password"):
                self.issued_file(name, ending).unlink(missing_ok=True)
            return rows[found[-1]]

    def _refuse_known(self, wish: Wish, rows: Sequence[Enrolled], now_ns: int) -> None:
        for row in rows:
            if row.name == wish.name and row.state(now_ns) != "revoked":
                raise KeysError(
                    f"{wish.name!r} is enrolled already, as {row.kind} by {row.by}"
                    f" ({row.state(now_ns)}):"
                    f" `stockhelm keys revoke --dir {self.folder} {wish.name}` first"
                )
        for ending in ("crt", "key", "password"):
            file = self.issued_file(wish.name, ending)
            if file.exists():
                raise KeysError(f"{file} is there already: move it away, nothing is overwritten")

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep the folder to this command, and name the file that the system refuses."""
        try:
            with hold_folder(self.folder, "stockhelm keys"):
                yield
        except OSError as error:
            raise KeysError(f"{error.filename or self.folder}: {error.strerror}") from error

    def _authority(self) -> Authority:
        key = self.folder / "ca.key"
        try:
            found = Authority(self.ca_file.read_bytes(), key.read_bytes())
        except ValueError as error:
            raise KeysError(
                f"{key}: expected the key of {self.ca_file}: {error}; take both from a backup"
            ) from error
        if found.expires_at_ns <= self._clock.now_ns():
            raise KeysError(
                f"{self.ca_file}: the CA's {CA_DAYS} days are over: make a new folder with"
                " `stockhelm keys init` and enrol everybody anew"
            )
        return found

    def _write_crl(self, rows: Sequence[Enrolled]) -> None:
        revoked = [(row.serial, row.revoked_at_ns) for row in rows if row.revoked_at_ns]
        certificates = [(serial, at_ns) for serial, at_ns in revoked if serial]
        text = self._authority().revocations(certificates, self._clock.now_ns())
        _replace(self.crl_file, text, _PUBLIC)

    def _save(self, rows: Sequence[Enrolled]) -> None:
        if len(rows) > ENROLLED_MAX:
            raise KeysError(f"{self.registry_file}: {ENROLLED_MAX} rows are all that it takes")
        text = msgspec.json.format(msgspec.json.encode(_File(rows=tuple(rows))), indent=1)
        _replace(self.registry_file, text + b"\n", _PRIVATE)


def init_keyring(folder: Path, clock: Clock, hosts: Sequence[str]) -> Keyring:
    """Make a folder with a new CA and a certificate for the broker on `hosts`; return it.

    Raises KeysError where something of it is there already.
    """
    _check_hosts(hosts)
    made = make_authority(clock.now_ns())
    try:
        (folder / "issued").mkdir(parents=True, exist_ok=True)
        for file in (folder / "ca.key", folder / "ca.crt", folder / "enrolled.json"):
            if file.exists():
                raise KeysError(
                    f"{file} is there already: nothing is overwritten; name another folder"
                )
        _write(folder / "ca.key", made.key, _PRIVATE)
        _write(folder / "ca.crt", made.certificate, _PUBLIC)
        crl = Authority(made.certificate, made.key).revocations((), clock.now_ns())
        _write(folder / "crl.pem", crl, _PUBLIC)
        _write(folder / "enrolled.json", msgspec.json.encode(_File()) + b"\n", _PRIVATE)
    except OSError as error:
        raise KeysError(
            f"{error.filename or folder}: expected a folder that can be made and written:"
            f" {error.strerror}"
        ) from error
    ring = Keyring(folder, clock)
    ring.enrol(Wish(name="broker", kind=Kind.BROKER, hosts=tuple(hosts), days=LEAF_DAYS_MAX))
    return ring


def hash_password(password: str) -> str:
    """Return a password as mosquitto keeps it: PBKDF2 with SHA-512 and a salt of its own."""
    salt = os.urandom(SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    salt_text, digest_text = (base64.b64encode(part).decode() for part in (salt, digest))
    return f"$7${ITERATIONS}${salt_text}${digest_text}"


def _write(file: Path, text: bytes, mode: int) -> None:
    """Write a new file; FileExistsError where it is there."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _replace(file: Path, text: bytes, mode: int) -> None:
    """Write a file anew, whole or not at all."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    _write(fresh, text, mode)
    fresh.replace(file)
