"""The zbar library through pyzbar's bindings, with what `pyzbar.decode` leaves out.

`pyzbar.decode` gives no modifiers (whether FNC1 came first, which alone makes a Code 128 a GS1-128;
zbar leaves that FNC1 out of the data and gives later ones as 0x1D), makes a new scanner for each
picture, and folds the points of equal labels into one hull.
"""

from __future__ import annotations

import ctypes
import importlib
import weakref
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.vision.core import Code, Point, place_of

wrapper: Any
try:
    wrapper = importlib.import_module("pyzbar.wrapper")
except ImportError:
    wrapper = None

_FORMAT_Y800: Final = int.from_bytes(b"Y800", "little")
_SCAN_EVERY_PX: Final = 2
_HITS_MIN: Final = {"EAN-13": 8, "EAN-8": 8, "Code 128": 2}
"""Readings that must agree on a linear code.

zbar reads a stray half of an EAN here and there as a whole one: measured over 60 rack pictures,
such phantoms had 3 or 4 readings, true EAN-13 of 100 pixels height 22 to 400.
"""
_MODIFIER_GS1: Final = 1
_MODIFIER_AIM: Final = 2
_EAN8: Final = 8
_EAN13: Final = 13
_QR: Final = 64
_CODE128: Final = 128
_NAMES: Final = {_EAN8: "EAN-8", _EAN13: "EAN-13", _QR: "QR Code", _CODE128: "Code 128"}


class ZbarMissingError(OSError):
    """The zbar library is not on this machine."""


class Zbar:
    """Reads Code 128, EAN-13 (with UPC-A), EAN-8 and QR; not for two threads at once."""

    def __init__(self) -> None:
        if wrapper is None:
            raise ZbarMissingError("zbar is not installed (Debian: apt install libzbar0)")
        symbol = ctypes.POINTER(wrapper.zbar_symbol)
        self._modifiers = wrapper.zbar_function("zbar_symbol_get_modifiers", ctypes.c_uint, symbol)
        self._scanner = wrapper.zbar_image_scanner_create()
        weakref.finalize(self, wrapper.zbar_image_scanner_destroy, self._scanner)
        config = wrapper.ZBarConfig
        wanted = set(_NAMES)
        for kind in wrapper.ZBarSymbol:
            if kind.value > 1:
                self._set(kind.value, config.CFG_ENABLE, int(kind.value in wanted))
        self._set(0, config.CFG_X_DENSITY, _SCAN_EVERY_PX)
        self._set(0, config.CFG_Y_DENSITY, _SCAN_EVERY_PX)

    def read(self, picture: NDArray[np.uint8]) -> list[Code]:
        """Return the codes in a grayscale picture."""
        height, width = picture.shape
        pixels = np.ascontiguousarray(picture)
        image = wrapper.zbar_image_create()
        try:
            wrapper.zbar_image_set_format(image, _FORMAT_Y800)
            wrapper.zbar_image_set_size(image, width, height)
            wrapper.zbar_image_set_data(image, pixels.ctypes.data, pixels.nbytes, None)
            if wrapper.zbar_scan_image(self._scanner, image) < 0:
                raise ValueError(f"zbar takes no picture of {width} x {height} pixels")
            codes = []
            symbol = wrapper.zbar_image_first_symbol(image)
            while symbol:
                codes += self._codes(symbol)
                symbol = wrapper.zbar_symbol_next(symbol)
        finally:
            wrapper.zbar_image_destroy(image)
        return codes

    def _set(self, symbology: int, key: int, value: int) -> None:
        wrapper.zbar_image_scanner_set_config(self._scanner, symbology, key, value)

    def _codes(self, symbol: Any) -> list[Code]:
        kind = symbol.contents.type
        if kind not in _NAMES:
            return []
        data = ctypes.string_at(
            wrapper.zbar_symbol_get_data(symbol), wrapper.zbar_symbol_get_data_length(symbol)
        )
        text = _aim_identifier(kind, self._modifiers(symbol)) + data.decode("utf-8", "replace")
        points: list[Point] = [
            (
                float(wrapper.zbar_symbol_get_loc_x(symbol, i)),
                float(wrapper.zbar_symbol_get_loc_y(symbol, i)),
            )
            for i in range(wrapper.zbar_symbol_get_loc_size(symbol))
        ]
        if kind == _QR:
            a, b, c, d = points
            # zbar goes round the other way: top left, bottom left, bottom right, top right.
            return [Code(text=text, symbology=_NAMES[kind], corners=(a, d, c, b))]
        name = _NAMES[kind]
        if wrapper.zbar_symbol_get_quality(symbol) < _HITS_MIN[name]:
            return []
        return [Code(text=text, symbology=name, corners=place_of(points))]


def _aim_identifier(kind: int, modifiers: int) -> str:
    """Return the AIM symbology identifier. Source: ISO/IEC 15424."""
    gs1, aim = modifiers & _MODIFIER_GS1, modifiers & _MODIFIER_AIM
    if kind == _CODE128:
        return "]C1" if gs1 else "]C2" if aim else "]C0"
    if kind == _QR:
        return "]Q3" if gs1 else "]Q1"
    return "]E4" if kind == _EAN8 else "]E0"
