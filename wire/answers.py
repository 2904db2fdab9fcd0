"""What an edge says to a scan: codes for programs, sounds for ears. Words for people go with each.

Every answer on the wire takes its code from here, so that the table in docs/protocol.md is whole.
"""

from __future__ import annotations

import enum
from typing import Final


class Code(enum.StrEnum):
    """Why a scan was taken or not."""

    # taken: durable when this is said
    NEXT = "next"
    BOOKED = "booked"
    COUNTED = "counted"
    CLOSED = "closed"
    UNDONE = "undone"
    # the barcode
    NOT_GS1 = "not_gs1"
    UNKNOWN_AI = "unknown_ai"
    BAD_CHECK_DIGIT = "bad_check_digit"
    UNKNOWN_COMMAND = "unknown_command"
    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    HALF_LINE = "half_line"
    # the place and the article
    FOREIGN_SITE = "foreign_site"
    FOREIGN_ZONE = "foreign_zone"
    UNKNOWN_BIN = "unknown_bin"
    UNKNOWN_ARTICLE = "unknown_article"
    # the work
    WRONG_MODE = "wrong_mode"
    NO_BIN = "no_bin"
    NO_TASK = "no_task"
    WRONG_BIN = "wrong_bin"
    WRONG_ITEM = "wrong_item"
    TOO_MANY = "too_many"
    ALREADY = "already"
    NOT_ENOUGH = "not_enough"
    WRONG_LOT = "wrong_lot"
    LOT_NEEDED = "lot_needed"
    EXPIRED = "expired"
    SERIAL_TWICE = "serial_twice"
    SERIAL_ELSEWHERE = "serial_elsewhere"
    SERIAL_NEEDED = "serial_needed"
    NO_ORDER = "no_order"
    CONTAINER_LOOP = "container_loop"
    CONTAINER_FULL = "container_full"
    RECOUNT = "recount"
    NOTHING_TO_UNDO = "nothing_to_undo"
    # the device
    OUT_OF_ORDER = "out_of_order"
    FOREIGN_DEVICE = "foreign_device"
    UNKNOWN_DEVICE = "unknown_device"
    BUSY = "busy"
    REPEATED = "repeated"
    # the edge
    STORE_FULL = "store_full"
    STORE_FAILED = "store_failed"


class Sound(enum.StrEnum):
    """What a device should let its person hear (`ScanFeedback.sound`)."""

    TICK = "tick"
    GOOD = "good"
    DONE = "done"
    AGAIN = "again"
    BAD = "bad"


TAKEN: Final = (Code.NEXT, Code.BOOKED, Code.COUNTED, Code.CLOSED, Code.UNDONE)

