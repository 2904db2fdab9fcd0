"""Printed labels: GS1 element strings as real barcodes in grey pictures."""

from __future__ import annotations

import enum
import functools
from typing import Final

import numpy as np
import zxingcpp
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

LINEAR_MODULES: Final = 40
"""Height of a linear barcode, in its own modules."""
QUIET_MODULES_LINEAR: Final = 10
QUIET_MODULES_MATRIX: Final = 4
LABELS_KEPT_MAX: Final = 4_096
PAPER: Final = 255


class Symbology(enum.Enum):
    """What a label is printed in."""

    GS1_128 = "GS1-128"
    EAN_13 = "EAN-13"
    GS1_DATAMATRIX = "GS1 DataMatrix"
    GS1_QR = "GS1 QR"
    CODE_128 = "Code 128"
    """A plain one, with no meaning for us: on parcels and posters."""


_FORMATS: Final = {
    Symbology.GS1_128: zxingcpp.BarcodeFormat.Code128,
    Symbology.EAN_13: zxingcpp.BarcodeFormat.EAN13,
    Symbology.GS1_DATAMATRIX: zxingcpp.BarcodeFormat.DataMatrix,
    Symbology.GS1_QR: zxingcpp.BarcodeFormat.QRCode,
    Symbology.CODE_128: zxingcpp.BarcodeFormat.Code128,
}
_LINEAR: Final = (Symbology.GS1_128, Symbology.EAN_13, Symbology.CODE_128)
_PLAIN: Final = (Symbology.EAN_13, Symbology.CODE_128)


def bin_text(gln: str, bin_id: str) -> str:
    """Return the element string of a bin label: where (AI 414) and which bin there (AI 254)."""
    return f"(414){gln}(254){bin_id}"


def carton_text(gtin: str, pieces: int = 0) -> str:
    """Return the element string of a carton label: which article (AI 01), how many (AI 37)."""
    return f"(01){gtin}(37){pieces}" if pieces else f"(01){gtin}"


def ean_text(gtin: str) -> str:
    """Return the 13 digits that EAN-13 shows of a GTIN-14."""
    if gtin[0] != "0":
        raise ValueError(f"GTIN {gtin}: its first digit is not 0, so EAN-13 cannot show it")
    return gtin[1:]


@functools.lru_cache(maxsize=LABELS_KEPT_MAX)
def label(text: str, symbology: Symbology, module_px: int) -> Picture:
    """Return a label, black on white with its quiet zone. It is shared: do not write to it.

    `text` is an element string with round brackets for the GS1 symbologies, plain data otherwise.
    """
    code = zxingcpp.create_barcode(text, _FORMATS[symbology], gs1=symbology not in _PLAIN)
    modules = np.array(zxingcpp.write_barcode_to_image(code, scale=1, add_quiet_zones=False))
    quiet = QUIET_MODULES_MATRIX
    if symbology in _LINEAR:
        modules = np.repeat(modules[:1], LINEAR_MODULES, axis=0)
        quiet = QUIET_MODULES_LINEAR
    padding = ((QUIET_MODULES_MATRIX, QUIET_MODULES_MATRIX), (quiet, quiet))
    printed = np.pad(modules, padding, constant_values=PAPER)
    picture: Picture = np.kron(printed, np.ones((module_px, module_px), np.uint8)).astype(np.uint8)
    picture.flags.writeable = False
    return picture
