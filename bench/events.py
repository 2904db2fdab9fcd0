"""Stock events of a made-up site, the same for every store and every load that a bench measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from wire.ids import BinId, bin_location, gs1_check_digit
from wire.messages import JournalBatch, Movement

BINS: Final = 5_000
ARTICLES: Final = 1_000
TASK_EVERY: Final = 4
"""One movement of so many belongs to a task; the others are receipts and corrections."""
BEGUN_NS: Final = 1_760_000_000_000_000_000
STEP_NS: Final = 50_000_000
REASONS: Final = ("receive", "putaway", "pick")


def gtin_of(article: int) -> str:
    """Return the GTIN-14 of a made-up article."""
    body = f"04{article:011d}"
    return f"{body}{gs1_check_digit(body)}"


@dataclass(frozen=True, slots=True)
class Places:
    """Between which bins things move, and which articles."""

    bins: Sequence[str]
    gtins: Sequence[str]


def made_up_places(bins: int = BINS, articles: int = ARTICLES) -> Places:
    """Return bins and articles of no site."""
    return Places(
        [f"A-{number // 100:03d}-{number % 100:02d}-1" for number in range(bins)],
        [gtin_of(number) for number in range(articles)],
    )


MADE_UP: Final = made_up_places()


def movements(
    count: int, *, seed: int, first: int = 1, device_id: str = "scanner-1", places: Places = MADE_UP
) -> list[Movement]:
    """Return `count` movements of a device between bins, numbered from `first` on."""
    random = Random(seed)
    found = []
    for number in range(first, first + count):
        here, there = random.sample(places.bins, 2)
        at_ns = BEGUN_NS + number * STEP_NS
        found.append(
            Movement(
                event_id=f"{device_id}/1760000000000000/{number}", gtin=random.choice(places.gtins),
                units=random.randint(1, 12), from_place=bin_location(BinId(here)),
                to_place=bin_location(BinId(there)), reason=REASONS[number % len(REASONS)],
                device_id=device_id, observed_at_ns=at_ns, received_at_ns=at_ns + 2_000_000,
                person_id=f"person-{device_id[-4:]}",
                task_id="" if number % TASK_EVERY else f"T-{device_id}-{number // 20}",
            )
        )  # fmt: skip
    return found


def batches_of(
    moves: list[Movement], size: int, *, edge_id: str, first: int = 1
) -> list[JournalBatch]:
    """Return `moves` as one edge sends them: consecutive rows, `size` to a batch."""
    return [
        JournalBatch(
            edge_id=edge_id, epoch=1, first_seq=first + begin,
            events=tuple(moves[begin : begin + size]),
        )
        for begin in range(0, len(moves), size)
    ]  # fmt: skip
