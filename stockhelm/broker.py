"""The MQTT broker as a child process: mosquitto, or the embedded one where mosquitto is not here.

Both are started with generated settings, listen on the loopback (mosquitto elsewhere too: with TLS,
and everybody only what their kind may), and end with the process that started them.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

import msgspec
import typer

from runtime.clock import SystemClock
from runtime.config import Folder, is_loopback
from runtime.errors import StartError
from runtime.service import notify
from stockhelm.broker_guard import Door, Guard
from stockhelm.dies_with_parent import with_parent
from stockhelm.keyring import KeysError
from wire.messages import PAYLOAD_BYTES_MAX, Name

if TYPE_CHECKING:
    from types import FrameType

# Sixteen times what stockhelm itself sends or takes (64 KiB). What is between the two reaches the
# receiver, which refuses it with a reason; only what is beyond is dropped by the broker, silently.
MESSAGE_BYTES_MAX: Final = 1 << 20
TOPIC_BYTES_MAX: Final = 65_536 + 5  # and header
QUEUED_MESSAGES_MAX: Final = 10_000  # per client that is away
QUEUED_BYTES_MAX: Final = 64 << 20
INFLIGHT_MESSAGES_MAX: Final = 200
SESSION_KEPT: Final = "1d"
LOG_BYTES_MAX: Final = 1 << 20
LOG_LINES_SHOWN: Final = 5

LOOK_EVERY_S: Final = 0.02
READY_LOOKS_MAX: Final = 1_000  # 20 s: a cold start of the embedded broker takes 2
CONNECT_S_MAX: Final = 2.0
STOP_S_MAX: Final = 3.0
WATCH_S: Final = 0.25

# Where Debian keeps servers; not on every user's PATH.
SERVER_PATH: Final = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])

# MQTT 3.1.1: CONNECT as "stockhelm-probe" (clean session, keep-alive 10 s), CONNACK accepted,
# DISCONNECT.
PROBE_CONNECT: Final = b"\x10\x1b\x00\x04MQTT\x04\x02\x00\x0a\x00\x0fstockhelm-probe"
PROBE_ANSWER: Final = b"\x20\x02"  # and two bytes: who wants a password refuses the probe
PROBE_ANSWER_BYTES: Final = 4
PROBE_DISCONNECT: Final = b"\xe0\x00"


class BrokerError(StartError):
    """The broker cannot run; the text says why and what to do."""


class BrokerConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a broker of ours runs."""

    directory: Folder
    """Where it keeps its settings, its log and what it stores."""
    host: str = "127.0.0.1"
    """The address it listens on; anything but the loopback needs `keys` and mosquitto."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 1883
    """The port it listens on; a busy one stops the start."""
    kind: Literal["auto", "mosquitto", "embedded"] = "auto"
    """`auto` takes mosquitto where it is installed, else the embedded broker."""
    password_file: str = ""
    """On the loopback: a file made by mosquitto_passwd. Without one everybody on this machine may
    connect."""
    keys: str = ""
    """The folder of `stockhelm keys`: then all is TLS, `port` is for those with a certificate, and
    who is not enrolled is refused. Empty: plain, on the loopback only."""
    password_port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """With `keys`: a second port with TLS, for those with a password; 0: none."""
    site_id: Name = "FC1"
    """With `keys`: the site whose topics the enrolled may use."""
    interface_name: Name = "uagv"
    """With `keys`: first level of the robots' VDA 5050 topics."""
    identity: Name = "broker"
    """With `keys`: whose certificate the broker shows."""

    def __post_init__(self) -> None:
        """Raise ValueError where two keys do not go together."""
        if self.keys and self.password_file:
            raise ValueError("password_file: expected none beside keys, which has the passwords")
        if self.password_port and not self.keys:
            raise ValueError("password_port: expected keys beside it, the folder of the enrolled")
        if self.password_port == self.port:
            raise ValueError(f"password_port = {self.port}: expected another than port")


