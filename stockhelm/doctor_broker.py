"""What `stockhelm doctor --config broker.toml` looks at: who gets in unasked, what ends soon."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

from runtime.clock import NS_PER_S, Clock
from stockhelm.broker import (
    CONNECT_S_MAX,
    PROBE_ANSWER,
    PROBE_ANSWER_BYTES,
    PROBE_CONNECT,
    BrokerConfig,
    answers_mqtt,
)
from stockhelm.doctor import Finding, reached
from stockhelm.keyring import Keyring, KeysError
from stockhelm.keys_cli import SOON_DAYS

LET_IN: Final = PROBE_ANSWER + b"\x00\x00"
NAMES_SHOWN: Final = 5
_DAY_NS: Final = 86_400 * NS_PER_S


def look_at_broker(config: BrokerConfig, clock: Clock) -> list[Finding]:
    """Return what was found of a broker that runs with this configuration, and of its keys."""
    found = [_strangers(config)]
    if config.keys:
        found.append(_certificates(Path(config.keys), clock))
    return found


def lets_strangers_in(host: str, port: int, *, tls: bool) -> bool:
    """Return whether a broker there takes somebody without certificate, name and password.

    Raises ConnectionRefusedError where nobody listens.
    """
    try:
        with socket.create_connection((host, port), timeout=CONNECT_S_MAX) as line:
            if not tls:
                return _is_let_in(line)
            with _unchecked().wrap_socket(line) as secured:
                return _is_let_in(secured)
    except ConnectionRefusedError:
        raise
    except OSError:  # it hung up, or answered no TLS
        return False


def _is_let_in(line: socket.socket) -> bool:
    line.sendall(PROBE_CONNECT)
    answer = b""
    while len(answer) < PROBE_ANSWER_BYTES:
        part = line.recv(PROBE_ANSWER_BYTES - len(answer))
        if not part:
            break
        answer += part
    return answer == LET_IN


def _unchecked() -> ssl.SSLContext:
    """Return TLS as a stranger has it: no certificate to show, and no CA to check the other's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _strangers(config: BrokerConfig) -> Finding:
    ports = [config.port, *([config.password_port] if config.password_port else [])]
    looked = [_listener(config, port) for port in ports]
    return Finding(
        name="strangers at the broker",
        ok=all(ok for ok, _ in looked),
        required=False,
        found="; ".join(said for _, said in looked),
        needed_for="counts and commands that nobody else reads or makes",
        fix="end the program that listens there in place of ours (`ss -ltnp` names it), then start"
        " `stockhelm broker run` with this configuration",
    )


def _listener(config: BrokerConfig, port: int) -> tuple[bool, str]:
    """Return whether one listener is as it should be, and what was seen."""
    host, where = reached(config.host), f"{config.host}:{port}"
    tls = bool(config.keys)
    try:
        let_in = lets_strangers_in(host, port, tls=tls)
    except ConnectionRefusedError:
        return True, f"{where}: nobody listens now"
    if tls and answers_mqtt(host, port):
        return False, f"{where} speaks MQTT without TLS"
    if not let_in:
        return True, f"{where} refuses them"
    if tls or config.password_file:
        return False, f"{where} lets them in"
    return True, f"{where} lets in everybody on this machine, as configured"


def _certificates(folder: Path, clock: Clock) -> Finding:
    try:
        ends = _ends(Keyring(folder, clock))
    except KeysError as error:
        ok, found = False, str(error)
    else:
        left = {name: (at_ns - clock.now_ns()) // _DAY_NS for name, at_ns in ends.items()}
        soon = sorted((days, name) for name, days in left.items() if days <= SOON_DAYS)
        told = [f"{name}: {_left(days)}" for days, name in soon[:NAMES_SHOWN]]
        if len(soon) > NAMES_SHOWN:
            told.append(f"and {len(soon) - NAMES_SHOWN} more (`stockhelm keys list`)")
        ok = not soon
        found = "; ".join(told) or f"{len(left)} are good for more than {SOON_DAYS} days"
    return Finding(
        name="certificates",
        ok=ok,
        required=False,
        found=found,
        needed_for="devices and processes that connect tomorrow too",
        fix="`stockhelm keys renew NAME`; of the CA: a new folder with `stockhelm keys init`, and"
        " everybody enrolled anew",
    )


def _left(days: int) -> str:
    return "is over" if days < 0 else f"{days} days left"


def _ends(ring: Keyring) -> dict[str, int]:
    """Return when the CA's and each certificate ends that is not revoked, in ns, by name."""
    try:
        authority = x509.load_pem_x509_certificate(ring.ca_file.read_bytes())
    except (OSError, ValueError) as error:
        raise KeysError(f"{ring.ca_file}: expected the CA's certificate: {error}") from error
    found = {
        row.name: row.expires_at_ns
        for row in ring.rows()
        if row.by == "certificate" and not row.revoked_at_ns
    }
    return found | {"the CA itself": _ns(authority.not_valid_after_utc)}


def _ns(at: dt.datetime) -> int:
    return int(at.timestamp()) * NS_PER_S
