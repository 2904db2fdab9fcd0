"""The weather over the site, and the feed that tells of it.

A sales day has 24 hours of weather. Whoever sells umbrellas would like to know; the feed says what
it is like now whenever that changes, to whoever listens, unless it is down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from runtime.seeds import Random
from sim_hardware.config import SimWeather
from sim_hardware.world.schedule import WorldCall, WorldTime

HOURS_PER_DAY: Final = 24.0
RAIN_MEAN_MM_H: Final = 4.0
RAIN_MIN_MM_H: Final = 0.5
POURING_MM_H: Final = 10.0
RAIN_WORDS: Final = ("umbrella", "rain")
"""An article with one of these words in its name sells by the rain."""
EFFECT_MAX: Final = 3.0
"""However hard it rains: at most so many times the effect of pouring rain."""


class WeatherReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the feed says."""

    at_s: float
    """World time."""
    rain_mm_h: float
    text: str


class Weather:
    """How much it rains now; drawn by the seed, or as somebody says."""

    def __init__(self, config: SimWeather, time: WorldTime, *, day_s: float, rng: Random) -> None:
        self.rain_mm_h = 0.0
        self._config = config
        self._time = time
        self._hour_s = day_s / HOURS_PER_DAY
        self._rng = rng
        self._listeners: list[Callable[[], None]] = []
        self._spell: WorldCall | None = None

    def start(self) -> None:
        """Let the weather begin."""
        if self._config.kind == "drawn" and self._spell is None:
            self._begin_spell(rains=self._rng.random() < self._config.rain_share)

    def on_change(self, call: Callable[[], None]) -> None:
        """Call this whenever the weather has changed."""
        self._listeners.append(call)

    def set(self, rain_mm_h: float) -> None:
        """Let it rain so much (0: not at all) until `clear`."""
        if self._spell is not None:
            self._spell.cancel()
            self._spell = None
        self._become(rain_mm_h)

    def clear(self) -> None:
        """Let the weather be as the configuration has it again: dry at first."""
        self.set(0.0)
        if self._config.kind == "drawn":
            self._begin_spell(rains=False)

    def factor(self, name: str) -> float:
        """Return how many times as much of an article of this name is sold in this weather."""
        if self.rain_mm_h <= 0.0 or not sells_by_rain(name):
            return 1.0
        effect = min(self.rain_mm_h / POURING_MM_H, EFFECT_MAX)
        return 1.0 + (self._config.rain_factor - 1.0) * effect

    def _begin_spell(self, *, rains: bool) -> None:
        share = self._config.rain_share
        mean_h = 2.0 * self._config.spell_h * (share if rains else 1.0 - share)
        if mean_h <= 0.0:
            rains, mean_h = not rains, 2.0 * self._config.spell_h
        rain = RAIN_MIN_MM_H + self._rng.expovariate(1.0 / RAIN_MEAN_MM_H) if rains else 0.0
        length_s = self._rng.expovariate(1.0 / mean_h) * self._hour_s
        self._spell = self._time.after_real(
            length_s, lambda: self._begin_spell(rains=self.rain_mm_h == 0.0)
        )
        self._become(rain)

    def _become(self, rain_mm_h: float) -> None:
        if rain_mm_h != self.rain_mm_h:
            self.rain_mm_h = rain_mm_h
            for call in self._listeners:
                call()


class WeatherFeed:
    """Reports of the weather, to whoever wants them. Down, it says nothing and keeps the last."""

    def __init__(self, weather: Weather, time: WorldTime) -> None:
        self._weather = weather
        self._time = time
        self._listeners: list[Callable[[WeatherReport], None]] = []
        self._down = False
        self.last = self._report()
        weather.on_change(self._tell)

    def listen(self, call: Callable[[WeatherReport], None]) -> None:
        """Call this with each report."""
        self._listeners.append(call)

    def pause(self) -> None:
        """Say nothing from now on."""
        self._down = True

    def resume(self) -> None:
        """Speak again: say at once what it is like."""
        if self._down:
            self._down = False
            self._tell()

    def _tell(self) -> None:
        if self._down:
            return
        self.last = self._report()
        for call in self._listeners:
            call(self.last)

    def _report(self) -> WeatherReport:
        rain = round(self._weather.rain_mm_h, 1)
        text = f"rain, {rain} mm/h" if rain else "dry"
        return WeatherReport(at_s=round(self._time.now_s, 3), rain_mm_h=rain, text=text)


def sells_by_rain(name: str) -> bool:
    """Return whether an article of this name is one that rain sells."""
    low = name.lower()
    return any(word in low for word in RAIN_WORDS)
