"""A drawing of a rack: what stands there as printed labels, clean or damaged."""

from __future__ import annotations

import functools
import math
import zlib
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from sim_hardware.devices.labels import (
    Picture,
    Symbology,
    bin_text,
    carton_text,
    ean_text,
    label,
)
from sim_hardware.devices.view import CARTONS_SHOWN_MAX, WorldView, cartons_in_view

WIDTH_PX: Final = 1280
HEIGHT_PX: Final = 720
COLUMNS_MAX: Final = 4
ROWS_MAX: Final = 2
BINS_MAX: Final = COLUMNS_MAX * ROWS_MAX
SECTIONS_KEPT_MAX: Final = 64
_WALL, _SHELF, _CARTON, _EDGE = 105, 70, 150, 60
_MARGIN_PX = 8
_PRINT_PX = 6
_LINEAR_PX_MAX, _MATRIX_PX_MAX = 3.0, 5.0
SCRATCHES_MAX: Final = 400
SCRATCH_PART: Final = 24
"""A scratch is as thick as this part of a label's shorter side."""
SCRATCH_LONG: Final = 4
"""It goes at most this part of the label's sides across and down."""


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
    readable: bool = True
    """False: its label is torn off."""


def bin_front(view: WorldView, bin_id: str, gln: str) -> BinFront:
    """Return what stands in a bin as one sees it from the front.

    Which symbology an article's cartons carry follows from its GTIN, as a supplier prints always
    the same label.
    """
    cartons = (carton_of(g, view.articles[g].case_units) for g in cartons_in_view(view, bin_id))
    name = bin_text(gln, view.label_of(bin_id))
    return BinFront(name, tuple(cartons), view.is_readable(bin_id))


def carton_of(gtin: str, case_units: int) -> Carton:
    """Return the label that an article's cartons carry."""
    choice = int(gtin[:-1]) % 3
    if choice == 0 and gtin[0] == "0":
        return Carton(ean_text(gtin), Symbology.EAN_13)
    if choice == 1:
        return Carton(carton_text(gtin), Symbology.GS1_128)
    return Carton(carton_text(gtin, case_units), Symbology.GS1_DATAMATRIX)


@functools.lru_cache(maxsize=SECTIONS_KEPT_MAX)
def draw_section(fronts: tuple[BinFront, ...], damage: float = 0.0) -> Picture:
    """Return a rack section as a drawing: up to 4 bins beside each other, up to 2 shelves.

    `damage` is the share of each label that is scratched or torn off, always in the same way.

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
        _draw_bin(picture[top : top + height, left : left + width], front, damage)
    picture.flags.writeable = False
    return picture


def _draw_bin(area: Picture, front: BinFront, damage: float) -> None:
    """Draw one bin into its part of the picture."""
    height, width = area.shape
    name = label(front.label_text, Symbology.GS1_QR, 4 if height > HEIGHT_PX // 2 else 3)
    name = _damaged(name, front.label_text, damage if front.readable else 1.0)
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
        paper = _damaged(paper, f"{front.label_text}/{i}/{carton.text}", damage)
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


def _damaged(paper: Picture, name: str, share: float) -> Picture:
    """Return a label with scratches over `share` of it; the name decides where they are."""
    if share <= 0.0:
        return paper
    torn = paper.copy()
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    height, width = paper.shape
    hurt = np.zeros_like(paper)
    thick = max(1, min(height, width) // SCRATCH_PART)
    for _ in range(SCRATCHES_MAX):
        if np.count_nonzero(hurt) >= share * hurt.size:
            break
        begin = (int(rng.integers(width)), int(rng.integers(height)))
        most = [side // SCRATCH_LONG for side in paper.shape]
        far = [int(rng.integers(-length, length + 1)) for length in most]
        end = (begin[0] + far[1], begin[1] + far[0])
        cv2.line(hurt, begin, end, 1, thick)
    torn[hurt > 0] = _CARTON
    return torn


def _paste(area: Picture, paper: Picture, left: int, top: int) -> None:
    area[top : top + paper.shape[0], left : left + paper.shape[1]] = paper
