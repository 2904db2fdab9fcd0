"""The probability that a bin's book is right now: a small Bayesian filter per (bin, article).

Two states, right and wrong. Each booked pick, putaway or other move, and each day, makes a right
book wrong with a small hazard; wrong ones stay wrong until somebody counts. With n_k the exposures
since the book was last known (picks, putaways, moves, days), r_k the hazards of the pair's class,
and f how much worse than its class this pair has been:

    p = p0 * exp(-f * sum_k r_k n_k)                           what is expected
    odds(p | looks) = odds(p) * exp(counts + sightings)        log likelihood ratios, right : wrong

A count that matches, and an adjustment, make a new start (p0). The hazards are learned from closed
intervals by expectation maximisation with Gamma priors, pooled in two steps (site, then class): an
interval was wrong with probability w, and cause k had the share r_k n_k / sum_j r_j n_j in it, so

    r_ck = (s g_k + sum w share_k) / (s + sum n_k),     f = (a + sum w) / (a + sum_k r_ck n_k)

over the intervals of class c, and of the pair, with g_k the same for the site around its prior.

Sources: Bayesian inventory records that err at a rate and are corrected by looks: DeHoratius,
Mersereau and Schrage, "Retail inventory management when records are inaccurate", Manufacturing &
Service Operations Management 10(2), 2008; that errors follow traffic, and which: DeHoratius and
Raman, "Inventory record inaccuracy: an empirical analysis", Management Science 54(4), 2008; Gamma
pooling and frailty: Gelman et al., "Bayesian Data Analysis", 3rd ed., section 2.6; EM: Dempster,
Laird and Rubin, J. Royal Statistical Society B 39(1), 1977. The numbers below are ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PairKey = tuple[str, str]
"""(bin id, GTIN-14)."""

PICK, PUTAWAY, MOVE, DAY = range(4)
CAUSES: Final = ("pick", "putaway", "move", "day")
INTERVALS_MAX: Final = 50_000
"""Closed intervals that are learned from; the oldest are forgotten."""
EM_ROUNDS: Final = 8
P_MIN: Final = 1e-6
"""No probability is nearer to 0 or 1: something may always be otherwise."""
EVIDENCE_MAX: Final = 12.0
"""Log odds that looks at one interval may add up to, either way."""

# Columns of a pair's state.
AT_D, P0, COUNTED, SIGHTED, SEEN_D, OFF_UNITS = range(3, 9)
COLUMNS: Final = 9
"""0-2: picks, putaways, moves since the book was last known; then: when that was, days since 1970;
how sure it was; log odds of the counts and of the newest sighting since; when it was last looked
at (0: never); by how much the last count differed, units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed before anything is learned."""

    hazards: tuple[float, float, float, float] = (0.002, 0.003, 0.002, 0.002)
    """Per pick, putaway, move and day."""
    site_exposures: tuple[float, float, float, float] = (500.0, 300.0, 300.0, 500.0)
    """How many exposures these are worth: so many observed ones weigh as much."""
    class_exposures: tuple[float, float, float, float] = (300.0, 200.0, 200.0, 300.0)
    """How many exposures the site's hazards are worth to a class."""
    pair_errors: float = 1.0
    """How many expected errors a pair must have behind it to be half its own judge."""
    miscount: float = 0.02
    """Share of counts that are wrong."""
    opening: float = 0.98
    """How sure opening stock is, and a pair that appears."""
    adjusted: float = 0.98
    """How sure a book is that was made to agree with a count."""
    off_units: float = 4.0
    """Mean size of an error, units."""
    off_weight: float = 5.0
    """How many errors that is worth."""


MISCOUNT_NEXT: Final = 0.15
"""A miscount is by one unit mostly: each unit more is so much rarer."""
ERROR_NEXT: Final = 0.8
"""An error is by few units or many: each unit more is so much rarer."""
SHARE_MIN: Final = 1e-4

# What a camera or drone sees of a pair, as P(seen so | right) : P(seen so | wrong). Labels may be
# hidden or missing, a wrong book mostly has some of the article there: a sighting says little of
# units, but a label of an article that the book does not have there says much.
SEEN_AS_BOOKED: Final = math.log(0.90 / 0.70)
NOTHING_SEEN: Final = math.log(0.10 / 0.30)
STRANGER_SEEN: Final = math.log(0.003 / 0.70)
# What a robot or person meets there who could not take or put what the book says.
WORK_FAILED: Final = math.log(0.02 / 0.30)


def difference_share(units: int, following: float) -> float:
    """Return how likely a difference of `units` (not 0) is among all, either sign.

    Geometric: (1 - q) q^(|units| - 1) / 2, never below SHARE_MIN.
    """
    return max(0.5 * (1.0 - following) * following ** (abs(units) - 1), SHARE_MIN)


