"""Which lot goods are of: what stands on their labels beside the article.

Goods carry lots where the site's opening stock says so; what lorries bring of these articles later
is of a newer lot each time. Some units have serial numbers. People and robots take first what
expires first, and before that what is of no lot.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec.structs import replace

from runtime.seeds import stream
from wire.site import OpeningRow, parse_site, write_rows

FIRST_DAY: Final = dt.date(2040, 1, 31)
"""Last day of the first lot: later than any day on which this runs, so that nothing expires."""
DAYS_APART: Final = 30
LOTS_AT_FIRST: Final = 2
LOTS_MAX: Final = 40
"""Lots of one article in one run; all that comes later is of the last one."""
_NUMBERED: Final = re.compile(r"L([0-9]{1,4})")


class Mark(NamedTuple):
    """What is alike of one article; in the order in which it is to be taken."""

    expires_on: str = ""
    lot: str = ""
    serial: str = ""


NO_MARK: Final = Mark()


def mark_of(number: int) -> Mark:
    """Return the mark of an article's lot of this number, 1 for the first."""
    last_day = FIRST_DAY + dt.timedelta(days=DAYS_APART * (number - 1))
    return Mark(last_day.isoformat(), f"L{number}")


def opening_mark(row: OpeningRow) -> Mark:
    """Return the mark of stock of the first day."""
    return Mark(row.expires_on, row.lot, row.serial)


class Deliveries:
    """The lots that lorries bring."""

    def __init__(self, opening: Iterable[OpeningRow]) -> None:
        """Take the stock of the first day: whatever has a lot there comes with lots."""
        self._last: Counter[str] = Counter()
        for row in opening:
            if row.lot:
                found = _NUMBERED.fullmatch(row.lot)
                number = int(found[1]) if found else 1
                self._last[row.gtin] = max(self._last[row.gtin], number)

    def next_of(self, gtin: str) -> Mark:
        """Return the mark of what a lorry brings now."""
        if gtin not in self._last:
            return NO_MARK
        self._last[gtin] = min(self._last[gtin] + 1, LOTS_MAX)
        return mark_of(self._last[gtin])


def give_lots(
    texts: Mapping[str, str], *, share: float, numbered: int, seed: int
) -> dict[str, str]:
    """Return a site's CSV texts with lots for this share of its articles.

    Its bins hold the older and the newer lot in turn. `numbered`: of so many other articles the
    units at one pick face have serial numbers. Raises SiteError where the texts are wrong.
    """
    site = parse_site(texts)
    gtins = sorted({row.gtin for row in site.opening})
    stream(seed, "site/lots").shuffle(gtins)
    count = round(share * len(gtins))
    with_lots, with_numbers = set(gtins[:count]), set(gtins[count : count + numbered])
    seen: Counter[str] = Counter()
    found: list[OpeningRow] = []
    for row in site.opening:
        seen[row.gtin] += 1
        if row.lot or row.serial:
            found.append(row)  # the site says it itself
        elif row.gtin in with_lots:
            mark = mark_of((seen[row.gtin] - 1) % LOTS_AT_FIRST + 1)
            found.append(replace(row, lot=mark.lot, expires_on=mark.expires_on))
        elif row.gtin in with_numbers and site.bins[row.bin_id].kind == "pick":
            with_numbers.discard(row.gtin)
            found += [
                replace(row, units=1, serial=f"S{number}") for number in range(1, row.units + 1)
            ]
        else:
            found.append(row)
    return {**texts, "opening.csv": write_rows(found, OpeningRow)}
