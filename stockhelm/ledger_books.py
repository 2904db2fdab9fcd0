"""`stockhelm ledger stock|history|adjust`: central's books, asked and corrected by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from central.config import CentralConfig
from central.desk.site import Names, read_site
from central.ledger.adjust import Adjustment, adjust
from central.ledger.asof import stock_as_of
from central.ledger.history import BinMove, bin_history
from central.ledger.times import utc_text
from central.store import open_existing, reading
from runtime.config import ConfigError, load_config, read_toml
from wire.ids import IdError, bin_location, bin_of, parse_gtin
from wire.site import Site

WAITS: Final = "(waits for its edge)"


class AskedWronglyError(Exception):
    """What was asked for is not there; the text says what there is."""


class Books:
    """Central's database and the names of its site, as a configuration file tells of them."""

    def __init__(self, config_file: Path) -> None:
        """Read the configuration and the site. Raises ConfigError or SiteError."""
        self.config = _central_config(config_file)
        self.site: Site = read_site(Path(self.config.site_dir))
        self.names = Names(self.site)

    @contextmanager
    def opened(self) -> Iterator[Engine]:
        """Yield the database, closed afterwards. Raises StoreError where it cannot be used."""
        engine = open_existing(self.config.url())
        try:
            yield engine
        finally:
            engine.dispose()

    def article(self, told: str) -> str:
        """Return the GTIN of an article, told by GTIN or SKU. Raises AskedWronglyError."""
        for row in self.site.articles.values():
            if row.sku == told:
                return row.gtin
        try:
            found = parse_gtin(told)
        except IdError as error:
            raise AskedWronglyError(
                f"article {told!r}: expected a GTIN, or a SKU of articles.csv ({error})"
            ) from error
        if found not in self.site.articles:
            raise AskedWronglyError(f"article {told!r}: is not in articles.csv")
        return found

    def bin(self, told: str) -> str:
        """Return the bin's id. Raises AskedWronglyError where the site has no such bin."""
        if told not in self.site.bins:
            raise AskedWronglyError(f"bin {told!r}: is not in bins.csv")
        return told


def stock(
    books: Books,
    *,
    at_ns: int,
    known_at_ns: int | None,
    bin_id: str,
    article: str,
    everywhere: bool,
) -> dict[str, Any]:
    """Return what lay where at a past time, by place and article."""
    place = bin_location(books.bin(bin_id)) if bin_id else None
    gtin = books.article(article) if article else None
    with books.opened() as engine, reading(engine) as conn:
        found = stock_as_of(
            conn, at_ns, known_at_ns, place, gtin, bins_only=place is None and not everywhere
        )
    rows = [
        {
            "place": where,
            "bin": bin_of(where) or "",
            "gtin": what,
            "sku": books.names.article(what).sku,
            "name": books.names.article(what).name,
            "units": units,
        }
        for (where, what), units in sorted(found.items())
    ]
    return {
        "at": utc_text(at_ns),
        "at_ns": at_ns,
        "known_at": None if known_at_ns is None else utc_text(known_at_ns),
        "known_at_ns": known_at_ns,
        "units": sum(units for units in found.values()),
        "stock": rows,
    }


def stock_text(found: dict[str, Any]) -> str:
    """Return the stock as a table for people."""
    known = f", as it was known at {found['known_at']}" if found["known_at"] else ""
    head = f"stock at {found['at']}{known}"
    if not found["stock"]:
        return f"{head}: nothing"
    rows = [
        (row["bin"] or row["place"], row["gtin"], row["name"], str(row["units"]))
        for row in found["stock"]
    ]
    return f"{head}:\n" + table(("place", "article", "name", "units"), rows, right=(3,))


def history(books: Books, *, bin_id: str, article: str, since_ns: int, limit: int) -> list[BinMove]:
    """Return a bin's latest movements, the newest first."""
    gtin = books.article(article) if article else None
    with books.opened() as engine, reading(engine) as conn:
        found = bin_history(conn, bin_id, gtin=gtin, since_ns=since_ns, limit=limit)
    if not found:
        books.bin(bin_id)  # a bin that is gone may have a history; one that never was has none
    return found


def history_json(bin_id: str, moves: Sequence[BinMove]) -> dict[str, Any]:
    """Return a bin's history for programs."""
    rows = [
        msgspec.to_builtins(move)
        | {
            "observed_at": utc_text(move.observed_at_ns),
            "committed_at": utc_text(move.committed_at_ns) if move.committed_at_ns else None,
            "is_booked": move.committed_at_ns > 0,
        }
        for move in moves
    ]
    return {"bin": bin_id, "movements": rows}


def history_text(books: Books, bin_id: str, moves: Sequence[BinMove]) -> str:
    """Return a bin's history as a table for people."""
    if not moves:
        return f"{bin_id}: nothing was moved there"
    rows = [
        (
            utc_text(move.observed_at_ns),
            f"{move.by_units:+d}",
            books.names.article(move.gtin).name,
            ("from " if move.by_units > 0 else "to ") + move.other_place,
            move.reason,
            books.names.worker(move.person_id) or move.device_id,
            move.task_id if move.committed_at_ns else WAITS,
        )
        for move in moves
    ]
    heads = ("when", "units", "article", "where", "why", "who", "task")
    return table(heads, rows, right=(1,))


def adjust_bin(
    books: Books,
    *,
    command_id: str,
    bin_id: str,
    article: str,
    to_units: int | None,
    by_units: int | None,
    reason: str,
    person_id: str,
    lot: str,
    now_ns: int,
) -> dict[str, Any]:
    """Have the difference booked by the edge that owns the bin; return what is going to happen."""
    asked = Adjustment(
        command_id=command_id,
        bin_id=books.bin(bin_id),
        gtin=books.article(article),
        reason=reason,
        person_id=person_id,
        to_units=to_units,
        by_units=by_units,
        lot=lot,
    )
    with books.opened() as engine, engine.begin() as conn:
        answer = adjust(conn, books.site, asked, now_ns)
    return {
        "ok": answer.ok,
        "command_id": command_id,
        "edge": answer.edge_id,
        "by_units": answer.by_units,
        "text": answer.text,
    }


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return rows under their heads, in columns as wide as what stands in them."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _central_config(config_file: Path) -> CentralConfig:
    try:
        found = read_toml(config_file.read_text(encoding="utf-8"), name=str(config_file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config_file}: cannot be read: {error}") from error
    if "edge_id" in found or "host" in found or "site_id" not in found:
        raise ConfigError(
            f"{config_file}: expected the configuration of central: it keeps the ledger of the site"
        )
    return load_config(config_file, CentralConfig)
