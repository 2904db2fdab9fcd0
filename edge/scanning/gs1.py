"""What a barcode says: AIM identifier and GS1 data to checked elements, elements to our label.

Labels on our floor (all GS1): a bin is AI 414 (the site's GLN) + 254 (bin id); an article is 01 +
30 (or 37; or 02 + 37 on a carton), or an EAN-13 (`]E0`) or EAN-8 (`]E4`) for one unit, with lot
(10), last day (17) and serial number (21) where they are printed; a pallet, tote or parcel is its
SSCC (00); a customer's order is AI 400; a command is AI 91 with `SH-` and one of COMMANDS.
"""

from __future__ import annotations

import functools
import re
from calendar import monthrange
from dataclasses import dataclass
from typing import Any, Final

from biip import ParseError
from biip.gs1_application_identifiers import GS1ApplicationIdentifier
from biip.gs1_element_strings import GS1ElementString

from wire.answers import Code
from wire.ids import (
    BinId,
    Gtin14,
    IdError,
    gs1_check_digit,
    parse_bin,
    parse_gtin,
    parse_name,
)
from wire.messages import SCAN_TEXT_MAX, UNITS_MAX

GS: Final = "\x1d"
ELEMENT_CARRIERS: Final = {
    "]C1": "GS1-128",
    "]e0": "GS1 DataBar",
    "]d2": "GS1 DataMatrix",
    "]Q3": "GS1 QR Code",
    "]J1": "GS1 DotCode",
}
GTIN_CARRIERS: Final = {"]E0": ("EAN-13", 13), "]E4": ("EAN-8", 8)}
MODES: Final = (
    "RECEIVE", "PUTAWAY", "REFILL", "PICK", "COUNT", "MOVE", "PACK", "RETURN", "QUARANTINE",
    "RELEASE-GOOD", "RELEASE-ERROR", "SCRAP",
)  # fmt: skip
COMMANDS: Final = (*MODES, "DAMAGED", "OVER", "SHORT", "UNDO", "CANCEL")
COMMAND_PREFIX: Final = "SH-"
ELEMENTS_MAX: Final = 40
CACHED_LABELS_MAX: Final = 4_096
SHORT_TEXT_MAX: Final = 40
# AI -> first digit and place of the mod-10 check digit. GS1 General Specification, 3 and 7.9.1.
_CHECK_DIGITS: Final[dict[str, tuple[int, int]]] = {
    "00": (0, 17), "01": (0, 13), "02": (0, 13), "03": (0, 13), "253": (0, 12), "255": (0, 12),
    "402": (0, 16), "8003": (1, 13), "8006": (0, 13), "8017": (0, 17), "8018": (0, 17),
    "8026": (0, 13), **{f"41{n}": (0, 12) for n in range(8)},
}  # fmt: skip
_CSET_82: Final = (
    "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
)
_CHECK_PAIR_CHARACTERS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_CHECK_PAIR_PRIMES: Final = (
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83,
)  # fmt: skip
_BRACKETED: Final = re.compile(r"\((\d{2,4})\)((?:[^()\\]|\\.)*)")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why something scanned is not taken: a code for programs, a sentence for people."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Element:
    """One element string: what its AI says and its data."""

    ai: str
    value: str
    title: str


@dataclass(frozen=True, slots=True)
class BinLabel:
    """A bin of the site with this GLN."""

    gln: str
    bin_id: BinId


@dataclass(frozen=True, slots=True)
class ArticleLabel:
    """So many units of one article."""

    gtin: Gtin14
    units: int
    lot: str = ""
    expires_on: str = ""
    """The last day, `2027-02-28`, in this century; empty: not said."""
    serial: str = ""


@dataclass(frozen=True, slots=True)
class ContainerLabel:
    """A pallet, tote or parcel: all that is in it."""

    sscc: str


@dataclass(frozen=True, slots=True)
class OrderLabel:
    """A customer's order."""

    order_id: str


