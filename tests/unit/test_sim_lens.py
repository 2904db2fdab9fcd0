"""Perspective, blur, light, glare, occlusion, dirt and damage, and what is still read."""

from __future__ import annotations

import numpy as np
import pytest

from edge.vision.decode import WAREHOUSE_FORMATS, Decoder, open_picture
from runtime.seeds import stream
from sim_hardware.config import SimOptics
from sim_hardware.devices.labels import bin_text
from sim_hardware.devices.lens import Lens, Optics, optics_of
from sim_hardware.devices.picture import BinFront, carton_of, draw_section
from tests.rack import GLN, gtin

FRONTS = tuple(
    BinFront(bin_text(GLN, f"A-01-0{n}-1"), (carton_of(gtin(n), 12), carton_of(gtin(n), 12)))
    for n in range(1, 5)
)
LABELS = 12
SEEDS = range(4)


def read(optics: Optics) -> float:
    """Return the share of labels that are read, over several cameras."""
    decoder = Decoder(formats=WAREHOUSE_FORMATS)
    found = 0
    for seed in SEEDS:
        jpeg = Lens(stream(seed, "lens"), optics).photograph(FRONTS)
        found += min(LABELS, len(decoder.decode(open_picture(jpeg))))
    return found / LABELS / len(SEEDS)


@pytest.mark.parametrize(
    ("weak", "strong"),
    [
        pytest.param(Optics(tilt=0.1), Optics(tilt=0.4), id="perspective"),
        pytest.param(Optics(blur_px=1.0), Optics(blur_px=3.0), id="blur"),
        pytest.param(Optics(noise=10), Optics(noise=80), id="noise"),
        pytest.param(Optics(light_min=0.5, light_max=0.5), Optics(light_min=0.05, light_max=0.05),
                     id="low light"),
        pytest.param(Optics(glare=0.1), Optics(glare=1.0), id="glare"),
        pytest.param(Optics(occlusion=0.02), Optics(occlusion=0.8), id="occlusion"),
        pytest.param(Optics(dirt=0.02), Optics(dirt=0.9), id="dirt"),
        pytest.param(Optics(damage=0.002), Optics(damage=0.3), id="damage"),
    ],
)  # fmt: skip
def test_what_is_weak_hides_little_and_what_is_strong_hides_much(
    weak: Optics, strong: Optics
) -> None:
    assert read(weak) > 0.85
    assert read(strong) < 0.65


def test_optics_change_while_it_looks_and_come_back_as_they_were() -> None:
    lens, same = (Lens(stream(5, "lens")) for _ in range(2))
    drawing = draw_section(FRONTS)
    clean = lens.shoot(drawing)
    assert np.array_equal(clean, same.shoot(drawing))
    lens.optics = Optics(occlusion=0.3, glare=0.2)
    hidden = lens.shoot(drawing)
    assert (hidden < 60).mean() > (clean < 60).mean() + 0.1
    assert (hidden > 250).mean() > (clean > 250).mean()
    lens.optics = Optics()
    same.shoot(drawing)
    assert np.array_equal(lens.shoot(drawing), same.shoot(drawing))


def test_a_damaged_label_is_always_damaged_in_the_same_way() -> None:
    whole, torn = draw_section(FRONTS), draw_section(FRONTS, 0.1)
    draw_section.cache_clear()
    assert np.array_equal(torn, draw_section(FRONTS, 0.1))
    assert not np.array_equal(whole, torn)


def test_a_camera_has_the_optics_of_the_row_that_names_it() -> None:
    rows = (SimOptics(dirt=0.2), SimOptics(cameras=("cam-2",), glare=0.3))
    assert optics_of(rows, "cam-1") == Optics(dirt=0.2)
    assert optics_of(rows, "cam-2") == Optics(glare=0.3)
    assert optics_of((), "cam-1") == Optics()