CODE_MEANINGS: Final[dict[Code, tuple[str, str]]] = {
    Code.NEXT: ("mode, bin or half step noted; no stock moved", "scan what the text names"),
    Code.BOOKED: ("a movement is in the journal", "go on; with the sound `done` the task is over"),
    Code.COUNTED: ("a count is in the journal", "go on"),
    Code.CLOSED: ("a task is over with less than was asked for", "go on"),
    Code.UNDONE: ("the last movement was taken back by an opposite one", "put the goods back"),
    Code.NOT_GS1: (
        "no GS1 barcode, or its AIM identifier is missing",
        "scan another label; let the scanner send AIM identifiers",
    ),
    Code.UNKNOWN_AI: ("an application identifier that GS1 does not know", "print the label anew"),
    Code.BAD_CHECK_DIGIT: ("a check digit does not fit", "scan again, else print the label anew"),
    Code.UNKNOWN_COMMAND: ("AI 91 holds none of our commands", "scan a command card of this site"),
    Code.MALFORMED: (
        "barcode, line or message is not what it should be; a count of 0 outside of SH-COUNT",
        "the text says what was expected",
    ),
    Code.TOO_LONG: ("over 512 characters, or a message over 64 KiB", "no label of ours is so long"),
    Code.HALF_LINE: ("serial: a line without its end for 0.3 s", "scan again; look at the cable"),
    Code.FOREIGN_SITE: ("a bin label with another site's GLN", "take that label away"),
    Code.FOREIGN_ZONE: ("the bin belongs to another edge", "use a scanner of that zone"),
    Code.UNKNOWN_BIN: ("not in bins.csv, or no bin id at all", "look at the label, else bins.csv"),
    Code.UNKNOWN_ARTICLE: ("not in articles.csv", "put it aside; somebody adds the article"),
    Code.WRONG_MODE: ("no command was scanned yet", "scan a command card such as SH-PICK"),
    Code.NO_BIN: ("an article before a bin", "scan the bin"),
    Code.NO_TASK: ("no open task of this mode for this person", "look at the list of tasks"),
    Code.WRONG_BIN: ("nothing is asked for at this bin", "go where the text says"),
    Code.WRONG_ITEM: ("this article is not asked for here", "take the one that the text names"),
    Code.TOO_MANY: ("more units than the task has left", "scan as many as the text says"),
    Code.ALREADY: (
        "what this scanner booked last, once more, and that is more than is left",
        "nothing: the scan before was taken, only its beep was lost",
    ),
    Code.NOT_ENOUGH: ("the book has fewer units there", "count the bin with SH-COUNT"),
    Code.WRONG_LOT: ("another lot is asked for, or this one is not there", "take the lot named"),
    Code.LOT_NEEDED: ("which lot it is matters, and the label names none", "scan a label with it"),
    Code.EXPIRED: ("the last day of these goods is over", "put them aside: SH-QUARANTINE"),
    Code.SERIAL_TWICE: ("this very unit came in already", "nothing: it was scanned before"),
    Code.SERIAL_ELSEWHERE: ("the book has this very unit elsewhere", "look there; count the bin"),
    Code.SERIAL_NEEDED: ("units here are known by their serial numbers", "scan each one's label"),
    Code.NO_ORDER: ("goods to pack before their order", "scan the order's label"),
    Code.CONTAINER_LOOP: ("a container cannot go into what it holds", "look at both SSCCs"),
    Code.CONTAINER_FULL: ("over 100 kinds of goods in one container", "scan them one by one"),
    Code.RECOUNT: ("a count that is not the book's number, once", "count again, scan what you see"),
    Code.NOTHING_TO_UNDO: ("no movement since the last command", "nothing"),
    Code.OUT_OF_ORDER: (
        "`seq` is below one that was handled, and its own answer is not kept",
        "scan it again with a new `seq`",
    ),
    Code.FOREIGN_DEVICE: ("topic and message name different devices", "correct the device"),
    Code.UNKNOWN_DEVICE: ("no edge of the site takes this device's scans", "add it to an edge"),
    Code.BUSY: (
        "serial: 200 scans wait for their answer; the edge: 10 000 wait to be written",
        "wait, then scan again",
    ),
    Code.REPEATED: (
        "serial: the same line came again before the first one had its answer",
        "nothing: the first one counts; look at the screen",
    ),
    Code.STORE_FULL: ("the edge's journal is at its limit", "begin a new database"),
    Code.STORE_FAILED: ("the disk did not take it: nothing was written", "scan it again"),
}

SOUND_MEANINGS: Final[dict[Sound, str]] = {
    Sound.TICK: "noted, go on: nothing moved yet",
    Sound.GOOD: "booked or counted",
    Sound.DONE: "booked, and the task is over",
    Sound.AGAIN: "count once more and scan what you see",
    Sound.BAD: "refused; the text says why",
}


def codes_markdown() -> str:
    """Return the table of codes as Markdown, as it stands in docs/protocol.md."""
    lines = ["| code | `ok` | what happened | what to do |", "|---|---|---|---|"]
    for code, (meaning, remedy) in CODE_MEANINGS.items():
        ok = "true" if code in TAKEN else "false"
        lines.append(f"| `{code}` | {ok} | {meaning} | {remedy} |")
    return "\n".join(lines) + "\n"


def sounds_markdown() -> str:
    """Return the table of sounds as Markdown, as it stands in docs/protocol.md."""
    lines = ["| sound | meaning |", "|---|---|"]
    lines += [f"| `{sound}` | {meaning} |" for sound, meaning in SOUND_MEANINGS.items()]
    return "\n".join(lines) + "\n"