@dataclass(frozen=True, slots=True)
class CommandLabel:
    """A command to the scan session: one of COMMANDS."""

    name: str


Label = BinLabel | ArticleLabel | ContainerLabel | OrderLabel | CommandLabel


@functools.lru_cache(maxsize=CACHED_LABELS_MAX)
def read_label(text: str) -> Label | Refused:
    """Return the label in what a scanner read, or why there is none in it."""
    elements = read_elements(text)
    return elements if isinstance(elements, Refused) else _label_of(elements)


def read_elements(text: str) -> tuple[Element, ...] | Refused:
    """Return the GS1 elements in what a scanner read (AIM identifier first), all checked."""
    if len(text) > SCAN_TEXT_MAX:
        return Refused(Code.TOO_LONG, f"{len(text)} characters: at most {SCAN_TEXT_MAX} are taken")
    strange = next((char for char in text if not ("!" <= char <= "~" or char == GS)), None)
    if strange is not None:
        return Refused(Code.MALFORMED, f"character {strange!r}: a GS1 barcode holds none such")
    prefix, data = text[:3], text[3:]
    if prefix in GTIN_CARRIERS:
        return _read_gtin(prefix, data)
    if prefix in ELEMENT_CARRIERS:
        return _read_element_strings(data)
    if not text.startswith("]"):
        expected = "expected an AIM identifier such as ]C1 first"
        return Refused(Code.NOT_GS1, f"{_short(text)}: {expected}{_bare_hint(text)}")
    return Refused(
        Code.NOT_GS1, f"{_short(prefix)} is no GS1 barcode: expected GS1-128, EAN or GS1 2D"
    )


def read_bracketed(text: str) -> tuple[Element, ...] | Refused:
    r"""Return the GS1 elements in bracketed form, `(01)...(30)...`, with `\(` for a bracket."""
    if len(text) > SCAN_TEXT_MAX:
        return Refused(Code.TOO_LONG, f"{len(text)} characters: at most {SCAN_TEXT_MAX} are taken")
    found: list[Element] = []
    at = 0
    while at < len(text):
        match = _BRACKETED.match(text, at)
        if match is None:
            return Refused(Code.MALFORMED, f"{_short(text[at:])}: expected (AI) and its data")
        element = _element_of(match[1], re.sub(r"\\(.)", r"\1", match[2]))
        if isinstance(element, Refused):
            return element
        found.append(element)
        at = match.end()
    return _checked_together(found)


def explain_gs1(text: str) -> dict[str, Any]:
    """Return what `text` says, ready for JSON: verdict, reason, elements, our label."""
    bracketed = text.startswith("(")
    elements = read_bracketed(text) if bracketed else read_elements(text)
    if isinstance(elements, Refused):
        return {
            "text": text, "valid": False, "code": elements.code, "reason": elements.text,
            "elements": [], "label": None,
        }  # fmt: skip
    label = _label_of(elements)
    told: dict[str, Any] = {
        "text": text, "valid": True, "code": "ok", "reason": "",
        "elements": [{"ai": e.ai, "value": e.value, "title": e.title} for e in elements],
    }  # fmt: skip
    match label:
        case BinLabel():
            told["label"] = {"kind": "bin", "gln": label.gln, "bin_id": label.bin_id}
        case ArticleLabel():
            said = {"lot": label.lot, "expires_on": label.expires_on, "serial": label.serial}
            told["label"] = {"kind": "article", "gtin": label.gtin, "units": label.units} | {
                name: text for name, text in said.items() if text
            }
        case ContainerLabel():
            told["label"] = {"kind": "container", "sscc": label.sscc}
        case OrderLabel():
            told["label"] = {"kind": "order", "order_id": label.order_id}
        case CommandLabel():
            told["label"] = {"kind": "command", "name": label.name}
        case Refused():
            told["label"] = {"kind": "none", "code": label.code, "reason": label.text}
    return told


