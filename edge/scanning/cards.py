"""The command cards: what each one wants to be scanned next and what it books.

One table: docs/protocol.md shows it, and the printed sheet (`stockhelm cards`) says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge.scanning.gs1 import COMMAND_PREFIX

COMMAND_AI: Final = "91"


@dataclass(frozen=True, slots=True)
class Use:
    """One way to use a card."""

    command: str
    scans: str
    """What is scanned after it."""
    books: str


USES: Final = (
    Use("RECEIVE", "dock bin, article, article ...", "supplier to dock bin, at each article"),
    Use(
        "PUTAWAY", "from bin, article, to bin, article, to bin ...",
        "from bin to bin, at each second bin",
    ),
    Use("PICK", "bin, article, article ...", "bin to tote, at each article"),
    Use(
        "REFILL", "from bin, article, to bin, article, to bin ...",
        "as `SH-PUTAWAY`, from reserve into a pick face",
    ),
    Use("COUNT", "bin, article, article ...", "a count at each article; needs no task"),
    Use(
        "MOVE", "bin or container, article, then where it goes: bin or container",
        "from there to here; needs no task",
    ),
    Use(
        "MOVE", "container, then a bin or another container",
        "all that is in it into the bin; or the container into the other one, whole",
    ),
    Use(
        "PACK", "order, maybe container, article, article ...",
        "the order's tote to that container, else to the customer; needs no task",
    ),
    Use(
        "RETURN", "maybe order, maybe bin, article, article ...",
        "customer to the bin, without one to `quarantine:`; needs no task",
    ),
    Use(
        "QUARANTINE", "bin, article, article ...; or a container",
        "from there to `quarantine:`; needs no task",
    ),
    Use(
        "RELEASE-GOOD", "bin, article, article ...",
        "`quarantine:` to the bin: looked at, and good (reason `release-good`); needs no task",
    ),
    Use(
        "RELEASE-ERROR", "bin, article, article ...",
        "the same for goods that were put aside by mistake (reason `release-error`)",
    ),
    Use(
        "SCRAP", "article, article ...",
        "`quarantine:` to `damaged:`: gone for good (reason `scrap`)",
    ),
    Use("DAMAGED", "article", "in a receipt: the next article came broken: supplier to `damaged:`"),
    Use(
        "OVER", "article",
        "in a receipt: the next article is more than was expected, and is taken",
    ),
    Use(
        "SHORT", "",
        "in a receipt: no more comes of the article scanned last, or of the only one open; ends its"
        " task",
    ),
    Use(
        "UNDO", "",
        "takes back what was scanned last: the half step, else the last movement with its lots,"
        " serial numbers, containers, or `SH-SHORT`",
    ),
    Use("CANCEL", "", "forgets bin and half step; the mode stays"),
)  # fmt: skip


def card_text(command: str) -> str:
    """Return the element string on a command's card: AI 91 and `SH-` with its name."""
    return f"({COMMAND_AI}){COMMAND_PREFIX}{command}"


def cards_markdown() -> str:
    """Return the table of the cards as Markdown, as it stands in docs/protocol.md."""
    rows = [f"| `{COMMAND_PREFIX}{use.command}` | {use.scans} | {use.books} |\n" for use in USES]
    return "| mode | scans | what is booked |\n|---|---|---|\n" + "".join(rows)
