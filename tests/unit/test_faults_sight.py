"""Faults of cameras, drones in wind and planners show while they last, and are over after."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.vision.decode import WAREHOUSE_FORMATS, Decoder
from sim_hardware.config import SimCamera, SimPlanner
from sim_hardware.devices.autopilot import Mode
from sim_hardware.faults.kinds import FaultError
from tests.fault_stage import Faulty, make_stage
from tests.sim_floor import SITE
from wire import topics
from wire.codec import decode
from wire.messages import CameraLook

FIXED = "camera-1"
SMART = "camera-2"
PERIOD_S = 0.5
BINS = tuple(f"A-01-0{n}-1" for n in range(1, 7))


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return make_stage(tmp_path, planner=SimPlanner(delay_s=0), cameras=(
        SimCamera(camera_id=FIXED, url="mem://1", bins=BINS),
        SimCamera(camera_id=SMART, level="sighting", period_s=PERIOD_S,
                  bins=("A-01-01-1", "A-01-02-1", "A-01-03-1")),
    ))  # fmt: skip


def read(faulty: Faulty, camera: str = FIXED) -> set[str]:
    """Return what can be read in a picture that the camera takes now."""
    picture = faulty.bench.floor.cameras[camera].picture()
    grey = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    found = Decoder(formats=WAREHOUSE_FORMATS).decode(np.asarray(grey, np.uint8))
    return {code.text for code in found}


def looks(faulty: Faulty) -> list[CameraLook]:
    """Return what the smart camera says in a while."""
    faulty.bench.said.clear()
    faulty.run(20 * PERIOD_S)
    wanted = topics.CAMERA_LOOK.of(site=SITE, device=SMART)
    return [decode(payload, CameraLook) for payload in faulty.bench.payloads(wanted)]


@pytest.mark.parametrize(
    "kind", ["dirty-lens", "low-light", "glare", "camera-blocked", "camera-shifted"]
)
def test_a_camera_that_sees_badly_reads_less_and_nothing_wrong(faulty: Faulty, kind: str) -> None:
    clear = read(faulty)
    assert len(clear) >= 4
    end = faulty.begin(kind, FIXED)
    assert read(faulty) < clear
    end()
    assert read(faulty) == clear


def test_faults_of_one_lens_add_up_and_end_one_by_one(faulty: Faulty) -> None:
    lens = faulty.bench.floor.drones["drone-1"].lens
    clear = lens.optics
    ends = [faulty.begin("glare", "drone-1", glare="20 %"), faulty.begin("dirty-lens", "drone-1")]
    assert (lens.optics.glare, lens.optics.dirt) == (0.2, 0.6)
    ends[0]()
    assert (lens.optics.glare, lens.optics.dirt) == (0.0, 0.6)
    ends[1]()
    assert lens.optics == clear


def test_a_torn_label_is_not_in_the_picture(faulty: Faulty) -> None:
    clear = read(faulty)
    end = faulty.begin("damaged-label", "A-01-01-1")
    assert {text for text in clear - read(faulty) if "254A-01-01-1" in text}
    assert all("A-01-01-1" not in {b.bin_id for b in look.bins} for look in looks(faulty))
    end()
    assert read(faulty) == clear


def test_a_dead_camera_gives_no_picture(faulty: Faulty) -> None:
    camera = faulty.bench.floor.cameras[FIXED]
    end = faulty.begin("dead-camera", FIXED)
    assert camera.picture() == b""
    end()
    assert camera.picture() != b""


def test_a_dead_smart_camera_says_nothing_and_then_counts_from_one(faulty: Faulty) -> None:
    before = looks(faulty)
    end = faulty.begin("dead-camera", SMART)
    assert looks(faulty) == []
    end()
    again = looks(faulty)
    assert again[0].seq == 1
    assert again[0].boot_epoch > before[-1].boot_epoch


def test_a_smart_camera_misses_labels(faulty: Faulty) -> None:
    assert all(len(look.bins) == 3 for look in looks(faulty))
    end = faulty.begin("missed-labels", SMART, share="50 %")
    assert sum(len(look.bins) < 3 for look in looks(faulty)) > 10
    end()
    assert all(len(look.bins) == 3 for look in looks(faulty))


def test_a_smart_camera_meets_the_network_too(faulty: Faulty) -> None:
    end = faulty.begin("silent", SMART)
    assert looks(faulty) == []
    end()
    assert looks(faulty)


def test_wind_makes_a_drone_sway_and_costs_battery(faulty: Faulty) -> None:
    autopilot = faulty.bench.floor.drones["drone-1"].autopilot

    def in_the_air() -> tuple[float, float]:
        """Return how far it sways and what a while in the air costs."""
        autopilot.arm()
        autopilot.mode = Mode.HOVER
        before, places = autopilot.battery_pct, []
        for _ in range(100):
            autopilot.advance(0.1)
            places.append(autopilot.place[:2])
        return max(math.dist(places[0], p) for p in places), before - autopilot.battery_pct

    calm_m, calm_pct = in_the_air()
    end = faulty.begin("drone-wind", "drone-1", speed="2.5 m/s")
    windy_m, windy_pct = in_the_air()
    assert windy_m > 2 * calm_m
    assert windy_pct > 1.3 * calm_pct
    end()
    again_m, again_pct = in_the_air()
    assert again_m == pytest.approx(calm_m, rel=0.1)
    assert again_pct == pytest.approx(calm_pct)


def test_a_sleeping_planner_decides_nothing(faulty: Faulty) -> None:
    with pytest.raises(FaultError, match="nobody simulated sits at the desk"):
        faulty.begin("planner-asleep", "site")
    faulty.bench.floor.hire_planner(lambda: ["P1"])
    wanted = topics.DESK_COMMAND.of(site=SITE)
    end = faulty.begin("planner-asleep", "site")
    faulty.run(20)
    assert faulty.bench.payloads(wanted) == []
    end()
    faulty.run(20)
    assert faulty.bench.payloads(wanted)
