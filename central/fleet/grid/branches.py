"""Dead ends: the parts of a ground that hang on it like trees, where robots cannot pass each other.

Who is in one and wants out goes before all others, and pushes back who wants in: a dead end is
entered only by robots that nobody inside is in the way of.
"""

from __future__ import annotations

import numpy as np

from central.fleet.grid.ground import HEADINGS, Ground, Int32


def find_branches(ground: Ground) -> Int32:
    """Return, (bordered cells, 2), numbers `first` and `end` of each cell of a dead end, else 0.

    The cells behind a cell, seen from the way out, are those with first in [first, end).
    Cells with at most one way that is no dead end itself are stripped until none is left; what is
    left has no dead ends. A ground that is a tree keeps one cell.
    """
    steps = [row * ground.width + column for row, column in HEADINGS]
    free = ground.number >= 0
    degree = np.zeros(free.size, np.int32)
    for step in steps:
        degree[ground.cells] += free[ground.cells + step]
    out: dict[int, int] = {}
    stripped: list[int] = []
    waiting = [int(cell) for cell in ground.cells if degree[cell] == 1]
    while waiting:
        cell = waiting.pop()
        ahead = [cell + step for step in steps if free[cell + step] and cell + step not in out]
        if len(ahead) != 1:
            continue
        out[cell] = ahead[0]
        stripped.append(cell)
        degree[ahead[0]] -= 1
        if degree[ahead[0]] == 1:
            waiting.append(ahead[0])
    return _numbered(ground, out, stripped)


def _numbered(ground: Ground, out: dict[int, int], stripped: list[int]) -> Int32:
    """Return the interval of each stripped cell; later stripped ones are nearer to the way out."""
    size: dict[int, int] = {}
    for cell in stripped:
        size[cell] = size.get(cell, 0) + 1
        if out[cell] in out:
            size[out[cell]] = size.get(out[cell], 0) + size[cell]
    branches = np.zeros((ground.number.size, 2), np.int32)
    free_number = 1
    next_in: dict[int, int] = {}
    for cell in reversed(stripped):
        root = out[cell]
        first = next_in.get(root, free_number)
        if root in next_in:
            next_in[root] += size[cell]
        else:
            free_number += size[cell]
        branches[cell] = first, first + size[cell]
        next_in[cell] = first + 1
    return branches
