"""Times as people write them, in UTC, and the nanoseconds that the ledger keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

NS_PER_US: Final = 1_000
LAST_NS: Final = 2**63 - 1
"""What the ledger's columns hold at most."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EXPECTED: Final = "expected a time like 2026-11-01T12:00:00Z or 2026-11-01T13:00+01:00, or a day"


def parse_utc(told: str) -> int:
    """Return the time in ns since 1970. Raises ValueError with what was expected.

    Without a zone it is UTC; a day alone is its first moment.
    """
    try:
        found = datetime.fromisoformat(told.strip())
    except ValueError as error:
        raise ValueError(f"{told!r}: {EXPECTED}") from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    at_ns = (found - EPOCH) // timedelta(microseconds=1) * NS_PER_US
    if not 0 <= at_ns <= LAST_NS:
        raise ValueError(f"{told!r}: {EXPECTED}, from 1970 to April 2262")
    return at_ns


def utc_text(at_ns: int) -> str:
    """Return the time as people read it, to the millisecond."""
    try:
        at = EPOCH + timedelta(microseconds=at_ns // NS_PER_US)
    except OverflowError:  # a clock that is wrong by thousands of years
        return f"{at_ns} ns"
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
