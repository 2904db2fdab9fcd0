"""Decoding: two decoders become one answer, whatever the picture and whatever is installed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.vision import zbar
from edge.vision.command import as_json, as_text, decode_files
from edge.vision.core import Code, merge, place_of
from edge.vision.decode import WAREHOUSE_FORMATS, Decoder, PictureError, decode_image, open_picture
from runtime.seeds import stream
from sim_hardware.devices.labels import Picture, Symbology, bin_text, carton_text, label
from sim_hardware.devices.lens import Lens, Optics
from sim_hardware.devices.picture import BinFront, Carton, draw_section
from tests.conftest import ROOT
from tests.rack import GLN, gtin


def rack_picture(optics: Optics, seed: int = 1) -> tuple[Picture, Counter[str]]:
    """Return a picture of four bins with a carton of each symbology, and the texts in it."""
    kinds = (Symbology.EAN_13, Symbology.GS1_128, Symbology.GS1_DATAMATRIX, Symbology.GS1_QR)
    fronts, texts = [], Counter[str]()
    for i, kind in enumerate(kinds):
        article = gtin(i)
        plain = article[1:] if kind is Symbology.EAN_13 else carton_text(article)
        fronts.append(BinFront(bin_text(GLN, f"B-01-0{i}-1"), (Carton(plain, kind),)))
        texts[f"414{GLN}254B-01-0{i}-1"] += 1
        texts[article[1:] if kind is Symbology.EAN_13 else f"01{article}"] += 1
    return Lens(stream(seed, "lens"), optics).shoot(draw_section(tuple(fronts))), texts


@pytest.mark.parametrize(
    "optics",
    [
        pytest.param(Optics(tilt=0, blur_px=0.4, noise=0), id="straight"),
        pytest.param(Optics(), id="usual"),
        pytest.param(Optics(tilt=0.06), id="aslant"),
        pytest.param(Optics(blur_px=0.9), id="out of focus"),
        pytest.param(Optics(light_min=0.35, light_max=0.4), id="dim"),
        pytest.param(Optics(noise=14), id="noisy"),
    ],
)
@pytest.mark.parametrize("use_zbar", [True, False], ids=["with zbar", "zxing alone"])
def test_every_label_of_a_rack_is_read(optics: Optics, *, use_zbar: bool) -> None:
    picture, texts = rack_picture(optics)
    found = Decoder(formats=WAREHOUSE_FORMATS, use_zbar=use_zbar).decode(picture)
    assert Counter(code.text[3:] for code in found) == texts


def test_what_is_too_blurred_gives_no_wrong_code() -> None:
    for seed in range(5):
        picture, texts = rack_picture(Optics(blur_px=3.0, noise=10), seed)
        assert {code.text[3:] for code in Decoder().decode(picture)} <= set(texts)


def test_without_libzbar_zxing_goes_on_alone_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zbar, "wrapper", None)
    decoder = Decoder()
    assert decoder.note == "zxing-cpp alone: zbar is not installed (Debian: apt install libzbar0)"
    picture, texts = rack_picture(Optics())
    assert Counter(code.text[3:] for code in decoder.decode(picture)) == texts


def test_a_machine_without_the_library_still_imports_and_decodes() -> None:
    program = (
        "import ctypes.util; ctypes.util.find_library = lambda name: None\n"
        "from edge.vision.decode import Decoder; print(Decoder().note)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert told.stdout.startswith("zxing-cpp alone: zbar is not installed")


def test_a_colour_picture_is_read_like_a_grey_one() -> None:
    picture, texts = rack_picture(Optics())
    colour = np.asarray(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR), np.uint8)
    assert Counter(code.text[3:] for code in decode_image(colour)) == texts


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "no picture: 0 bytes", id="empty"),
        pytest.param(b"GIF89a and no more", "not a picture: 18 bytes", id="cut short"),
        pytest.param(bytes(range(256)), "not a picture: 256 bytes", id="noise"),
    ],
)
def test_bytes_that_are_no_picture_are_refused_with_a_reason(data: bytes, why: str) -> None:
    with pytest.raises(PictureError, match=why):
        open_picture(data)


def test_half_a_jpeg_is_a_picture_or_refused_but_never_more() -> None:
    picture, texts = rack_picture(Optics())
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    for share in (0.02, 0.3, 0.6, 0.99):
        try:
            found = decode_image(open_picture(data[: int(len(data) * share)]))
        except PictureError:
            continue
        assert {code.text[3:] for code in found} <= set(texts)


# --- merging -------------------------------------------------------------------------------------


def code(text: str, left: float, top: float, width: float = 100, height: float = 50) -> Code:
    right, bottom = left + width, top + height
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Code(text=text, symbology="EAN-13", corners=corners)


def test_a_text_that_only_the_second_decoder_read_is_added() -> None:
    sure, more = code("]E0A", 0, 0), code("]E0B", 300, 0)
    assert merge([sure], [more]) == [sure, more]


def test_a_text_that_both_read_is_kept_once_where_the_first_saw_it() -> None:
    assert merge([code("]E0A", 0, 0)], [code("]E0A", 200, 0)]) == [code("]E0A", 0, 0)]


def test_a_phantom_where_another_code_lies_is_dropped() -> None:
    left, right = code("]E0A", 0, 0), code("]E0B", 200, 0)
    assert merge([left, right], [code("]E0PHANTOM", 0, 10, width=300)]) == [left, right]


def test_the_place_of_one_label_spans_both_its_ends() -> None:
    points = [(x, float(y)) for y in range(10, 50, 2) for x in (100.0, 340.0)]
    assert place_of(points) == ((100, 10), (340, 10), (340, 48), (100, 48))


def test_the_place_of_repeated_labels_is_one_end_of_one_of_them() -> None:
    many = [(x, float(y)) for y in range(10, 50, 2) for x in (100.0, 340.0)]
    few = [(x, float(y)) for y in range(300, 320, 2) for x in (700.0, 940.0)]
    [(left, _), (right, _), _, _] = place_of(many + few)
    assert (left, right) in {(100, 100), (340, 340)}


# --- the command ---------------------------------------------------------------------------------


def test_the_command_lists_codes_and_errors_by_file(tmp_path: Path) -> None:
    good, bare, broken = tmp_path / "good.png", tmp_path / "bare.png", tmp_path / "broken.png"
    paper = label(f"(10)LOT(01){gtin(3)}", Symbology.GS1_128, 3)
    cv2.imwrite(str(good), cv2.copyMakeBorder(paper, 9, 9, 9, 9, cv2.BORDER_CONSTANT, value=(99,)))
    cv2.imwrite(str(bare), np.full((80, 80), 200, np.uint8))
    broken.write_text("no picture")
    files = decode_files([good, bare, broken, tmp_path / "absent.png"])
    lines = as_text(files).splitlines()
    assert lines[0].startswith(f"{good}: Code 128 at ")
    assert lines[0].endswith(f": ]C110LOT<GS>01{gtin(3)}")
    assert lines[1] == f"{bare}: no code found"
    assert lines[2].startswith(f"{broken}: not a picture: 10 bytes")
    assert lines[3] == f"{tmp_path / 'absent.png'}: cannot be read: No such file or directory"
    told = json.loads(as_json(files))
    assert told[0]["codes"][0]["text"] == f"]C110LOT\x1d01{gtin(3)}"
    assert len(told[0]["codes"][0]["corners"]) == 4
    assert [entry["error"] == "" for entry in told] == [True, True, False, False]


# --- real pictures -------------------------------------------------------------------------------

SUBSET_STEP = 3
LEAST_HIT_SHARE = {"clean": 0.80, "frame": 0.65}
FALSE_READS_MAX = {"clean": 1, "frame": 2}
LESS_WITHOUT_ZBAR = 0.05
"""What zxing-cpp alone may read less of."""


def comparable(text: str) -> set[str]:
    """Return the forms of a text that count as equal: identifier, GS and brackets left out."""
    bare = text.translate({0x1D: None, ord("("): None, ord(")"): None}).strip()
    forms = {bare}
    if bare.isdigit() and len(bare) == 8:
        forms.add(upc_a_of(bare).zfill(14))
    if bare.isdigit() and len(bare) <= 14:
        forms.add(bare.zfill(14))
    if bare.startswith("01") and len(bare) == 16:
        forms.add(bare[2:])
    return forms


def upc_a_of(upc_e: str) -> str:
    """Return the UPC-A that a UPC-E stands for. Source: GS1 General Specification, 5.2.2.4."""
    system, digits, check = upc_e[0], upc_e[1:7], upc_e[7]
    last = digits[5]
    if last in "012":
        body = digits[:2] + last + "0000" + digits[2:5]
    elif last == "3":
        body = digits[:3] + "00000" + digits[3:5]
    elif last == "4":
        body = digits[:4] + "00000" + digits[4]
    else:
        body = digits[:5] + "0000" + last
    return system + body + check


@pytest.mark.parametrize("use_zbar", [True, False], ids=["both decoders", "zxing-cpp alone"])
@pytest.mark.parametrize("group", ["clean", "frame"])
def test_real_pictures_are_read_as_labelled(data_dir: Path, group: str, *, use_zbar: bool) -> None:
    folder = data_dir / "barcodes"
    with (folder / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["group"] == group][::SUBSET_STEP]
    decoder = Decoder(use_zbar=use_zbar)
    if use_zbar and "zbar and" not in decoder.note:
        pytest.skip(decoder.note)
    least = LEAST_HIT_SHARE[group] - (0.0 if use_zbar else LESS_WITHOUT_ZBAR)
    expected_count = hits = 0
    false_reads = []
    for row in rows:
        found = decoder.decode(open_picture((folder / row["file"]).read_bytes()))
        read = set().union(*(comparable(code.text[3:]) for code in found))
        expected = json.loads(row["expected_json"])
        known = expected + json.loads(row["also_present_json"])
        allowed = set().union(*(comparable(text) for text in known))
        expected_count += len(expected)
        hits += sum(bool(comparable(text) & read) for text in expected)
        false_reads += [c.text for c in found if not comparable(c.text[3:]) & allowed]
    assert hits >= least * expected_count, f"{hits} of {expected_count}"
    assert len(false_reads) <= FALSE_READS_MAX[group], false_reads
