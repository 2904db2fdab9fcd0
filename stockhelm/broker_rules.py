"""What mosquitto is told of the enrolled: the dynamic-security rules and the password file.

Default deny; one role per name, made from `wire.rights`. The rules change while the broker runs, by
commands of the plugin; passwords and the CRL are read again at SIGHUP.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from runtime.clock import NS_PER_S, Clock
from runtime.errors import StartError
from stockhelm.keyring import Enrolled
from wire.rights import Rights, rights_of

PLUGIN_PLACES: Final = (
    "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/aarch64-linux-gnu/mosquitto_dynamic_security.so",
    "/usr/lib/arm-linux-gnueabihf/mosquitto_dynamic_security.so",
    "/usr/lib/mosquitto_dynamic_security.so",
    "/usr/local/lib/mosquitto_dynamic_security.so",
)
CONTROLLER: Final = "_broker"
"""Us, on a socket of our own; no enrolled name begins with an underscore."""
CONTROL_TOPIC: Final = "$CONTROL/dynamic-security/v1"
ANSWER_S_MAX: Final = 5.0
LOOP_S: Final = 0.05
MESSAGE_BYTES: Final = 32 * 1024  # of commands together: half of what the broker takes
Acl = dict[str, Any]


class ControlError(StartError):
    """The broker did not take new rules; the text says what it answered."""


def find_plugin() -> Path | None:
    """Return where mosquitto's dynamic-security plugin is."""
    return next((Path(place) for place in PLUGIN_PLACES if Path(place).is_file()), None)


class Rules:
    """What the enrolled may do on the broker of one site."""

    def __init__(self, enrolled: Mapping[str, Enrolled], *, site: str, interface: str) -> None:
        self._enrolled = dict(enrolled)
        self._rights = {
            name: rights_of(row.identity, site=site, interface=interface)
            for name, row in self._enrolled.items()
        }

    @property
    def names(self) -> frozenset[str]:
        """Return who may come in."""
        return frozenset(self._enrolled)

    def state(self) -> bytes:
        """Return the file that the plugin begins with."""
        control = Rights(publish=("$CONTROL/#",), subscribe=("$CONTROL/#",))
        roles = {CONTROLLER: control, **self._rights}
        return msgspec.json.encode(
            {
                "defaultACLAccess": {
                    "publishClientSend": False,
                    "publishClientReceive": False,
                    "subscribe": False,
                    "unsubscribe": True,
                },
                "clients": [
                    {"username": name, "clientid": name, "roles": [{"rolename": name}]}
                    for name in roles
                ],
                "groups": [],
                "roles": [
                    {"rolename": name, "acls": acls_of(rights)} for name, rights in roles.items()
                ],
            }
        )

    def passwords(self, controller_hash: str) -> str:
        """Return the text of the password file."""
        hashes = {name: row.password_hash for name, row in self._enrolled.items()}
        lines = [f"{name}:{text}\n" for name, text in hashes.items() if text]
        return "".join([f"{CONTROLLER}:{controller_hash}\n", *lines])

    def commands_from(self, before: Rules) -> list[dict[str, Any]]:
        """Return what the plugin is told so that what held `before` becomes this.

        Who is taken away is also disconnected by it.
        """
        commands: list[dict[str, Any]] = []
        for name, row in before._enrolled.items():
            if self._enrolled.get(name) != row:
                commands.append({"command": "deleteClient", "username": name})
                commands.append({"command": "deleteRole", "rolename": name})
        for name, row in self._enrolled.items():
            if before._enrolled.get(name) != row:
                acls = acls_of(self._rights[name])
                commands.append({"command": "createRole", "rolename": name, "acls": acls})
                client = {"username": name, "clientid": name, "roles": [{"rolename": name}]}
                commands.append({"command": "createClient", **client})
        return commands


def acls_of(rights: Rights) -> list[Acl]:
    """Return rights as the plugin keeps them."""

    def acl(kind: str, topic: str) -> Acl:
        return {"acltype": kind, "topic": topic, "priority": 0, "allow": True}

    acls = [acl("publishClientSend", topic) for topic in rights.publish]
    for topic in rights.subscribe:
        acls += [acl("subscribePattern", topic), acl("publishClientReceive", topic)]
    return acls


def _parts(commands: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the commands in groups that one message takes."""
    part: list[dict[str, Any]] = []
    size = 0
    for command in commands:
        length = len(msgspec.json.encode(command))
        if part and size + length > MESSAGE_BYTES:
            yield part
            part, size = [], 0
        part.append(command)
        size += length
    if part:
        yield part


class Controller:
    """Tells a running broker new rules, over its control socket in `directory`."""

    def __init__(self, directory: Path, socket_name: str, password: str, clock: Clock) -> None:
        self._directory = directory
        self._socket_name = socket_name
        self._password = password
        self._clock = clock

    def answers(self) -> bool:
        """Return whether the broker lets us in."""
        try:
            self.tell([])
        except (ControlError, OSError):
            return False
        return True

    def tell(self, commands: list[dict[str, Any]]) -> None:
        """Have the plugin do `commands`. Raises ControlError where it did not do all."""
        # A socket's path may have 107 characters: this one is short wherever the folder lies.
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            path = f"/proc/self/fd/{folder}/{self._socket_name}"
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(path)  # paho leaves its socket open where nobody listens
            _Talk(path, self._password, self._clock).tell(commands)
        finally:
            os.close(folder)


class _Talk:
    """One connection: in, commands and their answers, out. It needs no thread."""

    def __init__(self, path: str, password: str, clock: Clock) -> None:
        self._clock = clock
        self._accepted = self._listens = False
        self._answers: list[bytes] = []
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=CONTROLLER, transport="unix")
        self._client.username_pw_set(CONTROLLER, password)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._answered
        self._client.connect(path, port=1)

    def tell(self, commands: list[dict[str, Any]]) -> None:
        try:
            self._wait(lambda: self._accepted, "did not let us in")
            if not commands:
                return
            self._client.subscribe(f"{CONTROL_TOPIC}/response", 1)
            self._wait(lambda: self._listens, "did not let us listen")
            for part in _parts(commands):
                self._send(part)
        finally:
            self._client.disconnect()
            self._client.loop(LOOP_S)
            self._client.reinitialise()  # closes its sockets now, not when it is collected

    def _send(self, commands: list[dict[str, Any]]) -> None:
        before = len(self._answers)
        self._client.publish(CONTROL_TOPIC, msgspec.json.encode({"commands": commands}), 1)
        self._wait(lambda: len(self._answers) > before, "did not answer")
        told = msgspec.json.decode(self._answers[-1])["responses"]
        wrong = [f"{one['command']}: {one['error']}" for one in told if "error" in one]
        if wrong:
            raise ControlError(f"the broker did not take its new rules: {'; '.join(wrong[:5])}")

    def _wait(self, done: Callable[[], bool], what: str) -> None:
        until_ns = self._clock.monotonic_ns() + round(ANSWER_S_MAX * NS_PER_S)
        while not done():
            code = self._client.loop(LOOP_S)
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS or self._clock.monotonic_ns() > until_ns:
                raise ControlError(f"the broker {what} on its control socket ({code.name})")

    def _connected(self, *values: Any) -> None:
        self._accepted = not values[3].is_failure

    def _subscribed(self, *_: Any) -> None:
        self._listens = True

    def _answered(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._answers.append(bytes(message.payload))
