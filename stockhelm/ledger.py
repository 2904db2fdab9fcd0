"""`stockhelm ledger`: check and rebuild what is kept, at an edge or at central."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from sqlalchemy import Engine, select

from central.config import CentralConfig
from central.ledger.asof import rebuild_marks
from central.ledger.segments import rebuild_segments
from central.ledger.verify import rebuild_balances, verify_ledger
from central.store import must_exist, open_engine, reading
from central.tables import movement
from edge.config import EdgeConfig
from edge.counting.emptied import refuse_emptied
from edge.counting.salvage import CopiedRow, salvage
from edge.counting.verify import rebuild_counts, verify_counts
from runtime.clock import SystemClock
from runtime.config import ConfigError, load_config, read_toml
from runtime.one_at_a_time import hold_folder
from runtime.store import StoreError, open_database
from wire.messages import Movement


@contextmanager
def opened(config: CentralConfig, *, repairs: bool = False) -> Iterator[Engine]:
    """Yield central's database, closed afterwards. Raises StoreError where it cannot be used."""
    must_exist(config.url())
    engine = open_engine(config.url(), repairs=repairs)
    try:
        yield engine
    finally:
        engine.dispose()


def verify(config_file: Path) -> tuple[str, bool]:
    """Return what a check found, in words, and whether all is whole."""
    found = _config(config_file)
    if isinstance(found, CentralConfig):
        with opened(found) as engine:
            report = verify_ledger(engine)
        return report.text(), report.balanced
    file = _edge_file(found, config_file)
    refuse_emptied(file)
    db = open_database(file)
    with closing(db.conn):
        differences = verify_counts(db)
        rows = db.execute("SELECT count(*) FROM journal").fetchone()[0]
    if not differences:
        return f"whole: {rows} journal rows give the counts of {file}", True
    lines = [f"not whole: {len(differences)} counts differ from the journal of {file}"]
    return "\n".join([*lines, *(f"  {d}" for d in differences)]), False


def rebuild(config_file: Path, central_file: Path | None = None) -> str:
    """Make counts or balances anew; return what was done, in words.

    An edge's damaged database is made anew from what can still be read of it and, where
    `central_file` (central's configuration) is given, from central's copy. Raises InUseError while
    the process that owns them runs, StoreError where the copy is needed and not given.
    """
    found = _config(config_file)
    if isinstance(found, CentralConfig):
        with (
            hold_folder(Path(found.data_dir), "stockhelm ledger rebuild"),
            opened(found, repairs=True) as engine,
            engine.begin() as connection,
        ):
            places = rebuild_balances(connection)
            marks = rebuild_marks(connection)
            rebuild_segments(connection)
        kept = f", and the stock of {marks} past times" if marks else ""
        return f"balances of {places} places and articles made anew from the movements{kept}"
    file = _edge_file(found, config_file)
    with hold_folder(Path(found.data_dir), "stockhelm ledger rebuild"):
        try:
            refuse_emptied(file)
            db = open_database(file)
            with closing(db.conn):
                counts = rebuild_counts(db)
        except (StoreError, sqlite3.DatabaseError, msgspec.DecodeError) as error:
            return f"{error}\n{_salvage(file, found, central_file)}"
    return f"{counts} counts made anew from the journal of {file}"


def _salvage(file: Path, config: EdgeConfig, central_file: Path | None) -> str:
    """Make a damaged database anew; return from what, in words."""
    copy = None if central_file is None else _copy(config.edge_id, central_file)
    now_ns = SystemClock().now_ns()
    done = salvage(file, edge_id=config.edge_id, now_ns=now_ns, copy=copy)
    text = (
        f"{file} made anew: {done.from_journal} rows of its own journal, {done.from_copy} of"
        f" central's copy; the damaged file is {done.kept_as}"
    )
    if done.missing:
        text += f"\n{done.missing} rows are in neither: observations, or lost; count the bins"
    text += f"\n{done.commands} of central's commands are known as done"
    if not done.has_all_commands:
        text += "; others may be lost: look at what drones are told to fly again"
    return text


def _copy(edge_id: str, central_file: Path) -> list[CopiedRow]:
    """Return the movements that central has of an edge."""
    config = _config(central_file)
    if not isinstance(config, CentralConfig):
        raise ConfigError(f"--central {central_file}: expected the configuration of central")
    names = Movement.__struct_fields__
    with opened(config) as engine, reading(engine) as conn:
        rows = conn.execute(
            select(movement).where(movement.c.edge_id == edge_id).order_by(movement.c.id)
        ).mappings()
        return [
            (row["epoch"], row["seq"], Movement(**{name: row[name] for name in names}))
            for row in rows
        ]


def _config(config_file: Path) -> EdgeConfig | CentralConfig:
    """Return the configuration: an edge's has an `edge_id`, central's and the desk's have none."""
    try:
        found = read_toml(config_file.read_text(encoding="utf-8"), name=str(config_file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config_file}: cannot be read: {error}") from error
    if "edge_id" in found:
        return load_config(config_file, EdgeConfig)
    if "host" in found or "site_id" not in found:
        raise ConfigError(
            f"{config_file}: expected the configuration of an edge or of central: only they keep"
            " counts"
        )
    return load_config(config_file, CentralConfig)


def _edge_file(config: EdgeConfig, config_file: Path) -> Path:
    file = Path(config.data_dir) / "edge.db"
    if not file.exists():
        raise ConfigError(
            f"{config_file}: data_dir: {file} does not exist; did this edge ever run?"
        )
    return file
