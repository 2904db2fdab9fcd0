"""Real sales as customers' orders: a CSV file of daily sales becomes orders of a few lines."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from runtime.config import ConfigError
from runtime.seeds import Random

COLUMNS: Final = ("date", "sku", "quantity")
QUANTITY_MAX: Final = 1_000_000
QUANTITY_DIGITS_MAX: Final = 40
LINES_MAX: Final = 4
DAYS_MAX: Final = 36_600
"""A hundred years: a longer file has a wrong date in it."""
ROWS_MAX: Final = 5_000_000

Line = tuple[str, int]
"""(GTIN-14, units)."""


class OrderFileError(ConfigError):
    """The file of sales cannot be used; the text says line, value and what was expected."""


def read_order_file(
    path: Path, gtins: Mapping[str, str], *, first_date: str = ""
) -> list[list[Line]]:
    """Return the sales of each day from `first_date` on, without gaps; `gtins` maps SKU to GTIN-14.

    Raises OrderFileError at the first row that is wrong, wherever in the file it stands.
    """
    first = _parse_date(first_date, f"first_date {first_date!r}") if first_date else None
    days: dict[date, list[Line]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, cells in _rows(path, csv.DictReader(file)):
                day, line = _parse_row(f"{path} line {number}", cells, gtins)
                days.setdefault(day, []).append(line)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise OrderFileError(f"{path}: cannot be read: {error}") from error
    kept = [day for day in days if first is None or day >= first]
    if not kept:
        raise OrderFileError(f"{path}: no sales from {first_date or 'the first line'} on")
    begin, end = first or min(kept), max(kept)
    if (end - begin).days >= DAYS_MAX:
        raise OrderFileError(
            f"{path}: sales from {begin} to {end}, expected at most {DAYS_MAX} days: is one of the"
            " dates wrong?"
        )
    return [days.get(begin + timedelta(days=n), []) for n in range((end - begin).days + 1)]


def group_orders(rng: Random, lines: list[Line]) -> list[list[Line]]:
    """Return one day's lines as orders of 1 to 4 lines; a line is never split."""
    orders = []
    start = 0
    while start < len(lines):
        size = rng.randint(1, LINES_MAX)
        orders.append(lines[start : start + size])
        start += size
    return orders


def _rows(
    path: Path, reader: csv.DictReader[str]
) -> list[tuple[int, dict[str | None, str | None]]]:
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise OrderFileError(
            f"{path} line 1: expected the columns {','.join(COLUMNS)};"
            f" missing: {', '.join(missing)}"
        )
    rows: list[tuple[int, dict[str | None, str | None]]] = []
    for cells in reader:
        if len(rows) >= ROWS_MAX:
            raise OrderFileError(f"{path}: over {ROWS_MAX} rows; split the file by years")
        rows.append((reader.line_num, {**cells}))
    return rows


def _parse_row(
    where: str, cells: Mapping[str | None, str | None], gtins: Mapping[str, str]
) -> tuple[date, Line]:
    day_text, sku, quantity = ((cells.get(name) or "").strip() for name in COLUMNS)
    day = _parse_date(day_text, f"{where}: date {day_text!r}")
    if sku not in gtins:
        raise OrderFileError(f"{where}: sku {sku!r} is not in articles.csv")
    is_whole = quantity.isascii() and quantity.isdigit() and len(quantity) <= QUANTITY_DIGITS_MAX
    if not (is_whole and 1 <= int(quantity) <= QUANTITY_MAX):
        raise OrderFileError(
            f"{where}: quantity {quantity[:40]!r}, expected a whole number from 1 to {QUANTITY_MAX}"
        )
    return day, (gtins[sku], int(quantity))


def _parse_date(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise OrderFileError(f"{where}: expected YYYY-MM-DD") from error
