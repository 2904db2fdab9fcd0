"""Scenarios drawn by chance: a world, its troubles, its traffic, and what must hold at the end.

In two steps, since faults happen to things by name: first the world's lines, then, once its site is
known, what happens there. All chance comes from the stream that is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from runtime.seeds import Random
from sim_hardware.config import SimConfig
from sim_hardware.scenarios import words as w
from sim_hardware.scenarios.draw_faults import Trouble, draw_faults
from sim_hardware.scenarios.draw_traffic import draw_traffic
from wire.site import Site

SEED_MAX: Final = 2**31
GENERATED_SHARE: Final = 0.35
ROUGH_SHARE: Final = 0.35
"""Of runs: people err, bytes are lost; books and world may part, the promises hold."""
LONG_SHARE: Final = 0.12
"""Of runs: long enough on the product's clock for deadlines to pass and what follows on them."""
CALM_SHARE: Final = 0.6
"""Of long runs."""
CALM_S: Final = 300
"""World and product seconds without a fault, at the end of a calm run."""
DUE_S: Final = (120, 120, 300, 30, 12, 5)
SHORT_S: Final = (60, 80, 100, 120, 150)
DRONE_SHARE: Final = 0.12
CAMERA_SHARE: Final = 0.06
"""Of runs: rendering what a fixed camera sees costs most of their time."""
CAMERA_RUN_S: Final = 60
CAMERA_SPEED: Final = 6
OFTEN: Final = 0.4
SELDOM: Final = 0.2
LOOKS: Final = (0.35, 0.7)
"""When, as a share of the run, promises that hold at any time are looked at."""
LOTS: Final = (0, 0, 60)
"""Per cent of articles whose goods are of lots."""
AT_ANY_TIME: Final = ("P2", "P6", "P7")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The first lines of a drawn scenario."""

    text: str
    run_s: int
    is_rough: bool
    is_calm: bool
    """Whether all faults are over long before the end: then work goes on."""


def draw_world(chance: Random, title: str) -> World:
    """Return the first lines of a scenario: the site, its day, its speed, how long it runs."""
    is_long = chance.random() < LONG_SHARE
    is_calm = is_long and chance.random() < CALM_SHARE
    has_camera = not is_long and chance.random() < CAMERA_SHARE
    run_s = 500 if is_calm else chance.choice((300, 450, 600) if is_long else SHORT_S)
    speed = 1 if is_calm else chance.choice((1, 2) if is_long else (2, 4, 4, 6, 8))
    if has_camera:
        run_s, speed = CAMERA_RUN_S, CAMERA_SPEED
    is_rough = chance.random() < ROUGH_SHARE
    site = _generated(chance) if chance.random() < GENERATED_SHARE else _demo(chance)
    site += f" due={chance.choice(DUE_S)} cameras={int(has_camera)} lots={chance.choice(LOTS)}"
    lines = [
        f"SCENARIO {title}",
        "# Drawn by chance: `stockhelm sim fuzz`.",
        f"SITE {site}",
        f"DAY {chance.choice((4, 6, 8, 10))} min",
        f"SPEED {speed}",
        f"RUN {run_s} s",
    ]
    text = "\n".join(lines) + "\n"
    return World(text=text, run_s=run_s, is_rough=is_rough, is_calm=is_calm)


def draw_steps(
    chance: Random, world: World, site: Site, config: SimConfig, visitors: list[str]
) -> str:
    """Return the rest of a scenario on this site: habits, faults, scans, deeds, expectations."""
    lines = [*_habits(chance, world, site, config)]
    trouble = Trouble(
        until_s=world.run_s - CALM_S if world.is_calm else world.run_s,
        is_rough=world.is_rough, is_over=world.is_calm,
    )  # fmt: skip
    steps = [
        *draw_faults(chance, site, config, trouble),
        *draw_traffic(chance, site, visitors, run_s=world.run_s),
    ]
    lines += [text for _, text in sorted(steps)]
    looks = (round(world.run_s * share) for share in LOOKS)
    lines += [f"AT {at_s} s EXPECT promise {p} holds" for at_s in looks for p in AT_ANY_TIME]
    if world.is_calm:
        lines.append(f"AT {world.run_s - 1} s EXPECT work goes on")
        eyes = (*(own.device_id for own in config.scanners), *(c.camera_id for c in config.cameras))
        lines += [
            f"AT {world.run_s - 1} s EXPECT device {name} is online"
            for name in eyes
            # It never said that it was back: nobody can know.
            if not any(f" FAULT silent-after-reconnect {name} " in f"{line} " for line in lines)
        ]
    if not world.is_rough:
        lines.append("EXPECT books are true")
    lines += [f"EXPECT promise {promise} holds" for promise in w.PROMISES]
    lines.append("EXPECT orders lost = 0")
    return "\n".join(lines) + "\n"


def _common(chance: Random, *, orders: int) -> list[str]:
    return [
        f"seed={chance.randrange(SEED_MAX)}",
        f"orders={orders}",
        f"stray={chance.choice((0, 0, 3, 10, 30))}",
        f"auto={chance.choice((0, 12, 60, 60, 1_000))}",
        f"drones={int(chance.random() < DRONE_SHARE)}",
        f"smart={chance.choice((0, 0, 0, 1, 3))}",
        f"expires={chance.choice((3_600, 3_600, 20, 5))}",
        f"ahead={chance.choice((6, 6, 2, 3, 12))}",
    ]


def _demo(chance: Random) -> str:
    skus = chance.randint(3, 30)
    robots = chance.choice((1, 2, 2, 3, 3, 4, 5, 6))
    words = ["demo", f"skus={skus}", f"robots={robots}"]
    return " ".join([*words, *_common(chance, orders=chance.choice((0, 40, 80, 120, 200, 300)))])


def _generated(chance: Random) -> str:
    bins = chance.choice((50, 60, 80, 120, 200, 300, 400))
    zones = chance.randint(1, max(1, min(3, bins // 60)))
    most = min(30, bins // 5)
    words = ["generated", f"bins={bins}", f"skus={chance.randint(3, most)}"]
    words += [f"robots={chance.randint(1, min(8, bins // 12))}", f"zones={zones}"]
    words += [f"people={chance.randint(3 * zones, 3 * zones + 4)}"]
    return " ".join([*words, *_common(chance, orders=chance.choice((20, 60, 120, 200)))])


def _habits(chance: Random, world: World, site: Site, config: SimConfig) -> list[str]:
    """Return the WITH lines: how people, suppliers, robots and the planner are here."""
    lines = []
    if chance.random() < OFTEN:
        lines.append(
            f"WITH planner delay_s={chance.choice((1, 5, 20, 100))}"
            f" reject_share={chance.choice((0, 30, 60))} %"
        )
    if chance.random() < OFTEN:
        late, short, over = (chance.choice((0, 20, 50)) for _ in range(3))
        lines.append(
            f"WITH suppliers lead_spread={chance.choice((0, 0.2, 0.8))} late_share={late} %"
            f" late_d=0.3 short_share={short} % over_share={over} %"
            f" parts_max={chance.randint(1, 3)}"
        )
    if chance.random() < SELDOM:
        lines.append("WITH weather kind=drawn")
    if site.robots and chance.random() < OFTEN:
        row = chance.choice(site.robots)
        quirk = chance.choice(
            (
                "silent-after-reconnect",
                "node-states-never-emptied",
                "wrong-header-ids",
                "late-states",
            )
        )
        lines.append(f"WITH robots serial={row.serial} quirks={quirk}")
    if world.is_rough and config.scanners and chance.random() < OFTEN:
        names = ("misplace", "miscount", "wrong_pick", "forget_scan", "steal", "trust_paper")
        values = (f"{name}={chance.choice((2, 5, 10))} %" for name in chance.sample(names, 2))
        lines.append(f"WITH errors {' '.join(values)}")
    return lines
