"""The door of a broker that others can reach: TLS, who is enrolled, what each of them may."""

from __future__ import annotations

import base64
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.clock import Clock
from runtime.errors import StartError
from stockhelm.broker_rules import Controller, Rules, find_plugin
from stockhelm.keyring import Enrolled, Keyring, hash_password
from wire.rights import Kind

CONTROL_SOCKET: Final = "control.sock"
PASSWORD_BYTES: Final = 20


class GuardError(StartError):
    """The broker cannot be opened to others as asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What of a broker's configuration is about who may come in."""

    host: str
    port: int
    password_port: int
    keys: Path
    identity: str
    site_id: str
    interface_name: str


class Guard:
    """Writes what mosquitto reads of the enrolled, and lets a running one follow them."""

    def __init__(self, door: Door, clock: Clock) -> None:
        self._door = door
        self._clock = clock
        self._keys = Keyring(door.keys, clock)
        plugin = find_plugin()
        if plugin is None:
            raise GuardError(
                "keys: expected mosquitto's plugin mosquitto_dynamic_security.so, found none: it"
                " comes with mosquitto 2 (`apt-get install mosquitto`)"
            )
        self._plugin = plugin
        self._password = base64.b32encode(os.urandom(PASSWORD_BYTES)).decode()
        self._hash = hash_password(self._password)
        self._rules = Rules({}, site=door.site_id, interface=door.interface_name)
        self._seen: tuple[int, int] = (0, 0)
        self._directory = Path()
        self._controller: Controller | None = None

    def prepare(self, directory: Path) -> list[str]:
        """Write rules and passwords into `directory`; return the settings of the listeners."""
        self._directory = directory
        self._controller = Controller(directory, CONTROL_SOCKET, self._password, self._clock)
        self._seen = self._stamp()
        self._rules = self._rules_now()
        _write_private(directory / "dynamic-security.json", self._rules.state())
        self._write_passwords()
        return self._settings()

    def is_ready(self) -> bool:
        """Return whether the broker answers on its control socket."""
        return self._controller is not None and self._controller.answers()

    def changed(self) -> bool:
        """Return whether somebody was enrolled or revoked since the broker was told."""
        return self._stamp() != self._seen

    def follow(self, pid: int) -> str:
        """Tell the running broker who is enrolled now; return that in words.

        A revoked certificate is in the CRL by then: mosquitto reads it, and the passwords, at
        SIGHUP. The plugin then disconnects who is taken away, so that they cannot come again.
        """
        assert self._controller is not None
        self._seen = self._stamp()
        before, self._rules = self._rules, self._rules_now()
        self._write_passwords()
        os.kill(pid, signal.SIGHUP)
        commands = self._rules.commands_from(before)
        if commands:
            self._controller.tell(commands)
        came = self._rules.names - before.names
        gone = before.names - self._rules.names
        parts = [f"let in: {', '.join(sorted(came))}"] if came else []
        parts += [f"refused from now on: {', '.join(sorted(gone))}"] if gone else []
        return "; ".join(parts) or "keys read again"

    def _settings(self) -> list[str]:
        door, directory, keys = self._door, self._directory, self._keys
        certificate = keys.issued_file(door.identity, "crt")
        key = keys.issued_file(door.identity, "key")
        lines = [
            "per_listener_settings false",
            "allow_anonymous false",
            f"plugin {self._plugin}",
            f"plugin_opt_config_file {directory / 'dynamic-security.json'}",
            f"password_file {directory / 'passwords'}",
            f"listener 0 {CONTROL_SOCKET}",
            f"listener {door.port} {door.host}",
            f"cafile {keys.ca_file}",
            f"crlfile {keys.crl_file}",
            f"certfile {certificate}",
            f"keyfile {key}",
            "tls_version tlsv1.2",
            "require_certificate true",
            "use_identity_as_username true",
            # A client's own words about its id do not count: nobody takes another's session.
            "use_username_as_clientid true",
        ]
        if door.password_port:
            lines += [
                f"listener {door.password_port} {door.host}",
                f"certfile {certificate}",
                f"keyfile {key}",
                "tls_version tlsv1.2",
                "use_username_as_clientid true",
            ]
        return lines

    def _rules_now(self) -> Rules:
        enrolled = self._keys.valid()
        self._check_identity(enrolled.get(self._door.identity))
        return Rules(
            {name: row for name, row in enrolled.items() if row.kind is not Kind.BROKER},
            site=self._door.site_id,
            interface=self._door.interface_name,
        )

    def _check_identity(self, row: Enrolled | None) -> None:
        if row is None or not row.hosts or row.by != "certificate":
            name, folder = self._door.identity, self._keys.folder
            raise GuardError(
                f"identity = {name!r}: expected who is enrolled in {folder} with a host's"
                f" certificate that is valid: `stockhelm keys enrol --dir {folder} {name} --kind"
                " broker --host HOST`"
            )

    def _write_passwords(self) -> None:
        text = self._rules.passwords(self._hash)
        _write_private(self._directory / "passwords", text.encode())

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._keys.registry_file.stat()
        except OSError:  # gone for a moment, or for good: who is enrolled stays so
            return self._seen
        return (found.st_mtime_ns, found.st_ino)


def _write_private(file: Path, text: bytes) -> None:
    """Write a file that its owner alone may read."""
    fresh = file.with_name(f".{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(text)
    fresh.replace(file)
