"""Labels are real barcodes: what is printed is what both decoders read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.vision.decode import Decoder
from edge.vision.zbar import Zbar, ZbarMissingError
from sim_hardware.devices.labels import Picture, Symbology, bin_text, carton_text, ean_text, label
from tests.rack import GLN, gtin

ARTICLE = gtin(7)
PRINTED = {
    Symbology.GS1_128: (bin_text(GLN, "A-01-02-1"), f"]C1414{GLN}254A-01-02-1"),
    Symbology.EAN_13: (ean_text(ARTICLE), f"]E0{ARTICLE[1:]}"),
    Symbology.GS1_DATAMATRIX: (carton_text(ARTICLE, 12), f"]d201{ARTICLE}3712"),
    Symbology.GS1_QR: (bin_text(GLN, "B-02-03-2"), f"]Q3414{GLN}254B-02-03-2"),
    Symbology.CODE_128: ("PARCEL 0815", "]C0PARCEL 0815"),
}
NAMES = {
    Symbology.GS1_128: "Code 128",
    Symbology.EAN_13: "EAN-13",
    Symbology.GS1_DATAMATRIX: "Data Matrix",
    Symbology.GS1_QR: "QR Code",
    Symbology.CODE_128: "Code 128",
}
ZBAR_READS = [kind for kind in Symbology if kind is not Symbology.GS1_DATAMATRIX]
EDGE_PX = 40


def on_a_carton(paper: Picture) -> Picture:
    edges = (EDGE_PX, EDGE_PX, EDGE_PX, EDGE_PX)
    picture = cv2.copyMakeBorder(paper, *edges, cv2.BORDER_CONSTANT, value=(150,))
    return np.asarray(picture, np.uint8)


@pytest.fixture(scope="module")
def zbar() -> Zbar:
    try:
        return Zbar()
    except ZbarMissingError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("kind", Symbology, ids=lambda kind: kind.value)
@pytest.mark.parametrize("module_px", [2, 3, 5])
def test_zxing_reads_what_is_printed(kind: Symbology, module_px: int) -> None:
    text, expected = PRINTED[kind]
    picture = on_a_carton(label(text, kind, module_px))
    found = Decoder(use_zbar=False).decode(picture)
    assert [code.text for code in found] == [expected]
    assert found[0].symbology == NAMES[kind]


@pytest.mark.parametrize("kind", ZBAR_READS, ids=lambda kind: kind.value)
@pytest.mark.parametrize("module_px", [3, 5])
def test_zbar_reads_what_is_printed(zbar: Zbar, kind: Symbology, module_px: int) -> None:
    text, expected = PRINTED[kind]
    found = zbar.read(on_a_carton(label(text, kind, module_px)))
    assert [code.text for code in found] == [expected]
    assert found[0].symbology == NAMES[kind]


def test_a_separator_inside_gs1_128_is_kept_as_gs_by_both(zbar: Zbar) -> None:
    picture = on_a_carton(label(f"(10)AB12(01){ARTICLE}", Symbology.GS1_128, 3))
    expected = [f"]C110AB12\x1d01{ARTICLE}"]
    assert [code.text for code in zbar.read(picture)] == expected
    assert [code.text for code in Decoder(use_zbar=False).decode(picture)] == expected


@pytest.mark.parametrize("kind", Symbology, ids=lambda kind: kind.value)
def test_a_code_is_said_once_and_where_it_is(kind: Symbology) -> None:
    text, _ = PRINTED[kind]
    picture = on_a_carton(label(text, kind, 3))
    [code] = Decoder().decode(picture)
    height, width = picture.shape
    assert abs(code.centre[0] - width / 2) <= 5
    assert abs(code.centre[1] - height / 2) <= 5
    assert code.corners[0][0] < code.corners[1][0]
    assert code.corners[0][1] < code.corners[3][1]


def test_equal_labels_at_two_places_are_two_codes() -> None:
    paper = on_a_carton(label(ean_text(ARTICLE), Symbology.EAN_13, 3))
    found = Decoder().decode(np.hstack([paper, paper]))
    assert [code.text for code in found] == [f"]E0{ARTICLE[1:]}"] * 2


def test_a_gtin_14_with_an_indicator_is_not_an_ean_13() -> None:
    with pytest.raises(ValueError, match="first digit is not 0"):
        ean_text("14006381000016")


def test_a_shared_label_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        label("(01)" + ARTICLE, Symbology.GS1_128, 2)[0, 0] = 7
