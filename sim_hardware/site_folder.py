"""A site's folder as the simulated floor reads it."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sim_hardware.world.catalogue import Demand, History, demand_of
from wire.ids import IdError, parse_gtin
from wire.site import FILES, Site, SiteError, parse_site

HISTORY_FILE: Final = "history.csv"
HISTORY_COLUMNS: Final = ("day", "gtin", "units")
TEXT_FILES: Final = (*FILES, HISTORY_FILE)


def read_site(directory: Path) -> Site:
    """Return the site in this folder. Raises SiteError with file and line."""
    try:
        return parse_site(read_texts(directory, FILES))
    except SiteError as error:
        raise SiteError(f"{directory}: {error}") from error


def read_texts(directory: Path, names: Iterable[str] = TEXT_FILES) -> dict[str, str]:
    """Return the texts of those files of a site that are there.

    Raises SiteError where one is there and cannot be read: without it the site would be another.
    """
    texts = {}
    for name in names:
        path = directory / name
        if path.is_file():
            texts[name] = _read(path)
        elif os.path.lexists(path):
            raise SiteError(f"{name}: expected a file that can be read, found something else")
    return texts


def read_demand(directory: Path, site: Site) -> list[Demand]:
    """Return how much of each article is wanted per day; without a history all the same."""
    path = directory / HISTORY_FILE
    articles = list(site.articles.values())
    if not path.is_file():
        return [Demand(article.gtin, 1.0) for article in articles]
    history: History = []
    reader = csv.DictReader(io.StringIO(_read(path)))
    try:
        if tuple(reader.fieldnames or ()) != HISTORY_COLUMNS:
            raise SiteError(f"{path} line 1: expected the columns {','.join(HISTORY_COLUMNS)}")
        history = _read_history(path, reader, site)
    except csv.Error as error:
        raise SiteError(f"{path} line {reader.reader.line_num}: is no CSV: {error}") from error
    return demand_of(articles, history)


def _read_history(path: Path, reader: csv.DictReader[str], site: Site) -> History:
    history: History = []
    gtins: dict[str, str] = {}
    for cells in reader:
        try:
            gtin = gtins.get(cells["gtin"]) or gtins.setdefault(
                cells["gtin"], parse_gtin(cells["gtin"] or "")
            )
        except IdError as error:
            raise SiteError(f"{path} line {reader.line_num}: {error}") from error
        if gtin not in site.articles:
            raise SiteError(f"{path} line {reader.line_num}: gtin {gtin!r} is not in articles.csv")
        try:
            history.append((int(cells["day"]), gtin, int(cells["units"])))
        except (TypeError, ValueError) as error:
            raise SiteError(
                f"{path} line {reader.line_num}: expected whole numbers of day and units: {error}"
            ) from error
    return history


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"{path}: cannot be read as text: {error}") from error
