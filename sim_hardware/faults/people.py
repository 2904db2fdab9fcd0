"""Faults of people: what they do wrong, and that they are not there."""

from __future__ import annotations

import math
from typing import Final

from runtime.seeds import Random
from sim_hardware.faults.lines import share
from sim_hardware.faults.model import Begin, End, FaultKind, Parameter, Stage, Values
from sim_hardware.world.incidents import Effect
from wire.ids import bin_location

DIGITS: Final = 9
"""Rates are added and taken away again; what is left is rounded to so many digits."""


def _rate(name: str) -> Begin:
    """Return what begins a fault that makes a person err more often in one way."""

    def begin(stage: Stage, target: str, values: Values, _chance: Random) -> End:
        rates = stage.floor.people[target].errors
        more = values.number("share")

        def change(by: float) -> None:
            setattr(rates, name, round(getattr(rates, name) + by, DIGITS))

        change(more)
        return lambda: change(-more)

    return begin


def _away(stage: Stage, target: str, _values: Values, _chance: Random) -> End:
    person = stage.floor.people[target]
    person.send_away(math.inf)
    return person.call_back


def _theft(stage: Stage, target: str, values: Values, chance: Random) -> End:
    """Let units of one article vanish from a bin, at most as many as are there."""
    world = stage.floor.world
    place = bin_location(target)
    there = sorted(world.stock_at(place).items())
    if there:
        gtin, most = chance.choice(there)
        units = min(most, round(values.number("units")))
        world.stock.move(gtin, units, from_place=place, to_place="stolen:stranger")
        world.incidents.note(
            "stolen", at_s=world.time.now_s, person_id="stranger", bin_id=target, gtin=gtin,
            units=units, text=f"{units} x {gtin} vanished from {target}",
            effects=[Effect(place, gtin, -units), Effect("stolen:stranger", gtin, units)],
        )  # fmt: skip
    return lambda: None


def _errs(name: str, rate: str, default: float, text: str, of: str) -> FaultKind:
    return FaultKind(
        name=name, group="world", target="person", text=text, parts_books_from_world=True,
        parameters={"share": share(default, of)}, begin=_rate(rate),
    )  # fmt: skip


KINDS: Final = (
    _errs("misplacement", "misplace", 0.3, "puts goods into the neighbouring bin", "of putaways"),
    _errs("miscount", "miscount", 0.3, "takes or counts one more or one less", "of counts, moves"),
    _errs("wrong-pick", "wrong_pick", 0.3, "takes the neighbouring face's article", "of picks"),
    _errs("forgotten-scan", "forget_scan", 0.3, "moves goods and scans nothing", "of moves"),
    _errs("pilfering", "steal", 0.3, "takes one or two units home", "of tasks"),
    FaultKind(
        name="theft", group="world", target="bin", parts_books_from_world=True,
        text="units vanish from it, at once and for good",
        parameters={"units": Parameter("units", 2, 1, 1_000_000, "at most")}, begin=_theft,
    ),
    FaultKind(
        name="person-away", group="world", target="person",
        text="is away, after what they are at; at the end they are back", begin=_away,
    ),
)  # fmt: skip
