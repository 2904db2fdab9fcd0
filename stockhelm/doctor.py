"""`stockhelm doctor`: what this machine has, what it lacks, what that costs and how to mend it."""

from __future__ import annotations

import grp
import ipaddress
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from serial.tools import list_ports

from runtime.config import is_loopback
from stockhelm.broker import SERVER_PATH, answers_mqtt, find_mosquitto, mosquitto_version

PYTHON_MIN: Final = (3, 11)
DESK_PORT: Final = 8000
MQTT_PORT: Final = 1883
LISTENERS: Final = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENS: Final = "0A"  # as the kernel writes the state of a socket
LOOK_S_MAX: Final = 60.0
SAID_CHARACTERS_MAX: Final = 160
INSTALLED_BY_SETUP: Final = "`make setup`"
SERIAL_GROUP: Final = "dialout"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked for."""

    name: str
    ok: bool
    required: bool
    """Whether stockhelm cannot run without it."""
    found: str
    needed_for: str
    fix: str
    """What to do where it is not all right."""


def examine(desk_port: int = DESK_PORT) -> list[Finding]:
    """Return what was found, the required things first."""
    return [
        _python(),
        _module(
            "opencv-python",
            "cv2",
            required=True,
            needed_for="pictures of the cameras",
            fix=f"{INSTALLED_BY_SETUP}, or `apt-get install libgl1 libglib2.0-0`",
        ),
        _module(
            "zxing-cpp",
            "zxingcpp",
            required=True,
            needed_for="barcodes in pictures",
            fix=INSTALLED_BY_SETUP,
        ),
        _module(
            "numba", "numba", required=True, needed_for="the planner's core", fix=INSTALLED_BY_SETUP
        ),
        _mosquitto(),
        _open_broker(listening(), (MQTT_PORT,)),
        _module(
            "pyzbar and libzbar0",
            "pyzbar.pyzbar",
            required=False,
            needed_for="a second opinion on barcodes; without it zxing-cpp reads alone",
            fix="`apt-get install libzbar0`",
        ),
        _kernel_cache(),
        _free_port(desk_port),
        _serial_ports(),
        _program("chromium", "chromium-browser", needed_for="tests of the live page"),
        _program("node", needed_for="tests against vehicles that we did not write"),
    ]


def run_doctor(*, json_out: bool, more: Sequence[Finding] = ()) -> int:
    """Print the findings, and `more`; return 0 where everything required is there, else 1."""
    findings = [*examine(), *more]
    if json_out:
        typer.echo(msgspec.json.format(msgspec.json.encode(findings)).decode())
    else:
        Console().print(_as_table(findings))
    return 0 if all(finding.ok for finding in findings if finding.required) else 1


def _as_table(findings: list[Finding]) -> Table:
    table = Table(title="stockhelm doctor", title_justify="left")
    for heading in ("", "what", "found", "needed for", "to mend it"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        if finding.ok:
            mark = "[green]ok[/]"
        else:
            mark = "[red]missing[/]" if finding.required else "[yellow]without[/]"
        fix = "" if finding.ok else finding.fix
        table.add_row(mark, finding.name, finding.found, finding.needed_for, fix)
    return table


def _python() -> Finding:
    return Finding(
        name="Python",
        ok=sys.version_info[:2] >= PYTHON_MIN,
        required=True,
        found=f"{platform.python_version()} at {sys.executable}",
        needed_for="everything; 3.11 or newer",
        fix="`make PYTHON=/path/to/python3.11 setup`",
    )


def _module(title: str, module: str, *, required: bool, needed_for: str, fix: str) -> Finding:
    """Import it in a process of its own: a missing system library may do worse than raise."""
    look = (
        f"import {module} as m, sys; p = sys.modules[{module.split('.', maxsplit=1)[0]!r}];"
        "print(getattr(p, '__version__', 'imports'))"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", look],
            capture_output=True,
            text=True,
            check=False,
            timeout=LOOK_S_MAX,
        )
    except subprocess.TimeoutExpired:
        ok, found = False, f"did not import within {LOOK_S_MAX:.0f} s"
    else:
        ok = done.returncode == 0
        said = (done.stdout if ok else done.stderr).strip().splitlines()
        found = said[-1][:SAID_CHARACTERS_MAX] if said else f"ended with {done.returncode}"
    return Finding(
        name=title, ok=ok, required=required, found=found, needed_for=needed_for, fix=fix
    )


def _mosquitto() -> Finding:
    program = find_mosquitto()
    return Finding(
        name="mosquitto",
        ok=program is not None,
        required=False,
        found=f"{mosquitto_version(program)} at {program}" if program else "not found",
        needed_for="the MQTT broker; without it the embedded one runs, on this machine only",
        fix="`apt-get install mosquitto`",
    )


def listening() -> list[tuple[str, int]]:
    """Return the addresses and ports that programs of this machine listen on, as far as known."""
    found = []
    for name in LISTENERS:
        try:
            lines = Path(name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:  # not Linux
            continue
        for line in lines:
            _, local, _, state, *_ = line.split()
            if state == LISTENS:
                found.append(_address(local))
    return found


def _address(text: str) -> tuple[str, int]:
    """Return what the kernel writes as `0100007F:075B`: words of the machine's byte order."""
    digits, _, port = text.partition(":")
    words = [bytes.fromhex(digits[i : i + 8]) for i in range(0, len(digits), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(packed)), int(port, 16)


def _open_broker(listeners: list[tuple[str, int]], ports: tuple[int, ...]) -> Finding:
    """Find a broker that others reach and that speaks without TLS."""
    bare = [
        f"{host}:{port}"
        for host, port in listeners
        if port in ports and not is_loopback(host) and answers_mqtt(reached(host), port)
    ]
    return Finding(
        name="broker open to others",
        ok=not bare,
        required=False,
        found=f"{', '.join(bare)} speaks MQTT without TLS" if bare else "none",
        needed_for="counts and commands that nobody else on the network reads or makes",
        fix="`stockhelm keys init DIR` and `keys = DIR` in broker.toml, or let it listen on"
        " 127.0.0.1 alone (docs/security.md)",
    )


def reached(host: str) -> str:
    """Return where on this machine a listener at `host` is reached."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with


def _program(*names: str, needed_for: str) -> Finding:
    found = next((path for name in names if (path := shutil.which(name, path=SERVER_PATH))), None)
    return Finding(
        name=names[0],
        ok=found is not None,
        required=False,
        found=found or "not found",
        needed_for=needed_for,
        fix=f"install {names[0]}",
    )


def _kernel_cache() -> Finding:
    """Numba keeps compiled kernels beside their source, else in the user's cache folder."""
    told = os.environ.get("NUMBA_CACHE_DIR")
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    beside = Path(__file__).resolve().parent.parent
    candidates = [Path(told)] if told else [beside, home_cache]
    writable = next((folder for folder in candidates if _can_write(folder)), None)
    return Finding(
        name="kernel cache",
        ok=writable is not None,
        required=False,
        found=f"{writable} can be written" if writable else f"cannot write {candidates[-1]}",
        needed_for="a quick start; without it kernels are compiled at each start",
        fix="set NUMBA_CACHE_DIR to a folder that can be written",
    )


def _can_write(folder: Path) -> bool:
    """Return whether we may write there, or make it where it is not there yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def _free_port(port: int) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            ok, found = False, f"127.0.0.1:{port}: {error.strerror}"
        else:
            ok, found = True, f"127.0.0.1:{port} is free"
    return Finding(
        name=f"port {port}",
        ok=ok,
        required=False,
        found=found,
        needed_for="the live page",
        fix=f"end what holds it (`ss -ltnp 'sport = :{port}'`), or give `--port`",
    )


def _serial_ports() -> Finding:
    devices = [port.device for port in list_ports.comports()]
    shut = [device for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if shut:
        ok, found = False, f"may not open {', '.join(shut)}"
    elif devices:
        ok, found = True, f"may open {', '.join(devices)}"
    else:
        ok = os.geteuid() == 0 or _in_group(SERIAL_GROUP)
        found = "none is plugged in" + ("" if ok else f"; user is not in group {SERIAL_GROUP}")
    return Finding(
        name="serial ports",
        ok=ok,
        required=False,
        found=found,
        needed_for="real scanners, scales and controllers; simulated ones need no right",
        fix=f"`sudo usermod -aG {SERIAL_GROUP} $USER`, then log in again",
    )


def _in_group(name: str) -> bool:
    try:
        return grp.getgrnam(name).gr_gid in {os.getgid(), *os.getgroups()}
    except KeyError:
        return False
