"""The rules central works by, as far as people must know them: kept in its database for the desk.

The desk has no copy of central's configuration: what central wrote here when it started counts.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection

from central.config import CentralConfig
from central.store import read_setting, write_setting

NAME: Final = "rules"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What policy approves by itself, and how long a demand day is."""

    day_s: float
    auto_units_max: int
    auto_buy_cents_max: int
    auto_adjust_units_max: int = 0
    auto_adjust_cents_max: int = 0


def rules_of(config: CentralConfig) -> Rules:
    """Return the rules of a configuration."""
    return Rules(
        day_s=config.planning.day_s,
        auto_units_max=config.policy.auto_units_max,
        auto_buy_cents_max=config.policy.auto_buy_cents_max,
        auto_adjust_units_max=config.policy.auto_adjust_units_max,
        auto_adjust_cents_max=config.policy.auto_adjust_cents_max,
    )


def write_rules(conn: Connection, rules: Rules) -> None:
    """Keep the rules, where they are not kept already."""
    text = msgspec.json.encode(rules).decode()
    if read_setting(conn, NAME) != text:
        write_setting(conn, NAME, text)


def read_rules(conn: Connection) -> Rules | None:
    """Return the rules central works by; None where it wrote none (or others than we know)."""
    text = read_setting(conn, NAME)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Rules)
    except msgspec.DecodeError:
        return None
