"""`stockhelm keys`: make a small CA, enrol who may connect, revoke them, say who they are."""

from __future__ import annotations

import datetime as dt
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import msgspec
import typer

from runtime.clock import NS_PER_S, SystemClock
from runtime.errors import StartError
from stockhelm.certificates import LEAF_DAYS
from stockhelm.ending import FAILED, USAGE, os_error_text
from stockhelm.keyring import Enrolled, Keyring, KeysUsageError, Wish, init_keyring
from wire.rights import Kind

SOON_DAYS: Final = 30
"""A certificate that is over so soon is marked in the list."""
Folder = Annotated[Path, typer.Option("--dir", help="The folder that `keys init` made.")]
Hosts = Annotated[
    list[str] | None, typer.Option("--host", help="Name or address of a server; repeat it.")
]


def add_keys_commands(app: typer.Typer) -> None:
    """Add the commands to their group."""
    app.command("init")(_init)
    app.command("enrol")(_enrol)
    app.command("renew")(_renew)
    app.command("revoke")(_revoke)
    app.command("list")(_list)


def _end_with(work: Callable[[], str]) -> NoReturn:
    """Print what was done and end with 0; 2 for what cannot be asked, 1 for what failed."""
    try:
        typer.echo(work())
    except KeysUsageError as error:
        typer.echo(f"stockhelm: {error}", err=True)
        raise typer.Exit(USAGE) from error
    except StartError as error:
        typer.echo(f"stockhelm: {error}", err=True)
        raise typer.Exit(FAILED) from error
    except OSError as error:
        typer.echo(f"stockhelm: {os_error_text(error)}", err=True)
        raise typer.Exit(FAILED) from error
    raise typer.Exit(0)


def _day(at_ns: int) -> str:
    return dt.datetime.fromtimestamp(at_ns // NS_PER_S, tz=dt.UTC).strftime("%Y-%m-%d")


def _init(
    directory: Annotated[Path, typer.Argument(help="Where the CA shall live; keep it safe.")],
    host: Hosts = None,
) -> None:
    """Make a CA and the broker's certificate (for --host; default: this machine)."""

    def work() -> str:
        hosts = host or list(dict.fromkeys(["localhost", "127.0.0.1", socket.gethostname()]))
        clock = SystemClock()
        ring = init_keyring(directory, clock, hosts)
        (broker,) = ring.rows()
        return "\n".join(
            [
                f"CA in {directory}: ca.crt goes to everybody, ca.key (mode 0600) to nobody",
                f"broker's certificate for {', '.join(hosts)}, until {_day(broker.expires_at_ns)}",
                f"next: stockhelm keys enrol --dir {directory} scanner-1 --kind scanner",
            ]
        )

    _end_with(work)


def _enrol(
    name: Annotated[str, typer.Argument(help="As in the topics: device, edge, robot, ...")],
    *,
    directory: Folder,
    kind: Annotated[Kind, typer.Option(help="What it is: decides what it may say and hear.")],
    by_password: Annotated[
        bool, typer.Option("--password", help="A password, for what takes no certificate.")
    ] = False,
    by_certificate: Annotated[
        bool, typer.Option("--certificate", help="A certificate and its key (as without either).")
    ] = False,
    days: Annotated[
        int | None, typer.Option(help=f"How long the certificate lasts; default {LEAF_DAYS}.")
    ] = None,
    host: Hosts = None,
    person: Annotated[
        str, typer.Option(help="Scanner with a screen: whose tasks it may read.")
    ] = "",
    manufacturer: Annotated[str, typer.Option(help="Robot: as in its VDA 5050 topics.")] = "",
    serial: Annotated[str, typer.Option(help="Robot: where its serial is not its name.")] = "",
    device: Annotated[
        list[str] | None,
        typer.Option(help="Edge: answers and speaks for this device, and no other; repeat it."),
    ] = None,
) -> None:
    """Let somebody in; refuses a name that is enrolled already."""

    def work() -> str:
        if by_password and by_certificate:
            raise KeysUsageError("expected --password or --certificate, got both")
        if by_password and days is not None:
            raise KeysUsageError("--days is for certificates; a password lasts until revoked")
        wish = Wish(
            name=name, kind=kind, by="password" if by_password else "certificate",
            days=LEAF_DAYS if days is None else days, hosts=tuple(host or ()), person=person,
            manufacturer=manufacturer, serial_number=serial, devices=tuple(device or ()),
        )  # fmt: skip
        row, files = Keyring(directory, SystemClock()).enrol(wish)
        until = f"valid until {_day(row.expires_at_ns)}" if row.expires_at_ns else "until revoked"
        lines = [f"{row.kind} {row.name} enrolled by {row.by}, {until}; it gets"]
        lines += [f"  {file}" for file in (directory / "ca.crt", *files)]
        return "\n".join(lines)

    _end_with(work)


def _renew(
    name: Annotated[str, typer.Argument(help="Whose certificate is made anew.")],
    *,
    directory: Folder,
    days: Annotated[int, typer.Option(help="How long the new one lasts.")] = LEAF_DAYS,
) -> None:
    """Make a new certificate for somebody; the old one is good until its own day."""

    def work() -> str:
        row, files = Keyring(directory, SystemClock()).renew(name, days)
        told = ", ".join(map(str, files))
        return (
            f"{row.kind} {row.name}: new certificate, valid until {_day(row.expires_at_ns)}:"
            f" {told}; put both on the device, then restart what uses them"
        )

    _end_with(work)


def _revoke(
    name: Annotated[str, typer.Argument(help="Who shall be refused from now on.")],
    *,
    directory: Folder,
) -> None:
    """Refuse somebody; a broker that runs ends their connection within a second."""

    def work() -> str:
        row = Keyring(directory, SystemClock()).revoke(name)
        return f"{row.kind} {row.name}: its {row.by} is revoked, its files here are removed"

    _end_with(work)


def _list(*, directory: Folder, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Say who is and was enrolled."""

    def work() -> str:
        clock = SystemClock()
        told = [_shown(row, clock.now_ns()) for row in Keyring(directory, clock).rows()]
        if as_json:
            return msgspec.json.format(msgspec.json.encode(told)).decode()
        lines = [
            f"{row['name']:<24} {row['kind']:<9} {row['by']:<12} {row['state']:<8}"
            f" {row['expires'] or '-'}{_warning(row)}"
            for row in told
        ]
        return "\n".join([f"{'name':<24} {'kind':<9} {'by':<12} {'state':<8} until", *lines])

    _end_with(work)


def _warning(row: dict[str, Any]) -> str:
    days = row["days_left"]
    soon = row["state"] == "valid" and days is not None and days <= SOON_DAYS
    return f"  ({days} days left: `stockhelm keys renew`)" if soon else ""


def _shown(row: Enrolled, now_ns: int) -> dict[str, Any]:
    """Return a row without its secrets."""
    return {
        "name": row.name,
        "kind": row.kind,
        "by": row.by,
        "state": row.state(now_ns),
        "enrolled": _day(row.enrolled_at_ns),
        "expires": _day(row.expires_at_ns) if row.expires_at_ns else "",
        "days_left": max(row.expires_at_ns - now_ns, 0) // (86_400 * NS_PER_S)
        if row.expires_at_ns
        else None,
        "revoked": _day(row.revoked_at_ns) if row.revoked_at_ns else "",
        "serial": row.serial,
        "hosts": list(row.hosts),
        "person": row.person,
        "manufacturer": row.manufacturer,
        "devices": list(row.devices),
    }
