"""Whether the names in a scenario are there on its site, and whether its world can be."""

from __future__ import annotations

import functools
import re
import types
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from sim_hardware.config import Section, SimConfig
from sim_hardware.faults.kinds import KINDS, FaultError, check_fault
from sim_hardware.faults.targets import NAMES
from sim_hardware.plant import Mode
from sim_hardware.scenarios import words as w
from sim_hardware.scenarios.model import (
    Deed,
    Expect,
    FaultOff,
    FaultOn,
    Mistake,
    Scan,
    Scenario,
    Setting,
    Step,
)
from sim_hardware.wording import meant, number_text, some, there_is
from wire.site import Site

GTIN: Final = re.compile(r"[0-9]{14}")
NOT_SET: Final = ("broker", "scanners", "cameras", "drones")
"""Sections that the site makes, not the scenario."""
ROBOT_RADIUS_M: Final = 0.3
RACK_KINDS: Final = ("reserve", "pick")
_AT_KEY: Final = re.compile(r" - at `\$\.(\w+)")
"""Where msgspec says which value an error is about."""
_GOT: Final = re.compile(r", got .*")
_PLAIN_TYPES: Final = {
    "`float`": "a number", "`int`": "a whole number", "`bool`": "true or false", "`str`": "a word",
}  # fmt: skip
_TIME_KEYS: Final = {"_s": (1.0, "seconds"), "_d": (86_400.0, "days"), "_h": (3_600.0, "hours")}
"""By the end of a key: how many seconds its unit has, and the unit."""


def wrong_names(
    scenario: Scenario, site: Site, config: SimConfig, visitors: list[str]
) -> Iterator[Mistake]:
    """Yield each name that is not on the site, and each thing that cannot be in its world.

    `visitors` are the scanners that nobody works with.
    """
    for wrong in _impossible(scenario, site):
        yield Mistake(scenario.site.line or 1, wrong)
    for step in scenario.steps:
        for wrong in _wrong(step, site, config, visitors):
            yield Mistake(step.line, wrong)


def wrong_modes(scenario: Scenario, mode: Mode) -> Iterator[Mistake]:
    """Yield each fault that cannot be in this mode."""
    for step in scenario.steps:
        if isinstance(step.action, FaultOn) and mode not in KINDS[step.action.kind].modes:
            fault, modes = step.action, " or ".join(KINDS[step.action.kind].modes)
            yield Mistake(
                step.line,
                f"FAULT {fault.kind} {fault.target}: cannot be in mode {mode}; expected it in mode"
                f" {modes}",
            )


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
                check_fault(fault.kind, fault.target, {}, site, config, word="END")
            except FaultError as error:
                yield str(error)
        case Deed() | Expect() as sentence:
            for name, value in sentence.given.items():
                if name == "scanner":
                    yield from _wrong_visitor(value, site, config, visitors)
                    continue
                slot = w.SLOTS[name]
                known = slot.names(site, config)
                if name not in w.NUMBER_SLOTS and value not in known:
                    yield unknown(slot.name, value, known)


def _wrong_scan(scan: Scan, site: Site, config: SimConfig, visitors: list[str]) -> Iterator[str]:
    yield from _wrong_visitor(scan.device, site, config, visitors)
    if scan.what == "ARTICLE" and scan.value not in NAMES["article"](site, config):
        yield unknown("article", scan.value, NAMES["article"](site, config))
    # A bin that there is not may be scanned: labels can be wrong. They say so: RAW.
    if scan.what == "BIN" and scan.value not in site.bins:
        yield (
            unknown("bin", scan.value, site.bins)
            + '; a label that is wrong on purpose is RAW "..."'
        )


def _wrong_visitor(
    scanner: str, site: Site, config: SimConfig, visitors: list[str]
) -> Iterator[str]:
    """Yield what is wrong with a scanner that only a visitor may have."""
    if scanner in visitors:
        return
    if scanner in NAMES["scanner"](site, config):
        yield (
            f"{scanner} is in the hands of somebody who works with it; expected a visitor's"
            f" scanner: {some(visitors)}"
        )
    else:
        yield unknown("scanner", scanner, visitors)


def unknown(what: str, came: str, known: Iterable[str]) -> str:
    """Return the error's text for a name that there is not."""
    names = list(known)
    short = [name for name in names if not GTIN.fullmatch(name)] or names  # SKUs are for people
    listed = names if GTIN.fullmatch(came) else short
    return f'unknown {what} "{came}"{there_is(came, listed)}'


def _impossible(scenario: Scenario, site: Site) -> Iterator[str]:
    """Yield what cannot be in a physical world, with the file and line of the site's folder."""
    at = scenario.site.folder or "site"
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


