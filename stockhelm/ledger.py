"""`stockhelm ledger`: check and rebuild what is kept, at an edge or at central."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Engine

from central.config import CentralConfig
from central.ledger.asof import rebuild_marks
from central.ledger.verify import rebuild_balances, verify_ledger
from central.store import open_engine
from edge.config import EdgeConfig
from edge.counting.verify import rebuild_counts, verify_counts
from runtime.config import ConfigError, load_config, read_toml
from runtime.one_at_a_time import hold_folder
from runtime.store import open_database


@contextmanager
def opened(config: CentralConfig, *, repairs: bool = False) -> Iterator[Engine]:
    """Yield central's database, closed afterwards. Raises StoreError where it cannot be used."""
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
    db = open_database(file)
    with closing(db.conn):
        differences = verify_counts(db)
        rows = db.execute("SELECT count(*) FROM journal").fetchone()[0]
    if not differences:
        return f"whole: {rows} journal rows give the counts of {file}", True
    lines = [f"not whole: {len(differences)} counts differ from the journal of {file}"]
    return "\n".join([*lines, *(f"  {d}" for d in differences)]), False


def rebuild(config_file: Path) -> str:
    """Make counts or balances anew; return what was done, in words.

    Raises InUseError while the process that owns them runs.
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
        kept = f", and the stock of {marks} past times" if marks else ""
        return f"balances of {places} places and articles made anew from the movements{kept}"
    file = _edge_file(found, config_file)
    with hold_folder(Path(found.data_dir), "stockhelm ledger rebuild"):
        db = open_database(file)
        with closing(db.conn):
            counts = rebuild_counts(db)
    return f"{counts} counts made anew from the journal of {file}"


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
