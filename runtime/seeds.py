"""Random streams: one seed, a stream of its own for each name, the same on every machine and run."""

from __future__ import annotations

import hashlib
from random import Random


def stream(seed: int, name: str) -> Random:
    """Return the stream of `name` under `seed`; independent of PYTHONHASHSEED and of other streams."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
    return Random(int.from_bytes(digest, "big"))
