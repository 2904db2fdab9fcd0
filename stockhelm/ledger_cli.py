"""The commands `stockhelm ledger verify|rebuild|stock|history|adjust`: each calls one function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer

from runtime.clock import SystemClock
from runtime.config import ConfigError
from runtime.errors import StartError
from stockhelm.ending import FAILED, USAGE
from wire.site import SiteError

ConfigFile = Annotated[Path, typer.Option("--config", help="TOML file of an edge or of central.")]
CentralFile = Annotated[Path, typer.Option("--config", help="TOML file of central.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Bin = Annotated[str, typer.Option("--bin", help="Only this bin.")]
Article = Annotated[str, typer.Option("--article", help="GTIN or SKU: only this article.")]
UTC_HELP = "As 2026-11-01T12:00:00Z; without a zone it is UTC, a day alone its first moment"


def add_ledger_commands(app: typer.Typer) -> None:
    """Add the commands to the group `ledger`."""
    app.command("verify")(ledger_verify)
    app.command("rebuild")(ledger_rebuild)
    app.command("stock")(ledger_stock)
    app.command("history")(ledger_history)
    app.command("adjust")(ledger_adjust)


@contextmanager
def named(config: Path) -> Iterator[None]:
    """Let every reason against it name the configuration that was given."""
    try:
        yield
    except (ConfigError, SiteError, StartError) as error:
        text = str(error)
        raise StartError(text if str(config) in text else f"{config}: {text}") from error


def ledger_verify(config: ConfigFile, *, as_json: AsJson = False) -> None:
    """Compare an edge's counts with its journal, or central's balances with its movements.

    Code 0: whole, 1: something differs (every difference is named) or it cannot be read.
    """
    from stockhelm.ledger import verify

    with named(config):
        said, whole = verify(config)
    _say({"ok": whole, "lines": said.splitlines()}, lambda: said, as_json=as_json)
    raise typer.Exit(0 if whole else FAILED)


def ledger_rebuild(
    config: ConfigFile,
    central: Annotated[
        Path | None,
        typer.Option(help="Central's TOML file: rows that a damaged edge lost come from there."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make counts or balances anew, from journal or movements; the process must not run.

    Code 0: made anew, 1: it cannot be, since its process runs or rows are missing.
    """
    from stockhelm.ledger import rebuild

    with named(config):
        said = rebuild(config, central)
    _say({"ok": True, "lines": said.splitlines()}, lambda: said, as_json=as_json)


def ledger_stock(
    config: CentralFile,
    *,
    at: Annotated[str, typer.Option(help=f"{UTC_HELP}. Default: now.")] = "",
    known_at: Annotated[
        str, typer.Option("--known-at", help=f"Only what central knew by then. {UTC_HELP}.")
    ] = "",
    bin_id: Bin = "",
    article: Article = "",
    everywhere: Annotated[
        bool, typer.Option("--all", help="Also what robots, totes, suppliers, customers have.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what lay where at any past time, also as far as it was known at another."""
    from stockhelm.ledger_books import Books, stock, stock_text

    at_ns = _time("--at", at) if at else SystemClock().now_ns()
    known_at_ns = _time("--known-at", known_at) if known_at else None
    with _asked(config):
        found = stock(
            Books(config),
            at_ns=at_ns,
            known_at_ns=known_at_ns,
            bin_id=bin_id,
            article=article,
            everywhere=everywhere,
        )
    _say(found, lambda: stock_text(found), as_json=as_json)


def ledger_history(
    config: CentralFile,
    bin_id: Annotated[str, typer.Option("--bin", help="Which bin.")],
    *,
    article: Article = "",
    since: Annotated[str, typer.Option(help=f"Nothing observed before. {UTC_HELP}.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The latest so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Say what was moved into and out of a bin: when, by whom and why, the newest first."""
    from stockhelm.ledger_books import Books, history, history_json, history_text

    since_ns = _time("--since", since) if since else 0
    with _asked(config):
        books = Books(config)
        moves = history(books, bin_id=bin_id, article=article, since_ns=since_ns, limit=limit)
    _say(history_json(bin_id, moves), lambda: history_text(books, bin_id, moves), as_json=as_json)


def ledger_adjust(
    config: CentralFile,
    bin_id: Annotated[str, typer.Option("--bin", help="Which bin.")],
    article: Annotated[str, typer.Option("--article", help="GTIN or SKU.")],
    reason: Annotated[str, typer.Option(help="One word: damaged, counted, stolen, ...")],
    person: Annotated[str, typer.Option(help="Who says so.")],
    *,
    to: Annotated[int | None, typer.Option(help="What the bin holds.")] = None,
    by: Annotated[int | None, typer.Option(help="How much more, or (--by -3) less it has.")] = None,
    lot: Annotated[str, typer.Option(help="Of this lot only, where lots are kept.")] = "",
    command_id: Annotated[
        str, typer.Option("--command-id", help="Your own: given again, it is not booked again.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Correct what a bin holds: its edge books the difference, with reason and person.

    Code 0: it is going to be booked (or nothing differs), 1: refused. Central need not run: what
    is asked waits for it.
    """
    from stockhelm.ledger_books import Books, adjust_bin

    if (to is None) == (by is None):
        _refuse_usage(
            "expected either --to N (what the bin holds) or --by N (by how much it differs)"
        )
    now_ns = SystemClock().now_ns()
    with _asked(config):
        answer = adjust_bin(
            Books(config),
            command_id=command_id or f"adjust-{now_ns:x}",
            bin_id=bin_id,
            article=article,
            to_units=to,
            by_units=by,
            reason=reason,
            person_id=person,
            lot=lot,
            now_ns=now_ns,
        )
    _say(answer, lambda: f"{answer['command_id']}: {answer['text']}", as_json=as_json)
    raise typer.Exit(0 if answer["ok"] else FAILED)


@contextmanager
def _asked(config: Path) -> Iterator[None]:
    """End with code 1 where what is asked for is not there, and say what is wrong."""
    from sqlalchemy.exc import SQLAlchemyError

    from stockhelm.ledger_books import AskedWronglyError

    with named(config):
        try:
            yield
        except AskedWronglyError as error:
            typer.echo(f"stockhelm: {error}", err=True)
            raise typer.Exit(FAILED) from error
        except SQLAlchemyError as error:
            reason = getattr(error, "orig", None) or error
            raise StartError(f"central's database cannot be used now: {reason}") from error


def _time(option: str, told: str) -> int:
    from central.ledger.times import parse_utc

    try:
        return parse_utc(told)
    except ValueError as error:
        _refuse_usage(f"{option} {error}")


def _refuse_usage(text: str) -> NoReturn:
    typer.echo(f"stockhelm: {text}", err=True)
    raise typer.Exit(USAGE)


def _say(found: Any, text: Callable[[], str], *, as_json: bool) -> None:
    typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2) if as_json else text())