def apply_settings(scenario: Scenario, config: SimConfig) -> tuple[SimConfig, list[Mistake]]:
    """Return `config` as the scenario's WITH lines want it, and what is wrong with the others."""
    mistakes: list[Mistake] = []
    said: dict[tuple[str, str], int] = {}
    for setting in scenario.settings:
        try:
            _say_once(setting, said)
            config = _apply(setting, config)
        except _SettingError as error:
            mistakes.append(Mistake(setting.line, str(error)))
    return config, mistakes


class _SettingError(Exception):
    """What is wrong with one WITH line."""


def _say_once(setting: Setting, said: dict[tuple[str, str], int]) -> None:
    """Raise _SettingError where another line set a value of this one: one would be lost."""
    section, is_list = sections().get(setting.section, (None, True))
    if section is None or is_list:
        return
    for key in setting.values:
        first = said.setdefault((setting.section, key), setting.line)
        if first != setting.line:
            raise _SettingError(
                f"WITH {setting.section}: {key}= stands in line {first} already; expected it once"
            )


def _apply(setting: Setting, config: SimConfig) -> SimConfig:
    found = sections().get(setting.section)
    if found is None:
        raise _SettingError(unknown("section", setting.section, sections()))
    kind, is_list = found
    fields = kind.__struct_fields__
    for key in setting.values:
        if key not in fields:
            raise _SettingError(f"WITH {setting.section}: {unknown('value', key, fields)}")
    before = {} if is_list else msgspec.to_builtins(getattr(config, setting.section))
    try:
        section = _read(kind, before, setting.values)
    except msgspec.ValidationError as error:
        said = _setting_said(str(error), kind, setting.values)
        percent = _per_cent_meant(kind, before, setting.values)
        raise _SettingError(f"WITH {setting.section}: {said}{percent}") from error
    changed: Any = (*getattr(config, setting.section), section) if is_list else section
    return msgspec.structs.replace(config, **{setting.section: changed})


def _setting_said(error: str, kind: type[Section], values: Mapping[str, str]) -> str:
    """Return what is wrong with a value in the words of a scenario, and what to write."""
    found = _AT_KEY.search(error)
    if found is None or found[1] not in values:
        return error
    key, value = found[1], values[found[1]]
    choices = _choices(typing.get_type_hints(kind)[key])
    if choices:
        return f"{key}={value}: expected {' or '.join(choices)}{meant(value, choices)}"
    expected = _GOT.sub("", error[: found.start()])
    for word, plain in _PLAIN_TYPES.items():
        expected = expected.replace(word, plain)
    number_s, (unit_s, unit) = w.parse_time(value), _TIME_KEYS.get(key[-2:], (1.0, ""))
    write = ""
    if unit and number_s is not None:
        write = f"; write {key}={number_text(number_s / unit_s).replace(',', '')} ({unit})"
    return f"{key}={value}: {expected[:1].lower()}{expected[1:]}{write}"


def _choices(hint: Any) -> list[str]:
    """Return the words that a value may be, none where it is something else."""
    if typing.get_origin(hint) is typing.Literal:
        return [str(word) for word in typing.get_args(hint)]
    return [word for part in typing.get_args(hint) for word in _choices(part)]


def _read(kind: type[Section], before: dict[str, Any], values: Mapping[str, str]) -> Section:
    """Return a section with these values in it. Raises msgspec.ValidationError."""
    given = {key: _plain(kind, key, value) for key, value in values.items()}
    return msgspec.convert({**before, **given}, kind, strict=False)


def _per_cent_meant(kind: type[Section], before: dict[str, Any], values: Mapping[str, str]) -> str:
    """Return what to write where numbers over 1 would do as per cent, which were meant then."""
    over = {key: value for key, value in values.items() if w.is_number(value) and float(value) > 1}
    percent = {key: f"{value} %" for key, value in over.items()}
    try:
        _read(kind, before, {**values, **percent})
    except msgspec.ValidationError:
        return ""
    written = " ".join(f"{key}={value}" for key, value in percent.items())
    return f"; for per cent write {written}" if written else ""


def _plain(kind: type[Section], key: str, value: str) -> Any:
    """Return a value as the configuration has it: a list for tuples, a share for per cent."""
    hint = str(typing.get_type_hints(kind)[key])
    if hint.startswith("tuple["):
        return [part.strip() for part in value.split(",")]
    if value.endswith("%") and w.is_number(value.removesuffix("%").strip()):
        return str(float(value.removesuffix("%").strip()) / 100)
    return value
