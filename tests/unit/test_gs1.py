"""Barcodes are read as GS1 or refused with a code and a sentence; no wrong check digit passes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.scanning.gs1 import (
    COMMANDS,
    ArticleLabel,
    BinLabel,
    CommandLabel,
    ContainerLabel,
    OrderLabel,
    Refused,
    check_pair,
    explain_gs1,
    read_elements,
    read_label,
)
from tests.edge_world import GLN, MUG, article_label, bin_label, command_label
from wire.ids import gs1_check_digit, parse_bin, parse_gtin

GS = "\x1d"
# What the scans of the vectors below know and we do not yet: GS1 Digital Link addresses.
DIGITAL_LINK = "http"


def test_a_bin_label_names_site_and_bin() -> None:
    assert read_label(bin_label("A-01-2")) == BinLabel(GLN, parse_bin("A-01-2"))


@pytest.mark.parametrize(
    ("text", "units"),
    [
        (article_label(units=12), 12),
        (f"]d201{MUG}30012{GS}10LOT7", 12),
        (f"]Q3{'02'}{MUG}376{GS}", 6),
        (f"]C101{MUG}374", 4),
        (f"]C101{MUG}", 1),
        (f"]E0{MUG[1:]}", 1),
        (f"]C110LOT7{GS}01{MUG}305", 5),
    ],
)
def test_an_article_label_names_gtin_and_units(text: str, units: int) -> None:
    label = read_label(text)
    assert isinstance(label, ArticleLabel)
    assert (label.gtin, label.units) == (MUG, units)
    assert label.lot == ("LOT7" if "LOT7" in text else "")


@pytest.mark.parametrize(
    ("said", "lot", "expires_on", "serial"),
    [
        ("17270200" + "10L-1", "L-1", "2027-02-28", ""),
        ("17280200" + "10L-1", "L-1", "2028-02-29", ""),
        ("17261231", "", "2026-12-31", ""),
        (f"10L/2{GS}21S-9", "L/2", "", "S-9"),
        ("21S-9", "", "", "S-9"),
    ],
)
def test_an_article_label_names_lot_last_day_and_serial(
    said: str, lot: str, expires_on: str, serial: str
) -> None:
    label = ArticleLabel(parse_gtin(MUG), 1, lot, expires_on, serial)
    assert read_label(f"]C101{MUG}{said}") == label
    told = explain_gs1(f"]C101{MUG}{said}")["label"]
    assert told == {"kind": "article", "gtin": MUG, "units": 1} | {
        name: text
        for name, text in (("lot", lot), ("expires_on", expires_on), ("serial", serial))
        if text
    }


def test_a_serial_number_is_of_one_unit_only() -> None:
    refused = read_label(f"]C101{MUG}3012{GS}21S-9")
    assert isinstance(refused, Refused)
    assert refused.text == "serial number S-9 with count 12: it is of one unit only"


def test_an_sscc_names_a_container_and_ai_400_an_order() -> None:
    sscc = "34012345000000001" + str(gs1_check_digit("34012345000000001"))
    assert read_label(f"]C100{sscc}") == ContainerLabel(sscc)
    assert explain_gs1(f"(00){sscc}")["label"] == {"kind": "container", "sscc": sscc}
    assert read_label("]C1400O17") == OrderLabel("O17")
    assert explain_gs1("(400)O17")["label"] == {"kind": "order", "order_id": "O17"}
    assert isinstance(read_label("]C1400O 17"), Refused)


def test_an_ean_8_is_one_unit() -> None:
    assert read_label("]E496385074") == ArticleLabel(parse_gtin("96385074"), 1)


@pytest.mark.parametrize(
    ("digits", "scanned"),
    [("4006381333931", "]E04006381333931"), ("036000291452", "]E00036000291452"),
     ("96385074", "]E496385074")],
)  # fmt: skip
def test_bare_digits_are_refused_with_what_a_scanner_would_send(digits: str, scanned: str) -> None:
    refused = read_label(digits)
    assert isinstance(refused, Refused)
    assert refused.code == "not_gs1"
    assert refused.text.endswith(f" comes as {scanned}")
    assert isinstance(read_label(scanned), ArticleLabel)


@pytest.mark.parametrize("text", ["12345", "4006381333931x", "hello", "٤٠٠٦٣٨١٣٣٣٩٣١"])
def test_other_text_without_an_identifier_gets_no_such_hint(text: str) -> None:
    refused = read_label(text)
    assert isinstance(refused, Refused)
    assert "comes as" not in refused.text


def test_the_bracketed_form_is_explained_but_no_scan() -> None:
    told = explain_gs1(f"(01){MUG}(30)12")
    assert (told["valid"], told["label"]["units"]) == (True, 12)
    assert isinstance(read_label(f"(01){MUG}(30)12"), Refused)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_label_names_the_command(name: str) -> None:
    assert read_label(command_label(name)) == CommandLabel(name)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("4006381333931", "not_gs1"),
        ("]A0HELLO", "not_gs1"),
        ("]C0" + f"01{MUG}", "not_gs1"),
        ("]d1TEXT", "not_gs1"),
        ("]C1", "malformed"),
        ("]C101" + MUG[:-1] + "2", "bad_check_digit"),
        ("]E04006381333932", "bad_check_digit"),
        ("]E0400638133393", "malformed"),
        (bin_label("A-01", "4049111000009"), "bad_check_digit"),
        (f"]C1414{GLN}", "malformed"),
        (f"]C1414{GLN}254a/b", "unknown_bin"),
        ("]C1" + "891234", "unknown_ai"),
        (f"]C101{MUG}30", "malformed"),
        (f"]C101{MUG}30123456789", "malformed"),
        (f"]C101{MUG}3099999999", "malformed"),
        (f"]C101{MUG}17991301", "malformed"),
        (f"]C101{MUG}{GS}{GS}305", "malformed"),
        (f"]C101{MUG}01{MUG[:-2]}{'49'}", "bad_check_digit"),
        ("]C191SH-DANCE", "unknown_command"),
        ("]C110LOT7", "malformed"),
        ("]C101" + MUG + "\n", "malformed"),
        ("]C101" + MUG + "é", "malformed"),
        ("]C1" + "9" * 600, "too_long"),
    ],
)
def test_anything_else_is_refused_with_its_code(text: str, code: str) -> None:
    refused = read_label(text)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert refused.text


def test_labels_of_the_reference_engine_name_lot_day_serial_and_container(data_dir: Path) -> None:
    found = 0
    for vector in vectors(data_dir):
        said = dict(vector["elements"])
        if not vector["valid"] or vector["kind"] != "bracketed" or "91" in said or "414" in said:
            continue
        label = explain_gs1(vector["input"])["label"]
        if label is None or label["kind"] not in ("article", "container"):
            continue
        found += 1
        if label["kind"] == "container":
            assert label["sscc"] == said["00"]
            continue
        assert (label.get("lot", ""), label.get("serial", "")) == (
            said.get("10", ""), said.get("21", ""),
        )  # fmt: skip
        day = label.get("expires_on", "").replace("-", "")[2:]
        assert day[:4] == said.get("17", "")[:4]
        assert day[4:] == said.get("17", "")[4:] or said["17"].endswith("00")
    assert found > 10


def test_the_same_ai_twice_with_other_data_is_refused() -> None:
    assert isinstance(read_elements(f"]C110A{GS}10B"), Refused)
    assert not isinstance(read_elements(f"]C110A{GS}10A"), Refused)


def test_check_characters_are_those_of_the_specification() -> None:
    assert check_pair("1987654Ad4X4bL5ttr2310c") == "2K"
    assert explain_gs1("(8013)1987654Ad4X4bL5ttr2310c2K")["valid"]
    assert explain_gs1("(8013)1987654Ad4X4bL5ttr2310c2L")["code"] == "bad_check_digit"


def test_an_explanation_can_be_written_as_json() -> None:
    told = json.loads(json.dumps(explain_gs1(article_label(units=3))))
    assert told["valid"]
    assert told["elements"][0] == {"ai": "01", "value": MUG, "title": "GTIN"}
    assert told["label"] == {"kind": "article", "gtin": MUG, "units": 3}
    assert explain_gs1("(01)" + MUG + "(30)3")["label"] == told["label"]
    assert explain_gs1("]C110LOT7")["label"]["kind"] == "none"
    assert explain_gs1("HELLO")["reason"].startswith("'HELLO'")


@given(st.text(max_size=600))
def test_any_text_is_explained(text: str) -> None:
    for told in (explain_gs1(text), explain_gs1("]C1" + text), explain_gs1("(" + text)):
        assert told["valid"] or (told["code"] and told["reason"])


@given(st.text("0123456789", min_size=13, max_size=13), st.integers(1, 9))
def test_no_wrong_check_digit_passes(digits: str, more: int) -> None:
    right = gs1_check_digit(digits)
    wrong = (right + more) % 10
    assert not isinstance(read_elements(f"]C101{digits}{right}"), Refused)
    refused = read_elements(f"]C101{digits}{wrong}")
    assert isinstance(refused, Refused)
    assert refused.code == "bad_check_digit"


def vectors(data_dir: Path) -> list[dict[str, Any]]:
    path = data_dir / "gs1" / "vectors.json"
    if not path.exists():
        pytest.skip(f"no GS1 vectors at {path}")
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["vectors"]
    return found


def test_scanned_element_strings_agree_with_the_reference_engine(data_dir: Path) -> None:
    """Held to what the engine reads as element strings; what it reads as other data we refuse."""
    differing = []
    for vector in vectors(data_dir):
        if vector["kind"] != "scan" or DIGITAL_LINK in vector["input"]:
            continue
        expected = vector["elements"] if vector["valid"] else []
        if vector["input"].startswith("]E") and vector["valid"]:
            expected = [["01", vector["input"][3:].rjust(14, "0")]]
        read = read_elements(vector["input"])
        got = [] if isinstance(read, Refused) else [[e.ai, e.value] for e in read]
        if got != expected:
            differing.append((vector["input"], got, vector["error"]))
    assert differing == []


def test_no_wrong_check_digit_of_the_reference_passes(data_dir: Path) -> None:
    wrong = [v for v in vectors(data_dir) if "check" in v["error"].lower() and not v["valid"]]
    assert len(wrong) > 10
    for vector in wrong:
        assert not explain_gs1(vector["input"])["valid"], vector["input"]
