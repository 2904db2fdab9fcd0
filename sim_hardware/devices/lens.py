"""What lens, light and dirt make of a drawing: the picture that a camera really takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from runtime.seeds import Random
from sim_hardware.config import SimOptics
from sim_hardware.devices.labels import Picture
from sim_hardware.devices.picture import HEIGHT_PX, WIDTH_PX, BinFront, draw_section

JPEG_QUALITY: Final = 90
_WALL: Final = 105
_NOISE_PX: Final = 64
_WHITE: Final = 255.0
_BODY: Final = 45
"""The grey of what stands in front of the rack."""
_BODY_ASPECT: Final = 0.45
SMEAR_PX: Final = 9.0
SMEAR_LIGHT: Final = 0.75
SMEARS_MAX: Final = 400
SMEAR_SIZE_PX: Final = (30, 110)
Matrix = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Optics:
    """What lens, light and sensor do to a picture, and what lies in between."""

    tilt: float = 0.02
    """How far a corner of the drawing may be off in the picture, as a share of the width."""
    blur_px: float = 0.7
    noise: float = 5.0
    """Standard deviation, grey levels."""
    light_min: float = 0.7
    light_max: float = 1.1
    glare: float = 0.0
    """Share of the width that a reflection bleaches."""
    occlusion: float = 0.0
    """Share of the picture that something in front of the rack hides."""
    dirt: float = 0.0
    """Share of the lens that is smeared."""
    damage: float = 0.0
    """Share of each label that is scratched or torn off."""


def optics_of(rows: Sequence[SimOptics], name: str) -> Optics:
    """Return the optics of one camera: of the row that names it, else of the one for all."""
    own = next((row for row in rows if name in row.cameras), None)
    row = own or next((row for row in rows if not row.cameras), None)
    if row is None:
        return Optics()
    return Optics(
        tilt=row.tilt, blur_px=row.blur_px, noise=row.noise, light_min=row.light_min,
        light_max=row.light_max, glare=row.glare, occlusion=row.occlusion, dirt=row.dirt,
        damage=row.damage,
    )  # fmt: skip


class Lens:
    """One camera's optics: where it looks from stays; light and noise differ in each picture.

    Set `optics` at any time: reflection, smears and what stands in front keep their places.
    """

    def __init__(self, random: Random, optics: Optics | None = None) -> None:
        self.optics = optics or Optics()
        self._random = random
        self._corners = [random.random() for _ in range(8)]
        self._noise_seed = random.getrandbits(64)
        self._marks_seed = self._noise_seed ^ 1
        self._made_for = Optics()
        self._remake()

    def photograph(self, fronts: tuple[BinFront, ...]) -> bytes:
        """Return a JPEG of a rack section as this camera sees it now."""
        return to_jpeg(self.shoot(draw_section(fronts, self.optics.damage)))

    def shoot(self, drawing: Picture) -> Picture:
        """Return the drawing as this camera sees it now."""
        optics, random = self.optics, self._random
        if optics is not self._made_for:
            self._remake()
        seen = cv2.warpPerspective(
            drawing, self._pose, (WIDTH_PX, HEIGHT_PX), borderMode=cv2.BORDER_CONSTANT,
            borderValue=(float(_WALL),),
        )  # fmt: skip
        if self._hidden is not None:
            left, top, right, bottom = self._hidden
            seen[top:bottom, left:right] = _BODY
        if optics.blur_px > 0:
            seen = cv2.GaussianBlur(seen, (0, 0), optics.blur_px)
        light = random.uniform(optics.light_min, optics.light_max)
        x, y = random.randrange(_NOISE_PX), random.randrange(_NOISE_PX)
        noise = self._noise[y : y + HEIGHT_PX, x : x + WIDTH_PX]
        lit = cv2.convertScaleAbs(seen, alpha=light)
        if self._smear is not None:
            lit = _smeared(lit.astype(np.uint8, copy=False), self._smear)
        if self._gleam is not None:
            lit = cv2.add(lit, self._gleam, dtype=cv2.CV_8U)
        return cv2.add(lit, noise, dtype=cv2.CV_8U).astype(np.uint8, copy=False)

    def _remake(self) -> None:
        """Make what follows from the optics alone."""
        optics = self._made_for = self.optics
        self._pose = self._make_pose()
        field = np.random.default_rng(self._noise_seed).normal(
            0.0, optics.noise, (HEIGHT_PX + _NOISE_PX, WIDTH_PX + _NOISE_PX)
        )
        self._noise = np.clip(field, -127, 127).astype(np.int8)
        marks = np.random.default_rng(self._marks_seed).random(4 + 4 * SMEARS_MAX)
        self._gleam = _make_gleam(optics.glare, marks[:2])
        self._hidden = _make_body(optics.occlusion, marks[2:4])
        self._smear = _make_smear(optics.dirt, marks[4:].reshape(-1, 4))

    def _make_pose(self) -> Matrix:
        """Return a perspective that shows the whole drawing, its corners moved inwards a little."""
        a, b, c, d, e, f, g, h = (self.optics.tilt * WIDTH_PX * share for share in self._corners)
        wide, high = float(WIDTH_PX), float(HEIGHT_PX)
        corners = [(0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high)]
        moved = [(a, b), (wide - c, d), (wide - e, high - f), (g, high - h)]
        return np.asarray(cv2.getPerspectiveTransform(_points(corners), _points(moved)), np.float64)


def to_jpeg(picture: Picture) -> bytes:
    """Return the picture as JPEG bytes."""
    ok, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert ok, "OpenCV encodes every grey picture"
    return data.tobytes()


def _make_gleam(share: float, at: Matrix) -> Picture | None:
    """Return how much brighter each pixel is for a reflection `share` of the width wide."""
    if share <= 0.0:
        return None
    y, x = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    away = np.hypot(x - at[0] * WIDTH_PX, y - at[1] * HEIGHT_PX) / (0.5 * share * WIDTH_PX)
    # White to half its radius, then less and less to the edge.
    return np.asarray(_WHITE * np.clip(2.0 - 2.0 * away, 0.0, 1.0), np.uint8)


def _make_body(share: float, at: Matrix) -> tuple[int, int, int, int] | None:
    """Return the box (left, top, right, bottom) that hides `share` of the picture."""
    if share <= 0.0:
        return None
    height = min(HEIGHT_PX, round((share * WIDTH_PX * HEIGHT_PX / _BODY_ASPECT) ** 0.5))
    width = min(WIDTH_PX, round(share * WIDTH_PX * HEIGHT_PX / height))
    left, top = round(at[0] * (WIDTH_PX - width)), round(at[1] * (HEIGHT_PX - height))
    return left, top, left + width, top + height


def _make_smear(share: float, spots: Matrix) -> Picture | None:
    """Return where the lens is smeared: 1, else 0."""
    if share <= 0.0:
        return None
    mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
    low, high = SMEAR_SIZE_PX
    for x, y, wide, tall in spots:
        if np.count_nonzero(mask) >= share * mask.size:
            break
        size = (round(low + wide * (high - low)), round(low + tall * (high - low)))
        centre = (round(x * WIDTH_PX), round(y * HEIGHT_PX))
        cv2.ellipse(mask, centre, size, 0.0, 0.0, 360.0, (1.0,), -1)
    return mask


def _smeared(picture: Picture, mask: Picture) -> Picture:
    """Return the picture through a lens that is smeared where the mask says."""
    dull = cv2.convertScaleAbs(cv2.GaussianBlur(picture, (0, 0), SMEAR_PX), alpha=SMEAR_LIGHT)
    return np.where(mask > 0, dull, picture).astype(np.uint8, copy=False)


def _points(
    corners: Sequence[tuple[float, float]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.array(corners, np.float32)
