"""The words of the scenario language, in tables that the parser, the errors and the page share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sim_hardware.config import SimConfig
from sim_hardware.devices.robot import CONDITIONS
from sim_hardware.faults.targets import NAMES
from sim_hardware.world.lots import LOTS_MAX, mark_of
from sim_hardware.world.suppliers import OFF
from wire.answers import Code
from wire.site import Site

# So many digits at most: what is longer is no number that means anything here.
_TIME: Final = re.compile(r"(?:([0-9]{1,9}):)?([0-9]{1,9}):([0-5][0-9])(?:\.([0-9]{1,15}))?")
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?")
UNITS_S: Final = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}

DIRECTIVES: Final[dict[str, tuple[str, str]]] = {
    "SCENARIO": ("SCENARIO Umbrella rainstorm", "its title; the `#` lines below say what it shows"),
    "SITE": (
        "SITE demo skus=20 robots=3",
        "where it happens: `demo`; `generated`, as by `sim generate`; `folder PATH`: CSV files",
    ),
    "WITH": (
        "WITH errors misplace=2 %",
        "how people, suppliers, weather ... are here, from the start (sections are below)",
    ),
    "DAY": ("DAY 10 min", "length of one sales day; without it 10 min"),
    "SPEED": (
        "SPEED 4",
        "the world goes so much faster than the product's clock; without it 1",
    ),
    "RUN": ("RUN 15 min", "how long the world runs"),
    "AT": ("AT 2:30 ...", "what happens then; `2:30`, `1:02:30`, `150 s` and `2.5 min` are times"),
    "EXPECT": ("EXPECT books are true", "what must hold at the end, when the books have settled"),
}
"""What a line may begin with: (example, meaning)."""

ACTIONS: Final[dict[str, tuple[str, str]]] = {
    "SCAN": (
        "AT 0:30 SCAN scanner-guest BIN B-01-01-1",
        "a visitor scans; what, is below",
    ),
    "FAULT": (
        "AT 1:00 FAULT serial-stall scanner-1 FOR 20 s",
        "something breaks (kinds: `stockhelm sim faults`), `FOR` a time, else until `END`",
    ),
    "END": ("AT 1:40 END serial-stall scanner-1", "that fault is over"),
    "DO": ("AT 2:00 DO approve all", "somebody does something; what, is below"),
    "EXPECT": (
        "AT 5:00 EXPECT orders filled >= 3 WITHIN 30 s",
        "what must hold then, or become true `WITHIN` some time",
    ),
}
"""What may follow `AT time`: (example, meaning)."""

SCANS: Final[dict[str, tuple[str, str]]] = {
    "BIN": ("BIN B-01-01-1", "the label of a bin"),
    "ARTICLE": ("ARTICLE SKU-007 x12", "an article by SKU or GTIN, `x12`: so many (without: 1)"),
    "CARD": (
        "CARD COUNT",
        "a command card: RECEIVE, PUTAWAY, PICK, COUNT, MOVE ... (docs/protocol.md)",
    ),
    "RAW": ('RAW "]C1hello"', "any text, as the scanner would send it"),
}
"""What a SCAN may read: (example, meaning)."""
CARDS: Final = (
    "RECEIVE", "PUTAWAY", "REFILL", "PICK", "COUNT", "MOVE", "PACK", "RETURN", "QUARANTINE",
    "RELEASE-GOOD", "RELEASE-ERROR", "SCRAP", "DAMAGED", "OVER", "SHORT", "UNDO", "CANCEL",
)  # fmt: skip


SITE_KINDS: Final = ("demo", "generated", "folder")
GENERATED: Final = ("generated",)


@dataclass(frozen=True, slots=True)
class Option:
    """A number that a generated site is made with."""

    default: float
    min: float
    max: float
    text: str
    whole: bool = True
    kinds: tuple[str, ...] = SITE_KINDS
    """Of which sites it may be given."""
    generated_max: float = 0.0
    """The most of it on a `generated` site; 0: no more than elsewhere."""

    def most(self, kind: str) -> float:
        """Return the most of it on a site of that kind."""
        return self.generated_max if kind in GENERATED and self.generated_max else self.max


SITE_OPTIONS: Final[dict[str, Option]] = {
    "seed": Option(7, 0, 2**31, "decides the site; the run's own chance is `--seed`"),
    "skus": Option(20, 1, 60, "articles", generated_max=5_000),
    "robots": Option(3, 1, 12, "robots", generated_max=1_000),
    "cameras": Option(0, 0, 1, "fixed cameras that render pictures (they cost most time)"),
    "smart": Option(0, 0, 20, "fixed cameras that decode by themselves, `smart-1` ...: cheap"),
    "drones": Option(0, 0, 1, "drones that look at bins"),
    "lots": Option(0, 0, 100, "per cent of articles whose goods are of lots, with their last day"),
    "numbered": Option(0, 0, 60, "articles of which one bin holds units with serial numbers"),
    "orders": Option(40, 0, 100_000, "customer orders on a usual day", whole=False),
    "stray": Option(3, 0, 100, "per cent of scans that first hit a label which is none of ours"),
    "auto": Option(60, 0, 1_000_000, "moves of at most so many units need no planner"),
    "due": Option(120, 5, 86_400, "product seconds until a task is given to somebody else"),
    "expires": Option(3_600, 2, 86_400, "product seconds until a proposal is let go"),
    "ahead": Option(6, 2, 100, "nodes that a robot may own ahead of where it is"),
    "bins": Option(100, 50, 20_000, "bins of a `generated` site", kinds=GENERATED),
    "zones": Option(
        0, 0, 26, "zones of a `generated` site, each with its edge; 0: as fits", kinds=GENERATED
    ),
    "people": Option(
        0, 0, 500, "people of a `generated` site; 0: as fits its orders", kinds=GENERATED
    ),
}
"""Options of a SITE; of a folder all but `seed`, `skus`, `robots`."""
PROMISES: Final = ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9")
"""Promises of the product that a run can show; what each says is in docs/simulator.md."""

TASK_KINDS: Final = ("receive", "putaway", "refill", "transfer", "pick", "deliver", "count")
PROPOSAL_KINDS: Final = ("refill", "transfer", "buy", "count", "adjust")
PROPOSAL_STATES: Final = ("waits", "approved", "rejected", "expired", "done", "failed")
PURCHASE_STATES: Final = ("sent", "confirmed", "arrived", "received")
ORDER_STATES: Final = ("accepted", "allocated", "picked", "filled", "refused")

Names = Callable[[Site, SimConfig], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Slot:
    """A part of a sentence that varies: what it is called, and what it may be."""

    name: str
    names: Names
    text: str
    words: tuple[str, ...] = ()
    """All that it can be on any site; empty: that depends on the site."""


def _fixed(name: str, words: Iterable[str], text: str) -> Slot:
    kept = tuple(words)
    return Slot(name, lambda _site, _config: kept, text, kept)


def _targets(site: Site, config: SimConfig) -> tuple[str, ...]:
    return (*site.bins, *NAMES["article"](site, config))


def _lots(site: Site, _config: SimConfig) -> tuple[str, ...]:
    named = {row.lot for row in site.opening if row.lot}
    return tuple(sorted(named | {mark_of(number).lot for number in range(1, LOTS_MAX + 1)}))


def _wired(site: Site, config: SimConfig) -> tuple[str, ...]:
    return (*NAMES["serial device"](site, config), *NAMES["mqtt device"](site, config))


def _eyes_and_scanners(site: Site, config: SimConfig) -> tuple[str, ...]:
    return (*NAMES["scanner"](site, config), *NAMES["camera"](site, config))


SLOTS: Final[dict[str, Slot]] = {
    slot.name: slot
    for slot in (
        Slot("bin", NAMES["bin"], "a bin's id"),
        Slot("article", NAMES["article"], "an SKU or GTIN-14"),
        Slot("lot", _lots, "a lot: `L1` and so on, or one of the opening stock"),
        Slot("target", _targets, "the bin it goes to, or the article"),
        Slot("scanner", NAMES["scanner"], "a visitor's scanner"),
        Slot("device", _eyes_and_scanners, "a scanner or a fixed camera"),
        _fixed("reach", ("online", "offline"), "whether it is reached"),
        Slot("robot", NAMES["robot"], "a robot's serial"),
        _fixed("condition", CONDITIONS, "how a robot is"),
        Slot("wire", _wired, "a device on a line or on the broker"),
        Slot("supplier", NAMES["supplier"], "a supplier's id"),
        _fixed("mistake", OFF, "how a delivery can be wrong"),
        Slot("edge", NAMES["edge"], "`edge A` ..."),
        Slot("process", NAMES["process"], "`broker`, `central`, `edge A` ..."),
        _fixed("task", TASK_KINDS, "kind of task"),
        _fixed("proposal", PROPOSAL_KINDS, "kind of proposal"),
        _fixed("state", PROPOSAL_STATES, "how a proposal stands"),
        _fixed("purchase", PURCHASE_STATES, "how a purchase order stands"),
        _fixed("order", ORDER_STATES, "how an order stands"),
        _fixed("code", (*(str(code) for code in Code), "no-beep"), "code of an answer"),
        _fixed("up", ("up", "down"), "whether it runs"),
        _fixed("promise", PROMISES, "a promise: P1 to P9"),
        _fixed("units", (), "a whole number from 1"),
        _fixed("count", (), "a whole number"),
    )
}
"""By name: every `{slot}` of a sentence."""
PROCESS_SLOTS: Final = ("process", "edge")
NUMBER_SLOTS: Final = ("units", "count")
UNITS_MAX: Final = 1_000_000
"""Units of one order of a customer."""


def words_markdown() -> str:
    """Return the table of the slots that take fixed words, as it stands in docs/simulator.md."""
    rows = [
        (slot.text, ", ".join(f"`{word}`" for word in slot.words))
        for slot in SLOTS.values()
        if slot.words
    ]
    return table(("what", "words"), rows)


def parse_time(text: str) -> float | None:
    """Return the seconds of `2:30`, `1:02:30`, `150 s`, `2.5 min`; None where it is no time."""
    clock = _TIME.fullmatch(text)
    if clock:
        hours, minutes, seconds, part = clock.groups()
        whole = int(hours or 0) * 3_600 + int(minutes) * 60 + int(seconds)
        return whole + (float(f"0.{part}") if part else 0.0)
    number, _, unit = text.partition(" ")
    if not _NUMBER.fullmatch(number):
        number, unit = _split_unit(text)
    if not _NUMBER.fullmatch(number) or unit not in UNITS_S:
        return None
    return float(number) * UNITS_S[unit]


def _split_unit(text: str) -> tuple[str, str]:
    found = _NUMBER.match(text)
    return (found[0], text[found.end() :]) if found else ("", "")


def is_number(text: str) -> bool:
    """Return whether `text` is a number."""
    return bool(_NUMBER.fullmatch(text))


def slot_names(pattern: str) -> tuple[str, ...]:
    """Return the names of the `{slots}` in a sentence."""
    return tuple(word[word.index("{") + 1 : -1] for word in pattern.split() if "{" in word)


def match(pattern: str, words: list[str]) -> dict[str, str] | None:
    """Return what stands in the slots of `pattern`, or None where these words are another one.

    A slot takes one word; `{process}` and `{edge}` may take two (`edge A`).
    """
    return _match(pattern.split(), words)


def _match(wants: list[str], words: list[str]) -> dict[str, str] | None:
    if not wants:
        return None if words else {}
    want = wants[0]
    before, brace, name = want.rstrip("}").partition("{")
    if not brace:
        return _match(wants[1:], words[1:]) if words[:1] == [want] else None
    if before:  # x{units}
        if not words or not words[0].startswith(before):
            return None
        words, before = [words[0].removeprefix(before), *words[1:]], ""
    for taken in (1, 2) if name in PROCESS_SLOTS else (1,):
        if len(words) >= taken:
            rest = _match(wants[1:], words[taken:])
            if rest is not None:
                return {name: " ".join(words[:taken]), **rest}
    return None


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def examples_markdown(head: str, rows: Mapping[str, tuple[str, str]]) -> str:
    """Return one of the tables of words above as Markdown."""
    return table((head, "meaning"), ((f"`{example}`", text) for example, text in rows.values()))