def _bare_hint(text: str) -> str:
    """Return how bare digits of an EAN or UPC would come from a scanner, empty for other text."""
    if not (text.isascii() and text.isdigit()):
        return ""
    if len(text) == len("40063814"):
        return f"; an EAN-8 comes as ]E4{text}"
    if len(text) in (len("036000291452"), len("4006381333931")):
        return f"; an EAN-13 or UPC comes as ]E0{text.rjust(13, '0')}"
    return ""


def _read_gtin(prefix: str, data: str) -> tuple[Element, ...] | Refused:
    name, length = GTIN_CARRIERS[prefix]
    if len(data) != length or not data.isdigit():
        return Refused(Code.MALFORMED, f"{_short(data)}: an {name} has {length} digits")
    try:
        gtin = parse_gtin(data)
    except IdError as error:
        return Refused(Code.BAD_CHECK_DIGIT, str(error))
    return (Element("01", gtin, "GTIN"),)


def _read_element_strings(data: str) -> tuple[Element, ...] | Refused:
    if not data:
        return Refused(Code.MALFORMED, "the barcode is empty after its AIM identifier")
    found: list[Element] = []
    # A separator after the last element is allowed for; scanners of some makers send it.
    for field in data.removesuffix(GS).split(GS):
        rest = field
        if not rest:
            return Refused(Code.MALFORMED, "two separators (GS) without an element between them")
        while rest:
            if len(found) >= ELEMENTS_MAX:
                return Refused(Code.MALFORMED, f"over {ELEMENTS_MAX} elements in one barcode")
            try:
                ai = GS1ApplicationIdentifier.extract(rest)
            except ParseError:
                return Refused(Code.UNKNOWN_AI, f"{_short(rest)}: begins with no known GS1 AI")
            value = rest[len(ai.ai) :]
            if not ai.separator_required:
                value = value[: _fixed_length(ai)]
            element = _element_of(ai.ai, value)
            if isinstance(element, Refused):
                return element
            found.append(element)
            rest = rest[len(ai.ai) + len(value) :]
    return _checked_together(found)


def _element_of(ai_text: str, value: str) -> Element | Refused:
    """Return one element, checked by itself: known AI, length, characters, date, check digit."""
    try:
        ai = GS1ApplicationIdentifier.extract(ai_text)
    except ParseError:
        ai = None
    if ai is None or ai.ai != ai_text:
        return Refused(Code.UNKNOWN_AI, f"({ai_text}) is no GS1 AI that we know")
    if not value:
        return Refused(Code.MALFORMED, f"({ai_text}) {ai.data_title}: no data")
    try:
        GS1ElementString.parse(ai_text + value)
    except ParseError:
        return Refused(
            Code.MALFORMED, f"({ai_text}) {ai.data_title}: {_short(value)}: expected {ai.format}"
        )
    wrong = _wrong_check(ai_text, value)
    if wrong:
        return Refused(Code.BAD_CHECK_DIGIT, f"({ai_text}) {ai.data_title} {value}: {wrong}")
    return Element(ai_text, value, ai.data_title)


def _wrong_check(ai: str, value: str) -> str:
    """Return what is wrong with the check digits in `value`; empty where they are right or none."""
    if ai in _CHECK_DIGITS:
        first, place = _CHECK_DIGITS[ai]
        expected = gs1_check_digit(value[first:place])
        if int(value[place]) != expected:
            return f"check digit is {value[place]}, expected {expected}"
    if ai in {"8013", "8014"}:
        pair = check_pair(value[:-2])
        if value[-2:] != pair or len(value) <= len(pair):
            return f"check characters are {value[-2:]}, expected {pair}"
    if ai == "8007" and not _iban_is_right(value):
        return "the check digits of the IBAN do not fit"
    return ""


def check_pair(text: str) -> str:
    """Return a GMN's or MUDI's check characters. Source: GS1 General Specification, 7.9.5."""
    weighted = zip(reversed(text), _CHECK_PAIR_PRIMES, strict=False)
    total = sum(_CSET_82.index(char) * prime for char, prime in weighted) % 1021
    return _CHECK_PAIR_CHARACTERS[total >> 5] + _CHECK_PAIR_CHARACTERS[total & 31]


