"""Words for people: the name that was meant, lists that end, numbers and times as written."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

SHOWN_MAX: Final = 12
"""Names of a site that an error lists."""
CUTOFF: Final = 0.6
TEXT_MAX: Final = 4_000
"""Characters of one error that are shown; its end says what to do."""
_PARTS_OF_TIME: Final = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0))


def near(came: str, known: Iterable[str]) -> str:
    """Return the known name that is nearest to what came, empty where none is near."""
    names = list(known)
    found = get_close_matches(came, names, 1, CUTOFF)
    if not found:  # FALT is near FAULT also where somebody writes small
        by_fold = {name.casefold(): name for name in names}
        matches = get_close_matches(came.casefold(), list(by_fold), 1, CUTOFF)
        found = [by_fold[match] for match in matches]
    if not found:  # `A` where `edge A` is meant
        found = [name for name in names if came and name.endswith(f" {came}")]
    return found[0] if found else ""


def meant(came: str, known: Iterable[str]) -> str:
    """Return `; did you mean X?` where a known name is near, else nothing."""
    found = near(came, known)
    return f"; did you mean {found}?" if found else ""


def instead(came: str, known: Iterable[str], *, lead: str = "expected one of", text: str) -> str:
    """Return the end of an error on an unknown name: the one that was meant, then `text`.

    `; did you mean FAULT? Expected one of SCAN, FAULT`, or `; expected one of SCAN, FAULT`.
    """
    guess = meant(came, known)
    return f"{guess} {lead.capitalize()} {text}" if guess else f"; {lead} {text}"


def there_is(came: str, known: Iterable[str]) -> str:
    """Return the end of an error on a name that a site has not: what was meant, what there is."""
    names = list(known)
    return instead(came, names, lead="there is:", text=some(names))


def elsewhere(came: str, known: Iterable[str], command: str) -> str:
    """Return the end of an error on a name of many: what was meant, and which command names all."""
    return f"{meant(came, known) or ';'} `{command}` names all"


def some(names: Iterable[str]) -> str:
    """Return the first names of many, for an error's text."""
    known = list(names)
    more = len(known) - SHOWN_MAX
    return ", ".join(known[:SHOWN_MAX]) + (f" and {more} more" if more > 0 else "") or "none"


def one(what: str) -> str:
    """Return `a scanner`, `an article`, `an mqtt device`."""
    return f"{'an' if what[0] in 'aeiom' else 'a'} {what}"


def many(count: int, what: str) -> str:
    """Return `1 step`, `2 steps`, `1,000 steps`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def shortened(text: str) -> str:
    """Return a text, without its middle where it is longer than anybody reads."""
    if len(text) <= TEXT_MAX:
        return text
    return f"{text[: TEXT_MAX // 4]} ... {text[-TEXT_MAX * 3 // 4 :]}"


def number_text(number: float) -> str:
    """Return a number with all its digits: `2,147,483,648`, `0.05`."""
    return f"{number:,.12g}"


def time_text(seconds: float) -> str:
    """Return a time in the largest unit that it is a whole number of: `30 d`, `90 s`."""
    for unit, unit_s in _PARTS_OF_TIME:
        if seconds and not seconds % unit_s:
            return f"{number_text(seconds / unit_s)} {unit}"
    return f"{number_text(seconds)} s"
