"""Random streams: one seed, a stream of its own for each name, the same on every machine."""

from __future__ import annotations

import hashlib
from random import Random

__all__ = ["SECRET_BYTES", "Random", "stream"]

SECRET_BYTES = 16


def stream(seed: int, name: str) -> Random:
    """Return the stream of `name` under `seed`, whatever PYTHONHASHSEED and other streams do."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return Random(int.from_bytes(digest, "big"))
