"""The simulated camera shows the physical truth, the same for the same seed."""

from __future__ import annotations

import pytest

from edge.vision.decode import WAREHOUSE_FORMATS, Decoder, open_picture
from edge.vision.reading import Reader
from runtime.virtual import VirtualRuntime
from sim_hardware.config import SimCamera
from sim_hardware.devices.camera import FixedCamera
from tests.rack import GLN, Rack, gtin, rack_site

URL = "http://camera/1"
BINS = ("A-01-01-1", "A-01-02-1", "A-01-03-1", "A-01-04-1")


def camera(rack: Rack, bins: tuple[str, ...] = BINS, seed: int = 1) -> FixedCamera:
    runtime = VirtualRuntime(seed)
    config = SimCamera(camera_id="camera-1", url=URL, bins=bins)
    made = FixedCamera(runtime, runtime.lane("camera"), rack, config, GLN)
    made.start()
    return made


def read(rack: Rack, picture: bytes) -> dict[str, set[str]]:
    codes = Decoder(formats=WAREHOUSE_FORMATS).decode(open_picture(picture))
    look = Reader(gln=GLN, bins=rack.bins, articles=rack.articles).look(codes)
    return {s.bin_id: {article for article, _ in s.articles} for s in look.sightings}


def test_a_picture_shows_every_article_of_every_bin() -> None:
    stock = {
        BINS[0]: {gtin(0): 5},
        BINS[1]: {gtin(1): 60, gtin(2): 1, gtin(3): 12},
        BINS[3]: {gtin(n): 30 for n in (4, 5, 6, 7)},
    }
    rack = Rack(rack_site(), stock)
    shown = read(rack, camera(rack).picture())
    assert shown == {bin_id: set(stock.get(bin_id, {})) for bin_id in BINS}


@pytest.mark.parametrize("seed", range(4))
def test_eight_bins_fit_on_two_shelves(seed: int) -> None:
    site = rack_site()
    bins = tuple(sorted(site.bins))[:8]
    rack = Rack(site, {bin_id: {gtin(3 * i): 7} for i, bin_id in enumerate(bins)})
    assert read(rack, camera(rack, bins, seed).picture()) == {
        bin_id: set(rack.stock[bin_id]) for bin_id in bins
    }


def test_a_picture_follows_the_world() -> None:
    rack = Rack(rack_site(), {BINS[0]: {gtin(0): 5}})
    eye = camera(rack)
    assert read(rack, eye.picture())[BINS[0]] == {gtin(0)}
    rack.stock = {BINS[1]: {gtin(0): 5}}
    after = read(rack, eye.picture())
    assert (after[BINS[0]], after[BINS[1]]) == (set(), {gtin(0)})


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others() -> None:
    rack = Rack(rack_site(), {BINS[0]: {gtin(0): 5}})
    first, again, other = camera(rack), camera(rack), camera(rack, seed=2)
    assert [first.picture() for _ in range(3)] == [again.picture() for _ in range(3)]
    assert first.picture() != other.picture()


def test_a_camera_of_unknown_or_too_many_bins_is_refused() -> None:
    rack = Rack(rack_site())
    with pytest.raises(ValueError, match="unknown: Z-1"):
        camera(rack, ("Z-1",))
    with pytest.raises(ValueError, match="at most 8 bins of the site, got 9"):
        camera(rack, tuple(sorted(rack.bins))[:9])


def test_a_stopped_camera_is_dark() -> None:
    eye = camera(Rack(rack_site()))
    eye.stop()
    assert eye.picture() == b""
