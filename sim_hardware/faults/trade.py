"""Faults of suppliers, customers and what is heard of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Final

from runtime.seeds import Random
from sim_hardware.faults.lines import share
from sim_hardware.faults.model import (
    Begin,
    End,
    FaultError,
    FaultKind,
    Parameter,
    Stage,
    Values,
    name_of,
)
from sim_hardware.world.suppliers import Suppliers
from wire.site import Site


def _supply(value: str, change: Callable[[Suppliers, str, float], None]) -> Begin:
    """Return what begins a fault that changes one habit of a supplier."""

    def begin(stage: Stage, target: str, values: Values, _chance: Random) -> End:
        suppliers = stage.floor.suppliers
        change(suppliers, target, values.number(value))
        return functools.partial(change, suppliers, target, 0.0)

    return begin


def _wrong_pallet(stage: Stage, target: str, values: Values, chance: Random) -> End:
    """Let the next pallet of an article hold another one, of the same supplier where there is."""
    site = stage.floor.world.site
    gtin = _gtin(site, target)
    supplier = site.articles[gtin].supplier_id
    if values.word("instead"):
        instead = _gtin(site, values.word("instead"))
    else:
        others = [row for row in site.articles.values() if row.gtin != gtin]
        near = [row for row in others if row.supplier_id == supplier] or others
        if not near:
            raise FaultError(f"wrong-pallet {target}: there is no other article to come instead")
        instead = chance.choice([row.gtin for row in near])
    stage.floor.suppliers.wrong_pallet(supplier, gtin, instead)
    return lambda: stage.floor.suppliers.right_pallet(supplier, gtin)


def _gtin(site: Site, name: str) -> str:
    """Return the GTIN-14 of an article named by it or by its SKU."""
    return next(row.gtin for row in site.articles.values() if name in (row.gtin, row.sku))


def _surge(stage: Stage, target: str, values: Values, _chance: Random) -> End:
    return stage.floor.customers.surge(target, values.number("factor"), math.inf)


def _cloudburst(stage: Stage, _target: str, values: Values, _chance: Random) -> End:
    weather = stage.floor.weather
    weather.set(values.number("rain"))
    return weather.clear


def _feed_missing(stage: Stage, _target: str, _values: Values, _chance: Random) -> End:
    stage.floor.customers.pause_feed()
    return stage.floor.customers.resume_feed


def _weather_feed(stage: Stage, _target: str, _values: Values, _chance: Random) -> End:
    stage.floor.weather_feed.pause()
    return stage.floor.weather_feed.resume


KINDS: Final = (
    FaultKind(
        name="supplier-late", group="world", target="supplier",
        text="what it has not delivered yet comes later",
        parameters={"delay": Parameter("d", 1.0, 0.0, 365.0, "sales days later")},
        begin=_supply("delay", Suppliers.delay),
    ),
    FaultKind(
        name="supplier-short", group="world", target="supplier",
        text="its lorries bring less than was ordered",
        parameters={"share": share(0.3, "is missing")},
        begin=_supply("share", Suppliers.short),
    ),
    FaultKind(
        name="supplier-over", group="world", target="supplier",
        text="its lorries bring more than was ordered",
        parameters={"share": share(0.2, "is too much")},
        begin=_supply("share", Suppliers.over),
    ),
    FaultKind(
        name="supplier-damage", group="world", target="supplier",
        text="part of what its lorries bring is broken",
        parameters={"share": share(0.2, "is broken")},
        begin=_supply("share", Suppliers.damage),
    ),
    FaultKind(
        name="wrong-pallet", group="world", target="article",
        text="its next pallet holds another article than its paper says",
        parameters={"instead": name_of("article", "which comes; empty: drawn")},
        begin=_wrong_pallet,
    ),
    FaultKind(
        name="demand-surge", group="world", target="article or all",
        text="it is ordered many times as much",
        parameters={"factor": Parameter("times", 5.0, 0.0, 1_000.0, "of what is usual")},
        begin=_surge,
    ),
    FaultKind(
        name="cloudburst", group="world", target="site",
        text="it pours, and what keeps dry is sold many times as much",
        parameters={"rain": Parameter("mm/h", 15.0, 0.0, 200.0, "how hard")},
        begin=_cloudburst,
    ),
    FaultKind(
        name="feed-missing", group="world", target="site",
        text="the shop's orders stop coming; at the end all that wait come at once",
        begin=_feed_missing,
    ),
    FaultKind(
        name="weather-feed-missing", group="world", target="site",
        text="the weather reports stop coming", begin=_weather_feed,
    ),
)  # fmt: skip