def _iban_is_right(iban: str) -> bool:
    """Return whether the remainder modulo 97 is 1. Source: ISO 13616-1, 6."""
    if not (iban.isalnum() and iban.isupper() and len(iban) > len("GB82")):
        return False
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


def _checked_together(found: list[Element]) -> tuple[Element, ...] | Refused:
    values: dict[str, str] = {}
    for element in found:
        if values.setdefault(element.ai, element.value) != element.value:
            return Refused(
                Code.MALFORMED, f"({element.ai}) {element.title}: twice, with other data"
            )
    if not found:
        return Refused(Code.MALFORMED, "no element in the barcode")
    return tuple(found)


def _label_of(elements: tuple[Element, ...]) -> Label | Refused:
    value = {element.ai: element.value for element in elements}
    if "91" in value:
        return _command(value["91"])
    if "414" in value:
        return _bin(value)
    gtin = value.get("01") or (value.get("02") if "37" in value else None)
    if gtin is not None:
        return _article(gtin, value)
    if "00" in value:
        return ContainerLabel(value["00"])
    if "400" in value:
        return _order(value["400"])
    got = ", ".join(f"({element.ai})" for element in elements)
    return Refused(
        Code.MALFORMED, f"no label of ours: expected 414 + 254, 01, 00, 400 or 91, got {got}"
    )


def _article(gtin: str, value: dict[str, str]) -> ArticleLabel | Refused:
    units = int(value.get("30") or value.get("37") or "1")
    if units > UNITS_MAX:
        return Refused(Code.MALFORMED, f"count {units}: at most {UNITS_MAX}")
    serial = value.get("21", "")
    if serial and units > 1:
        text = f"serial number {serial} with count {units}: it is of one unit only"
        return Refused(Code.MALFORMED, text)
    expires_on = last_day(value["17"]) if "17" in value else ""
    return ArticleLabel(Gtin14(gtin), units, value.get("10", ""), expires_on, serial)


def last_day(yymmdd: str) -> str:
    """Return AI 17's date as `2027-02-28`; day 00 is the last one of the month.

    Source: GS1 General Specifications, 3.4.7. The century is 20: whoever knows today corrects it.
    """
    year, month, day = 2000 + int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:])
    return f"{year}-{month:02}-{day or monthrange(year, month)[1]:02}"


def _order(text: str) -> OrderLabel | Refused:
    try:
        return OrderLabel(parse_name(text, "order"))
    except IdError as error:
        return Refused(Code.MALFORMED, str(error))


def _command(text: str) -> CommandLabel | Refused:
    name = text.removeprefix(COMMAND_PREFIX)
    if not text.startswith(COMMAND_PREFIX) or name not in COMMANDS:
        known = ", ".join(COMMAND_PREFIX + command for command in COMMANDS)
        return Refused(Code.UNKNOWN_COMMAND, f"{_short(text)}: expected one of {known}")
    return CommandLabel(name)


def _bin(value: dict[str, str]) -> BinLabel | Refused:
    if "254" not in value:
        return Refused(Code.MALFORMED, "a bin label needs 254 (bin id) beside 414 (the site's GLN)")
    try:
        return BinLabel(value["414"], parse_bin(value["254"]))
    except IdError as error:
        return Refused(Code.UNKNOWN_BIN, str(error))


@functools.lru_cache(maxsize=1_024)
def _fixed_length(ai: GS1ApplicationIdentifier) -> int:
    """Return the data's length of an AI that needs no separator, from its format (`N2+N14`: 14)."""
    return sum(int(part) for part in re.findall(r"[NX](\d+)", ai.format.partition("+")[2]))


def _short(text: str) -> str:
    return repr(text) if len(text) <= SHORT_TEXT_MAX else repr(text[:SHORT_TEXT_MAX]) + "..."
