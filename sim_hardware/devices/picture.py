"""A camera's picture of a rack: what stands there as printed labels, then lens, light and noise."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from runtime.seeds import Random
from sim_hardware.devices.labels import (
    Picture,
    Symbology,
    bin_text,
    carton_text,
    ean_text,
    label,
)
from sim_hardware.devices.view import WorldView

WIDTH_PX: Final = 1280
HEIGHT_PX: Final = 720
COLUMNS_MAX: Final = 4
ROWS_MAX: Final = 2
BINS_MAX: Final = COLUMNS_MAX * ROWS_MAX
CARTONS_SHOWN_MAX: Final = 4
"""Cartons of one bin that are not hidden behind others, at most."""
SECTIONS_KEPT_MAX: Final = 64
JPEG_QUALITY: Final = 90
_WALL, _SHELF, _CARTON, _EDGE = 105, 70, 150, 60
_MARGIN_PX = 8
_PRINT_PX = 6
_LINEAR_PX_MAX, _MATRIX_PX_MAX = 3.0, 5.0
_NOISE_PX = 64


@dataclass(frozen=True, slots=True)
class Carton:
    """One carton's label."""

    text: str
    symbology: Symbology


@dataclass(frozen=True, slots=True)
class BinFront:
    """What a camera sees of one bin: its label on the shelf edge, and cartons, lowest first."""

    label_text: str
    cartons: tuple[Carton, ...]


def bin_front(view: WorldView, bin_id: str, gln: str) -> BinFront:
    """Return what stands in a bin as one sees it from the front.

    Every article shows a carton before any shows a second one. Which symbology an article's cartons
    carry follows from its GTIN, as a supplier prints always the same label.
    """
    stock = sorted(view.stock_at(f"bin:{bin_id}").items())
    left = {
        gtin: math.ceil(units / view.articles[gtin].case_units)
        for gtin, units in stock
        if units > 0
    }
    cartons: list[Carton] = []
    while left and len(cartons) < CARTONS_SHOWN_MAX:
        for gtin in list(left)[: CARTONS_SHOWN_MAX - len(cartons)]:
            cartons.append(carton_of(gtin, view.articles[gtin].case_units))
            left[gtin] -= 1
        left = {gtin: more for gtin, more in left.items() if more}
    return BinFront(bin_text(gln, bin_id), tuple(cartons))


def carton_of(gtin: str, case_units: int) -> Carton:
    """Return the label that an article's cartons carry."""
    choice = int(gtin[:-1]) % 3
    if choice == 0 and gtin[0] == "0":
        return Carton(ean_text(gtin), Symbology.EAN_13)
    if choice == 1:
        return Carton(carton_text(gtin), Symbology.GS1_128)
    return Carton(carton_text(gtin, case_units), Symbology.GS1_DATAMATRIX)


@functools.lru_cache(maxsize=SECTIONS_KEPT_MAX)
def draw_section(fronts: tuple[BinFront, ...]) -> Picture:
    """Return a rack section as a drawing: up to 4 bins beside each other, up to 2 shelves.

    Kept by content, since a rack changes far more seldom than it is looked at: do not write to it.
    """
    if len(fronts) > BINS_MAX:
        raise ValueError(f"{len(fronts)} bins in one picture: a camera sees at most {BINS_MAX}")
    picture = np.full((HEIGHT_PX, WIDTH_PX), _WALL, np.uint8)
    rows = max(1, math.ceil(len(fronts) / COLUMNS_MAX))
    per_row = math.ceil(len(fronts) / rows) if fronts else 1
    height = HEIGHT_PX // rows
    width = WIDTH_PX // max(per_row, 2)
    offset = (WIDTH_PX - width * per_row) // 2
    for i, front in enumerate(fronts):
        row, column = divmod(i, per_row)
        left, top = offset + column * width, row * height
        _draw_bin(picture[top : top + height, left : left + width], front)
    picture.flags.writeable = False
    return picture


