"""Sales before the first start: history.csv of the site folder becomes demand, once."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec
import structlog

from central.orders import demand_day_of
from central.store import read_setting, upsert, write_setting
from central.tables import demand_day
from central.tasking.round import Round
from wire.ids import IdError, parse_gtin

log = structlog.get_logger()
DAYS_MAX: Final = 100_000
UNITS_PER_DAY_MAX: Final = 10**9


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of history.csv: what was sold on a day before the first start."""

    day: int
    gtin: str
    units: int


def import_history(work: Round, text: str) -> None:
    """Write the sales in `text` into the demand, once; a wrong line is named and left out.

    Day -1 is the demand day before the one in which this is done.
    """
    if read_setting(work.conn, "history") is not None:
        return
    today = demand_day_of(work.now_ns, work.config.planning.day_s)
    units: Counter[tuple[str, int]] = Counter()
    for row in _history_rows(work, text):
        units[row.gtin, today + row.day] += row.units
    if units:
        rows = [{"gtin": g, "day": d, "units": count} for (g, d), count in sorted(units.items())]
        upsert(work.conn, demand_day, rows, add=("units",))
    write_setting(work.conn, "history", str(len(units)))
    log.info("sales history imported", rows=len(units))


def _history_rows(work: Round, text: str) -> Iterator[HistoryRow]:
    # A byte order mark is a spreadsheet's; `newline=None` takes the line ends of every system.
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=None))
    while True:
        try:
            cells = next(reader)
            row = msgspec.convert(cells, HistoryRow, strict=False)
            row = msgspec.structs.replace(row, gtin=parse_gtin(row.gtin))
            _check_history(work, row)
        except StopIteration:
            return
        except (csv.Error, msgspec.ValidationError, IdError, ValueError) as error:
            work.count("history_refused")
            line = reader.reader.line_num
            log.warning("line left out", file="history.csv", line=line, why=str(error))
            continue
        yield row


def _check_history(work: Round, row: HistoryRow) -> None:
    if not -DAYS_MAX <= row.day < 0:
        raise ValueError(
            f"day {row.day}: expected -1 (the day before the first start) or earlier,"
            f" to {-DAYS_MAX}"
        )
    if not 0 <= row.units <= UNITS_PER_DAY_MAX:
        raise ValueError(f"units {row.units}: expected 0 to {UNITS_PER_DAY_MAX}")
    if row.gtin not in work.floor.site.articles:
        raise ValueError(f"gtin {row.gtin}: is not in articles.csv")
