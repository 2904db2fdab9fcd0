"""Pictures to codes, by two decoders that miss different things.

| decoder | reads | gives |
|---|---|---|
| zxing-cpp | all it knows (DataMatrix, DataBar ...) | text, AIM identifier, corners |
| zbar | Code 128, EAN-13 (with UPC-A), EAN-8, QR | text, GS1 or not, the scan lines' ends |

zbar is left out where its library is missing (said once, in the log); zxing-cpp always comes along.
zxing-cpp's codes are kept as they are and zbar's come besides: see `edge.vision.core.merge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import structlog
import zxingcpp
from numpy.typing import NDArray

from edge.vision.core import Code, merge
from edge.vision.zbar import Zbar, ZbarMissingError

PICTURE_BYTES_MAX: Final = 64 * 1024 * 1024
PIXELS_MAX: Final = 40_000_000
_GREY_DIMENSIONS: Final = 2
WAREHOUSE_FORMATS: Final = (
    zxingcpp.BarcodeFormat.Code128,
    zxingcpp.BarcodeFormat.EAN13,
    zxingcpp.BarcodeFormat.UPCA,
    zxingcpp.BarcodeFormat.DataMatrix,
    zxingcpp.BarcodeFormat.QRCode,
)
"""What our labels are printed in; a rack camera looks for nothing else."""
log = structlog.get_logger()


class PictureError(ValueError):
    """Bytes that are no picture, or one too large; the text says which."""


class Decoder:
    """Reads the codes of pictures. Not for two threads at once: each has one of its own."""

    def __init__(
        self, *, formats: Sequence[zxingcpp.BarcodeFormat] = (), use_zbar: bool = True
    ) -> None:
        self._formats = zxingcpp.BarcodeFormats(list(formats) or [zxingcpp.BarcodeFormat.All])
        self._zbar: Zbar | None = None
        self.note = "zxing-cpp alone, as asked"
        if use_zbar:
            try:
                self._zbar = Zbar()
                self.note = "zbar and zxing-cpp"
            except ZbarMissingError as error:
                self.note = f"zxing-cpp alone: {error}"

    def decode(self, picture: NDArray[np.uint8]) -> list[Code]:
        """Return the codes in a picture (grayscale, or colour as BGR), each place once."""
        grey = picture
        if picture.ndim != _GREY_DIMENSIONS:
            grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.uint8, copy=False)
        codes = [_code(found) for found in _read(grey, self._formats)]
        return codes if self._zbar is None else merge(codes, self._zbar.read(grey))


def open_picture(data: bytes) -> NDArray[np.uint8]:
    """Return the grayscale picture in JPEG, PNG or WebP bytes, or raise PictureError."""
    if not data:
        raise PictureError("no picture: 0 bytes")
    if len(data) > PICTURE_BYTES_MAX:
        raise PictureError(f"over {PICTURE_BYTES_MAX} bytes: too large for a picture")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as error:
        raise PictureError(f"not a picture: {error}") from error
    if picture is None:
        raise PictureError(f"not a picture: {len(data)} bytes that begin with {data[:8]!r}")
    if picture.size > PIXELS_MAX:
        height, width = picture.shape
        raise PictureError(f"a picture of {width} x {height}: at most {PIXELS_MAX} pixels are read")
    return picture.astype(np.uint8, copy=False)


def decode_image(picture: NDArray[np.uint8]) -> list[Code]:
    """Return the codes in one picture, by all decoders this machine has. For many: a `Decoder`."""
    return Decoder().decode(picture)


def _read(grey: NDArray[np.uint8], formats: zxingcpp.BarcodeFormats) -> Sequence[zxingcpp.Barcode]:
    # Plain: the default mode puts round brackets round GS1 application identifiers.
    return zxingcpp.read_barcodes(grey, formats=formats, text_mode=zxingcpp.TextMode.Plain)


def _code(found: zxingcpp.Barcode) -> Code:
    at = found.position
    corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
    a, b, c, d = ((float(corner.x), float(corner.y)) for corner in corners)
    return Code(
        text=found.symbology_identifier + found.text,
        symbology=str(found.format),
        corners=(a, b, c, d),
    )
