"""Whether the names in a scenario are there on its site, and whether its world can be."""

from __future__ import annotations

import functools
import types
import typing
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from sim_hardware.config import Section, SimConfig
from sim_hardware.faults.kinds import FaultError, check_fault
from sim_hardware.faults.targets import NAMES
from sim_hardware.scenarios import words as w
from sim_hardware.scenarios.model import (
    Deed,
    Expect,
    FaultOff,
    FaultOn,
    Scan,
    Scenario,
    ScenarioError,
    Setting,
    Step,
)
from wire.site import Site

NOT_SET: Final = ("broker", "scanners", "cameras", "drones")
"""Sections that the site makes, not the scenario."""
ROBOT_RADIUS_M: Final = 0.3
ERRORS_MAX: Final = 20
RACK_KINDS: Final = ("reserve", "pick")


def check_names(scenario: Scenario, site: Site, config: SimConfig, visitors: list[str]) -> None:
    """Raise ScenarioError with each name that is not on the site, and each impossible thing.

    `visitors` are the scanners that nobody works with.
    """
    errors = [*_impossible(scenario, site)]
    for step in scenario.steps:
        errors += [
            f"{scenario.file}:{step.line}: {e}" for e in _wrong(step, site, config, visitors)
        ]
    errors += [f"{scenario.file}:{line}: {e}" for line, e in _ends_without_begin(scenario)]
    if errors:
        raise ScenarioError("\n".join(errors[:ERRORS_MAX]))


def _wrong(step: Step, site: Site, config: SimConfig, visitors: list[str]) -> Iterator[str]:
    match step.action:
        case Scan() as scan:
            yield from _wrong_scan(scan, site, config, visitors)
        case FaultOn() as fault:
            try:
                check_fault(fault.kind, fault.target, fault.values, site, config)
            except FaultError as error:
                yield str(error)
        case FaultOff() as fault:
            try:
                check_fault(fault.kind, fault.target, {}, site, config)
            except FaultError as error:
                yield str(error)
        case Deed() | Expect() as sentence:
            for name, value in sentence.given.items():
                slot = w.SLOTS[name]
                known = slot.names(site, config)
                if name not in w.NUMBER_SLOTS and value not in known:
                    yield unknown(slot.name, value, known)


def _wrong_scan(scan: Scan, site: Site, config: SimConfig, visitors: list[str]) -> Iterator[str]:
    if scan.device not in visitors:
        if scan.device in NAMES["scanner"](site, config):
            yield (
                f"{scan.device} is in the hands of somebody who works with it; expected a visitor's"
                f" scanner: {w.some(visitors)}"
            )
        else:
            yield unknown("scanner", scan.device, visitors)
    if scan.what == "ARTICLE" and scan.value not in NAMES["article"](site, config):
        yield unknown("article", scan.value, NAMES["article"](site, config))
    # A bin that there is not may be scanned: labels can be wrong. They say so: RAW.
    if scan.what == "BIN" and scan.value not in site.bins:
        yield (
            unknown("bin", scan.value, site.bins)
            + '; a label that is wrong on purpose is RAW "..."'
        )


def unknown(what: str, came: str, known: typing.Iterable[str]) -> str:
    """Return the error's text for a name that there is not."""
    names = list(known)
    return f'unknown {what} "{came}"; there is: {w.some(names)}{w.near(came, names)}'


def _ends_without_begin(scenario: Scenario) -> Iterator[tuple[int, str]]:
    open_faults: Counter[tuple[str, str]] = Counter()
    timed = [step for step in scenario.steps if step.at_s is not None]
    for step in sorted(timed, key=lambda s: (s.at_s or 0.0, s.line)):
        match step.action:
            case FaultOn(kind=kind, target=target):
                open_faults[kind, target] += 1
            case FaultOff(kind=kind, target=target):
                if not open_faults[kind, target]:
                    yield step.line, f"END {kind} {target}: expected an earlier FAULT of that name"
                open_faults[kind, target] -= 1


def _impossible(scenario: Scenario, site: Site) -> Iterator[str]:
    """Yield what cannot be in a physical world, with the file and line of the site."""
    at = f"{scenario.file}:{scenario.site.line or 1}: {scenario.site.folder or 'site'}"
    racks = [row for row in site.bins.values() if row.kind in RACK_KINDS]
    standing: dict[str, str] = {}
    for line, robot in enumerate(site.robots, start=2):
        where = f"{at}: robots.csv line {line}: {robot.serial} stands at {robot.node_id}"
        if robot.node_id in standing:
            yield f"{where}, where {standing[robot.node_id]} stands too; expected a node of its own"
        standing[robot.node_id] = robot.serial
        node = site.nodes[robot.node_id]
        for row in racks:
            if max(abs(row.x_m - node.x_m), abs(row.y_m - node.y_m)) < ROBOT_RADIUS_M:
                yield f"{where}, inside the rack of bin {row.bin_id}; expected a node beside it"
                break
    held: Counter[str] = Counter()
    for line, stock in enumerate(site.opening, start=2):
        held[stock.bin_id] += stock.units
        capacity = site.bins[stock.bin_id].capacity_units
        if held[stock.bin_id] > capacity:
            yield (
                f"{at}: opening.csv line {line}: bin {stock.bin_id} would hold {held[stock.bin_id]}"
                f" units, expected at most its capacity of {capacity}"
            )


# --- WITH: settings of the simulated floor -----------------------------------------------------


@functools.cache
def sections() -> dict[str, tuple[type[Section], bool]]:
    """Return the sections of the floor's configuration that a scenario may set.

    By name: what a section holds, and whether there may be several of it.
    """
    found: dict[str, tuple[type[Section], bool]] = {}
    hints = typing.get_type_hints(SimConfig)
    for name, hint in hints.items():
        is_list = isinstance(hint, types.GenericAlias) and typing.get_origin(hint) is tuple
        kind: Any = typing.get_args(hint)[0] if is_list else hint
        if name not in NOT_SET and isinstance(kind, type) and issubclass(kind, Section):
            found[name] = (kind, is_list)
    return found


def apply_settings(scenario: Scenario, config: SimConfig) -> SimConfig:
    """Return `config` as the scenario's WITH lines want it. Raises ScenarioError."""
    for setting in scenario.settings:
        config = _apply(scenario.file, setting, config)
    return config


def _apply(file: str, setting: Setting, config: SimConfig) -> SimConfig:
    at = f"{file}:{setting.line}"
    found = sections().get(setting.section)
    if found is None:
        raise ScenarioError(f"{at}: {unknown('section', setting.section, sections())}")
    kind, is_list = found
    fields = kind.__struct_fields__
    for key in setting.values:
        if key not in fields:
            raise ScenarioError(f"{at}: WITH {setting.section}: {unknown('value', key, fields)}")
    given = {key: _plain(kind, key, value) for key, value in setting.values.items()}
    before = getattr(config, setting.section)
    if not is_list:
        given = {**msgspec.to_builtins(before), **given}
    try:
        section = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{at}: WITH {setting.section}: {error}") from error
    changed: Any = (*before, section) if is_list else section
    return msgspec.structs.replace(config, **{setting.section: changed})


def _plain(kind: type[Section], key: str, value: str) -> Any:
    """Return a value as the configuration has it: a list for tuples, a share for per cent."""
    hint = str(typing.get_type_hints(kind)[key])
    if hint.startswith("tuple["):
        return [part.strip() for part in value.split(",")]
    if value.endswith("%") and w.is_number(value.removesuffix("%").strip()):
        return str(float(value.removesuffix("%").strip()) / 100)
    return value