class BrokerProcess:
    """One broker that runs as our child, from `start` to `stop`.

    Start it from a thread that lives as long as the broker shall (see dies_with_parent).
    """

    def __init__(self, config: BrokerConfig) -> None:
        self.config = config
        self._mosquitto = find_mosquitto() if config.kind != "embedded" else None
        self._process: subprocess.Popen[bytes] | None = None
        if config.kind == "mosquitto" and self._mosquitto is None:
            raise BrokerError(f"mosquitto was not found on {SERVER_PATH}: install it")
        self._guard = Guard(_door(config), SystemClock()) if config.keys else None
        self._check_open_to_others()

    @property
    def host(self) -> str:
        """Return the address to connect to."""
        return self.config.host

    @property
    def port(self) -> int:
        """Return the port to connect to."""
        return self.config.port

    @property
    def pid(self) -> int | None:
        """Return the process id while it runs."""
        return self._process.pid if self._process is not None else None

    def describe(self) -> str:
        """Return which broker this is, in words for a person."""
        if self._mosquitto is not None:
            return f"mosquitto {mosquitto_version(self._mosquitto)}"
        why = "as asked" if self.config.kind == "embedded" else "mosquitto was not found"
        return f"embedded amqtt {importlib.metadata.version('amqtt')} ({why})"

    def start(self) -> Self:
        """Start the broker and return once it answers."""
        directory = Path(self.config.directory).resolve()
        log_file = directory / "broker.log"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if log_file.exists() and log_file.stat().st_size > LOG_BYTES_MAX:
                log_file.replace(directory / "broker.log.1")
            command = self._command(directory)
            log_file.touch()
        except OSError as error:
            raise BrokerError(
                f"directory = {self.config.directory!r}: expected a folder that can be made and"
                f" written: {error.strerror}: {error.filename}"
            ) from error
        require_free_port(self.config.host, self.config.port)
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                with_parent(command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory if self._guard else None,  # where its control socket is
                start_new_session=True,  # Ctrl-C is for the supervisor, which ends us last
            )
        try:
            self._wait_until_it_answers(log_file)
        except BaseException:
            self.stop()
            raise
        return self

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit code if the broker ends within the time, else None."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End the broker without a word, as a crash would; `start` starts it again."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """End the broker: politely, then not; nothing is left when this returns."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _check_open_to_others(self) -> None:
        if self._mosquitto is None and (self._guard or not is_loopback(self.config.host)):
            raise BrokerError(
                f"host {self.config.host!r}: the embedded broker listens on the loopback only, and"
                " without keys; install mosquitto, or take 127.0.0.1"
            )
        if self._guard is None and not is_loopback(self.config.host):
            raise BrokerError(
                f"host {self.config.host!r}: expected `keys` beside an address that others can"
                " reach: make it with `stockhelm keys init DIR`, or take 127.0.0.1"
            )

    def _command(self, directory: Path) -> list[str]:
        if self._mosquitto is None:
            module = "stockhelm.embedded_broker"
            return [sys.executable, "-m", module, "--port", str(self.config.port)]
        settings = directory / "mosquitto.conf"
        access = self._guard.prepare(directory) if self._guard else plain_access(self.config)
        settings.write_text(mosquitto_settings(self.config, directory, access))
        return [str(self._mosquitto), "-c", str(settings)]

    def follow_keys(self) -> str:
        """Let a running broker know who was enrolled or revoked since; return what it was told.

        Empty where nothing changed. Raises KeysError or ControlError where it cannot.
        """
        if self._guard is None or self._process is None or not self._guard.changed():
            return ""
        return self._guard.follow(self._process.pid)

    def _wait_until_it_answers(self, log_file: Path) -> None:
        for _ in range(READY_LOOKS_MAX):
            code = self.wait(LOOK_EVERY_S)
            if code is not None:
                raise BrokerError(
                    f"{self.describe()} ended with {code} at its start; the end of {log_file}:"
                    f" {tail(log_file)}"
                )
            if self._is_ready():
                return
        raise BrokerError(
            f"{self.describe()} did not answer on {self.config.host}:{self.config.port} within"
            f" {READY_LOOKS_MAX * LOOK_EVERY_S:.0f} s; the end of {log_file}: {tail(log_file)}"
        )

    def _is_ready(self) -> bool:
        if self._guard is not None:
            return self._guard.is_ready()
        return answers_mqtt(self.config.host, self.config.port)


def find_mosquitto() -> Path | None:
    """Return where mosquitto is installed."""
    found = shutil.which("mosquitto", path=SERVER_PATH)
    return Path(found) if found else None


def mosquitto_version(program: Path) -> str:
    """Return its version as it says it, `unknown` where it does not."""
    said = subprocess.run(
        [program, "-h"], capture_output=True, text=True, check=False, timeout=10
    ).stdout
    found = re.search(r"version (\d[\w.]*)", said)
    return found.group(1) if found else "unknown"


def _door(config: BrokerConfig) -> Door:
    return Door(
        host=config.host,
        port=config.port,
        password_port=config.password_port,
        keys=Path(config.keys).resolve(),
        identity=config.identity,
        site_id=config.site_id,
        interface_name=config.interface_name,
    )


def plain_access(config: BrokerConfig) -> list[str]:
    """Return the settings of a listener without TLS."""
    lines = [
        f"listener {config.port} {config.host}",
        f"allow_anonymous {'false' if config.password_file else 'true'}",
    ]
    if config.password_file:
        lines.append(f"password_file {Path(config.password_file).resolve()}")
    return lines


def mosquitto_settings(config: BrokerConfig, directory: Path, access: list[str]) -> str:
    """Return the text of mosquitto.conf; `access` says who may come in, and where.

    Started by root, mosquitto would become the user `mosquitto` and could then neither write into
    our directory nor be ended with its parent; `user root` keeps it the user that started it. It is
    ignored for everybody else, and nobody should run stockhelm as root outside a container.
    """
    bytes_max = PAYLOAD_BYTES_MAX if config.keys else MESSAGE_BYTES_MAX
    return "\n".join(
        [
            "# Written by stockhelm at each start.",
            *access,
            "user root",
            "set_tcp_nodelay true",
            f"message_size_limit {bytes_max}",
            f"max_packet_size {bytes_max + TOPIC_BYTES_MAX}",
            f"max_queued_messages {QUEUED_MESSAGES_MAX}",
            f"max_queued_bytes {QUEUED_BYTES_MAX}",
            f"max_inflight_messages {INFLIGHT_MESSAGES_MAX}",
            "persistence true",
            f"persistence_location {directory}{os.sep}",
            f"persistent_client_expiration {SESSION_KEPT}",
            "log_dest stderr",
            "log_type error",
            "log_type warning",
            "connection_messages false",
            "",
        ]
    )


def require_free_port(host: str, port: int) -> None:
    """Refuse a port that another program holds, with what to do."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise BrokerError(
                f"the broker cannot listen on {host}:{port}: {error.strerror}. Another program may"
                f" hold the port (`ss -ltnp 'sport = :{port}'` names it): end that one,"
                " or give the broker another port"
            ) from error


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def answers_mqtt(host: str, port: int) -> bool:
    """Return whether an MQTT broker answers there."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S_MAX) as connection:
            connection.sendall(PROBE_CONNECT)
            answer = connection.recv(PROBE_ANSWER_BYTES, socket.MSG_WAITALL)
            connection.sendall(PROBE_DISCONNECT)
    except OSError:
        return False
    return len(answer) == PROBE_ANSWER_BYTES and answer.startswith(PROBE_ANSWER)


def tail(log_file: Path) -> str:
    """Return the last lines of a log as one line."""
    lines = log_file.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
    return " | ".join(lines) or "(empty)"


def run_broker(config: BrokerConfig) -> int:
    """Run a broker until Ctrl-C or SIGTERM: `stockhelm broker run`. Return the exit code.

    Raises BrokerError where it cannot run.
    """
    asked: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    signal.signal(signal.SIGINT, remember)
    signal.signal(signal.SIGTERM, remember)
    with BrokerProcess(config) as broker:
        how = " with TLS" if config.keys else ""
        typer.echo(f"{broker.describe()} listens on {broker.host}:{broker.port}{how}")
        notify("READY=1")
        while not asked:
            code = broker.wait(WATCH_S)
            if code is not None:
                typer.echo(f"{broker.describe()} ended by itself with {code}", err=True)
                return 1
            try:
                told = broker.follow_keys()
            except KeysError as error:
                told = f"{error}; going on with who was enrolled before"
            except StartError as error:
                told = f"{error}; starting it again with all that is enrolled"
                broker.stop()
                broker.start()
            if told:
                typer.echo(told)
    return 0