def count_evidence(difference: int, miscount: float, before: int = 0) -> float:
    """Return log(P(count | right) / P(count | wrong)) of a count that differs by so many units.

    `before`: by how much the count before it differed: twice the same is no coincidence.
    """
    if difference == 0:
        hidden = difference_share(before, MISCOUNT_NEXT) if before else 0.1
        return math.log((1.0 - miscount) / (miscount * hidden))
    wrong_count = miscount * difference_share(difference, MISCOUNT_NEXT)
    if difference == before:
        return math.log(wrong_count / (1.0 - miscount))
    return math.log(wrong_count / difference_share(difference, ERROR_NEXT))


def shifted(p: float, evidence: float) -> float:
    """Return probability `p` after evidence, given as a log likelihood ratio for it."""
    p = min(max(p, P_MIN), 1.0 - P_MIN)
    odds = math.log(p / (1.0 - p)) + min(max(evidence, -EVIDENCE_MAX), EVIDENCE_MAX)
    return min(max(1.0 / (1.0 + math.exp(-odds)), P_MIN), 1.0 - P_MIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The rates that the closed intervals teach."""

    rates: Floats
    """(classes, 4): hazards per exposure."""
    off_units: Floats
    """(classes,): mean size of an error."""
    frailty: Floats
    """(pairs,): how much worse than its class a pair has been."""
    errors: float
    """Errors found, as far as counts can tell."""


class Beliefs:
    """All pairs of a site. Each event costs O(1); `probabilities` one pass over arrays."""

    def __init__(self, prior: Prior | None = None) -> None:
        self.prior = prior or Prior()
        self.index: dict[PairKey, int] = {}
        self.pairs_of: dict[str, list[int]] = {}
        self.classes: dict[str, int] = {}
        self.state: Floats = np.zeros((64, COLUMNS))
        self.class_of: Ints = np.zeros(64, dtype=np.int64)
        self.intervals: list[tuple[float, ...]] = []
        """(pair, p0, picks, putaways, moves, days, evidence, size of the difference)."""
        self._hazards = np.array(self.prior.hazards)

    def pair(self, key: PairKey, class_name: str, at_d: float) -> int:
        """Return the number of a pair; one that is new is as sure as opening stock."""
        found = self.index.get(key)
        if found is not None:
            return found
        number = len(self.index)
        if number == len(self.state):
            self.state = np.concatenate([self.state, np.zeros_like(self.state)])
            self.class_of = np.concatenate([self.class_of, np.zeros_like(self.class_of)])
        self.index[key] = number
        self.pairs_of.setdefault(key[0], []).append(number)
        self.class_of[number] = self.classes.setdefault(class_name, len(self.classes))
        self.state[number, P0] = self.prior.opening
        self.state[number, AT_D] = at_d
        return number

    # --- events ----------------------------------------------------------------------------------

    def moved(self, pair: int, cause: int) -> None:
        """Note a booked pick, putaway or other move."""
        self.state[pair, cause] += 1.0

    def counted(self, pair: int, difference: int, at_d: float) -> None:
        """Note a count that differs from the book by so many units (0: it agrees)."""
        row = self.state[pair]
        before = int(row[OFF_UNITS])
        row[COUNTED] += count_evidence(difference, self.prior.miscount, before)
        row[SEEN_D] = at_d
        row[OFF_UNITS] = difference
        if difference == 0:
            evidence = float(row[COUNTED] + row[SIGHTED])
            self._close(pair, at_d, before, shifted(self._expected(pair, at_d), evidence))

    def adjusted(self, pair: int, at_d: float) -> None:
        """Note that the book was made to agree with a count."""
        size = abs(int(self.state[pair, OFF_UNITS]))
        self._close(pair, at_d, size, self.prior.adjusted)

    def opened(self, pair: int, at_d: float) -> None:
        """Note opening stock: the book begins."""
        self.state[pair, :COLUMNS] = 0.0
        self.state[pair, P0] = self.prior.opening
        self.state[pair, AT_D] = at_d

    def sighted(self, pair: int, evidence: float, at_d: float) -> None:
        """Note what a camera or drone saw; only the newest since the last count says something.

        Looks that follow each other are no independent witnesses: what hid a label still hides it.
        """
        self.state[pair, SIGHTED] = evidence
        self.state[pair, SEEN_D] = at_d

    def failed(self, pair: int) -> None:
        """Note that somebody could not take or put there what the book says."""
        self.state[pair, SIGHTED] = min(self.state[pair, SIGHTED], WORK_FAILED)

    def _expected(self, pair: int, at_d: float) -> float:
        """Return p by the prior's hazards alone: good enough for what a matching count leaves."""
        row = self.state[pair]
        exposed = np.append(row[:DAY], max(0.0, at_d - row[AT_D]))
        return float(row[P0] * math.exp(-float(self._hazards @ exposed)))

    def _close(self, pair: int, at_d: float, size: int, p0: float) -> None:
        """End the pair's interval: it is learned from, and a new one begins."""
        row = self.state[pair]
        days = max(0.0, at_d - float(row[AT_D]))
        evidence = float(row[COUNTED])
        self.intervals.append((float(pair), row[P0], *row[:DAY], days, evidence, abs(size)))
        if len(self.intervals) > INTERVALS_MAX:
            del self.intervals[: INTERVALS_MAX // 10]
        row[:DAY] = 0.0
        row[AT_D], row[P0] = at_d, p0
        row[COUNTED] = row[SIGHTED] = row[OFF_UNITS] = 0.0
        row[SEEN_D] = at_d

    # --- what follows ----------------------------------------------------------------------------

    def learn(self, now_d: float) -> Learned:
        """Return the hazards that the intervals teach, by class, and each pair's own factor.

        Pairs with a count that differs and is not settled yet are looked at as they stand. Cost
        O((intervals + pairs) * EM_ROUNDS), in numpy.
        """
        rows = np.array([*self.intervals, *self._open_rows(now_d)], dtype=np.float64)
        pairs = len(self.index)
        return learn_from(rows.reshape(-1, 8), self.class_of[:pairs], len(self.classes), self.prior)

    def _open_rows(self, now_d: float) -> list[tuple[float, ...]]:
        state = self.state[: len(self.index)]
        return [
            (
                float(i), state[i, P0], *state[i, :DAY], max(0.0, now_d - state[i, AT_D]),
                state[i, COUNTED], abs(state[i, OFF_UNITS]),
            )
            for i in np.flatnonzero(state[:, OFF_UNITS])
        ]  # fmt: skip

    def probabilities(self, now_d: float, learned: Learned) -> Floats:
        """Return for each pair the probability that its book is right now."""
        state = self.state[: len(self.index)]
        days = np.maximum(0.0, now_d - state[:, AT_D])
        exposed = np.column_stack([state[:, :DAY], days])
        risk = (learned.rates[self.class_of[: len(state)]] * exposed).sum(axis=1)
        expected = state[:, P0] * np.exp(-learned.frailty * risk)
        return _shift(expected, state[:, COUNTED] + state[:, SIGHTED])

    def off_units(self, learned: Learned) -> Floats:
        """Return for each pair by how many units it is off where it is wrong."""
        mean = learned.off_units[self.class_of[: len(self.index)]]
        counted = np.abs(self.state[: len(self.index), OFF_UNITS])
        return np.where(counted > 0, counted, mean)


def learn_from(rows: Floats, class_of: Ints, classes: int, prior: Prior) -> Learned:
    """Return the hazards that closed intervals teach, by class, and each pair's own factor.

    `rows`: (pair, p0, picks, putaways, moves, days, evidence, size of the difference) of each;
    `class_of`: the class of each pair. Cost O((rows + pairs) * EM_ROUNDS), in numpy.
    """
    count, classes, hazards = len(class_of), max(1, classes), np.array(prior.hazards)
    pair = rows[:, 0].astype(np.int64)
    of_class = class_of[pair]
    exposed = rows[:, 2:6]
    rates = np.tile(hazards, (classes, 1))
    site_s, class_s = np.array(prior.site_exposures), np.array(prior.class_exposures)
    frailty, wrong = np.ones(count), np.zeros(len(rows))
    for _ in range(EM_ROUNDS):
        risks = rates[of_class] * exposed * frailty[pair, np.newaxis]
        risk = risks.sum(axis=1)
        wrong = 1.0 - _shift(rows[:, 1] * np.exp(-risk), rows[:, 6])
        # What was wrong at the interval's start already is no work of its exposures.
        slipped = wrong * risk / np.maximum(risk - np.log(rows[:, 1]), 1e-12)
        shares = slipped[:, np.newaxis] * risks / np.maximum(risk, 1e-12)[:, np.newaxis]
        errors = _by(of_class, shares, classes)
        weight = _by(of_class, exposed * frailty[pair, np.newaxis], classes)
        site = (site_s * hazards + errors.sum(axis=0)) / (site_s + weight.sum(axis=0))
        rates = (class_s * site + errors) / (class_s + weight)
        expected = np.bincount(pair, (rates[of_class] * exposed).sum(axis=1), count)
        found = np.bincount(pair, slipped, count)
        frailty = (prior.pair_errors + found) / (prior.pair_errors + expected)
    heavy = prior.off_weight
    sizes = np.bincount(of_class, wrong * rows[:, 7], classes) + heavy * prior.off_units
    total = np.bincount(of_class, wrong * (rows[:, 7] > 0), classes) + heavy
    return Learned(rates=rates, off_units=sizes / total, frailty=frailty, errors=float(wrong.sum()))


def _shift(p: Floats, evidence: Floats) -> Floats:
    """Return probabilities after evidence: `shifted` for arrays."""
    bounded = np.clip(p, P_MIN, 1.0 - P_MIN)
    odds = np.log(bounded / (1.0 - bounded)) + np.clip(evidence, -EVIDENCE_MAX, EVIDENCE_MAX)
    found: Floats = np.clip(1.0 / (1.0 + np.exp(-odds)), P_MIN, 1.0 - P_MIN)
    return found


def _by(group: Ints, values: Floats, groups: int) -> Floats:
    """Return the sums of `values` (n, k) by group: (groups, k)."""
    columns: list[Any] = [np.bincount(group, column, groups) for column in values.T]
    return np.column_stack(columns)