def _draw_bin(area: Picture, front: BinFront) -> None:
    """Draw one bin into its part of the picture."""
    height, width = area.shape
    name = label(front.label_text, Symbology.GS1_QR, 4 if height > HEIGHT_PX // 2 else 3)
    shelf = height - name.shape[0] - 2 * _MARGIN_PX
    area[shelf:] = _SHELF
    _paste(area, name, (width - name.shape[1]) // 2, shelf + _MARGIN_PX)
    shown = front.cartons[
        : CARTONS_SHOWN_MAX if height > HEIGHT_PX // 2 else CARTONS_SHOWN_MAX // 2
    ]
    if not shown:
        return
    step = shelf // max(len(shown), 2)
    for i, carton in enumerate(shown):
        bottom = shelf - i * step
        box = area[bottom - step : bottom, 1 : width - 1]
        box[:] = _CARTON
        box[:2], box[-2:], box[:, :2], box[:, -2:] = _EDGE, _EDGE, _EDGE, _EDGE
        paper = _carton_label(carton, step - 4, box.shape[1] - 4)
        _paste(box, paper, (box.shape[1] - paper.shape[1]) // 2, (step - paper.shape[0]) // 2)


def _carton_label(carton: Carton, height: int, width: int) -> Picture:
    """Return the largest print of a carton's label that fits, cut in height where it is linear."""
    matrix = carton.symbology is Symbology.GS1_DATAMATRIX
    paper = label(carton.text, carton.symbology, _PRINT_PX)
    module_px = min(
        _MATRIX_PX_MAX if matrix else _LINEAR_PX_MAX, _PRINT_PX * width / paper.shape[1]
    )
    if matrix:
        module_px = min(module_px, _PRINT_PX * height / paper.shape[0])
    if module_px < 1:
        raise ValueError(f"the label {carton.text} does not fit into {width} x {height} pixels")
    scale = module_px / _PRINT_PX
    size = (int(paper.shape[1] * scale), int(paper.shape[0] * scale))
    printed = cv2.resize(paper, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    return printed[max(0, size[1] - height) :]


def _paste(area: Picture, paper: Picture, left: int, top: int) -> None:
    area[top : top + paper.shape[0], left : left + paper.shape[1]] = paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """What lens, light and sensor do to a picture."""

    tilt: float = 0.02
    """How far a corner of the drawing may be off in the picture, as a share of the width."""
    blur_px: float = 0.7
    noise: float = 5.0
    """Standard deviation, grey levels."""
    light_min: float = 0.7
    light_max: float = 1.1


class Lens:
    """One camera's optics: where it looks from stays; light and noise differ in each picture."""

    def __init__(self, random: Random, optics: Optics | None = None) -> None:
        self._random = random
        self._optics = optics or Optics()
        self._pose = self._draw_pose()
        field = np.random.default_rng(random.getrandbits(64)).normal(
            0.0, self._optics.noise, (HEIGHT_PX + _NOISE_PX, WIDTH_PX + _NOISE_PX)
        )
        self._noise = np.clip(field, -127, 127).astype(np.int8)

    def shoot(self, drawing: Picture) -> Picture:
        """Return the drawing as this camera sees it now."""
        optics, random = self._optics, self._random
        seen = cv2.warpPerspective(
            drawing, self._pose, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_CONSTANT,
            borderValue=(float(_WALL),),
        )  # fmt: skip
        if optics.blur_px > 0:
            seen = cv2.GaussianBlur(seen, (0, 0), optics.blur_px)
        light = random.uniform(optics.light_min, optics.light_max)
        x, y = random.randrange(_NOISE_PX), random.randrange(_NOISE_PX)
        noise = self._noise[y : y + HEIGHT_PX, x : x + WIDTH_PX]
        lit = cv2.convertScaleAbs(seen, alpha=light)
        return cv2.add(lit, noise, dtype=cv2.CV_8U).astype(np.uint8, copy=False)

    def _draw_pose(self) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        """Return a perspective that shows the whole drawing, its corners moved inwards a little."""
        far = self._optics.tilt * WIDTH_PX

        def inward() -> float:
            return self._random.uniform(0.0, far)

        w, h = float(WIDTH_PX), float(HEIGHT_PX)
        corners = [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)]
        moved = [
            (inward(), inward()), (w - inward(), inward()),
            (w - inward(), h - inward()), (inward(), h - inward()),
        ]  # fmt: skip
        pose = cv2.getPerspectiveTransform(_points(corners), _points(moved))
        return np.asarray(pose, np.float64)


def _points(
    corners: Sequence[tuple[float, float]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(corners, np.float32)


def to_jpeg(picture: Picture) -> bytes:
    """Return the picture as JPEG bytes."""
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert ok, "OpenCV encodes every grey picture"
    return data.tobytes()
