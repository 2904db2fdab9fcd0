"""The site that a scenario happens on, and whether a scenario can be run there.

What only looks at scenarios imports this and no agent: those compile their kernels when imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runtime.config import load_config
from sim_hardware.config import SimConfig
from sim_hardware.scenarios.model import SEED_DEFAULT, Mistake, Scenario, SiteSpec, refusal
from sim_hardware.scenarios.names import apply_settings, wrong_names
from sim_hardware.site_folder import read_demand, read_texts
from sim_hardware.world.warehouse.files import warehouse_texts
from sim_hardware.world.warehouse.generate import generate_warehouse
from sim_hardware.world.warehouse.spec import WarehouseError, Wish, make_spec
from stockhelm.demo_site import (
    GUEST_CABLE_SCANNER,
    GUEST_SCANNER,
    DemoSite,
    Ports,
    Shape,
    write_demo,
)
from stockhelm.work_folder import work_folder
from wire.site import SiteError

PORTS: Final = Ports(broker=1883, desk=8000, pictures=8001)
"""In virtual time nobody listens on them."""
PERCENT: Final = 100.0
VISITORS: Final = [GUEST_SCANNER, GUEST_CABLE_SCANNER]


def shape_of(scenario: Scenario, base: Path) -> Shape:
    """Return the site's shape. Raises ScenarioError where the folder it names is none."""
    site = scenario.site
    line = site.line or 1
    texts = None
    if site.kind == "folder":
        folder = base / site.folder
        texts = _texts_of(folder)
        if not texts:
            wrong = f"{folder}: expected a folder with bins.csv and articles.csv"
            raise refusal(scenario.file, [Mistake(line, wrong)])
    elif site.kind == "generated":
        try:
            texts = _generated(site)
        except WarehouseError as error:
            wrong = f"no such warehouse: {error}"
            raise refusal(scenario.file, [Mistake(line, wrong)]) from error
    return Shape(
        site_seed=int(site.option("seed")),
        skus=int(site.option("skus")),
        robots=int(site.option("robots")),
        cameras=int(site.option("cameras")),
        smart_cameras=int(site.option("smart")),
        drones=int(site.option("drones")),
        orders_per_day=site.option("orders"),
        day_s=scenario.day_s / scenario.speed,
        stray_share=site.option("stray") / PERCENT,
        lot_share=site.option("lots") / PERCENT,
        numbered=int(site.option("numbered")),
        auto_units_max=int(site.option("auto")),
        task_due_s=site.option("due"),
        proposal_expires_s=site.option("expires"),
        base_nodes_max=int(site.option("ahead")),
        visitors=True,
        texts=texts,
    )


def _texts_of(folder: Path) -> dict[str, str]:
    """Return the CSV texts in a folder. Raises SiteError where one cannot be read."""
    try:
        return read_texts(folder)
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise SiteError(error.strerror) from error


def _generated(site: SiteSpec) -> dict[str, str]:
    """Return the CSV texts of a generated warehouse. Raises WarehouseError."""
    wish = Wish(
        bins=int(site.option("bins")),
        robots=int(site.option("robots")),
        skus=int(site.option("skus")),
        people=int(site.option("people")) or None,
        zones=int(site.option("zones")) or None,
        orders_per_day=max(site.option("orders"), 1.0),
        seed=int(site.option("seed")),
    )
    return warehouse_texts(generate_warehouse(make_spec(wish)))


def write_site(
    scenario: Scenario, directory: Path, base: Path, seed: int, ports: Ports
) -> DemoSite:
    """Write a scenario's site and configurations; return where they lie.

    Raises ScenarioError where names in the scenario are not there, or its world cannot be.
    """
    mistakes: list[Mistake] = []

    def change(config: SimConfig) -> SimConfig:
        changed, wrong = apply_settings(scenario, config)
        mistakes.extend(wrong)
        return changed

    try:
        demo = write_demo(
            directory, seed=seed, speed=scenario.speed, ports=ports, sales=None,
            shape=shape_of(scenario, base), change_sim=change,
        )  # fmt: skip
    except SiteError as error:
        mistakes.append(Mistake(scenario.site.line or 1, f"{scenario.site.folder}: {error}"))
        raise refusal(scenario.file, mistakes) from error
    if scenario.site.kind == "folder":
        try:
            read_demand(base / scenario.site.folder, demo.site)
        except SiteError as error:
            mistakes.append(Mistake(scenario.site.line, str(error)))
    config = load_config(demo.config("sim"), SimConfig)
    mistakes += wrong_names(scenario, demo.site, config, VISITORS)
    if mistakes:
        raise refusal(scenario.file, mistakes)
    return demo


def check_scenario(scenario: Scenario, base: Path) -> None:
    """Raise ScenarioError where this scenario could not be run."""
    with work_folder("check") as directory:
        write_site(scenario, directory, base, SEED_DEFAULT, PORTS)
