"""What a count that differs means: adjust the book, or count again. Pure."""

from __future__ import annotations

import math
from typing import Final

from central.belief.core import Prior, count_evidence, shifted

ADJUST_SURE: Final = 0.9
"""A count must be so likely right before the book is made to agree with it; else it is counted
again, and a second count with the same difference settles it."""

ASKED_TWICE: Final = math.log(Prior().miscount / (1.0 - Prior().miscount))
"""Log odds against the book where a person was asked once more before a count was taken: their
first differed as well."""


def count_is_right(p: float, difference: int, miscount: float, before: int = 0) -> float:
    """Return how likely a count that differs from the book is right.

    `p`: how sure the book was before. The book is right, and the count wrong, with
    `shifted(p, count_evidence)`; where the book is wrong the count may still be: share `miscount`.
    """
    if difference == 0:
        return 1.0
    book_is_right = shifted(p, count_evidence(difference, miscount, before))
    return (1.0 - book_is_right) * (1.0 - (0.0 if difference == before else miscount))
