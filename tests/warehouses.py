"""Generated warehouses as tests look at them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from sim_hardware.world.warehouse.files import warehouse_texts
from sim_hardware.world.warehouse.floor import Floor
from sim_hardware.world.warehouse.generate import Warehouse, generate_warehouse
from sim_hardware.world.warehouse.spec import Wish, make_spec
from wire.site import Site, parse_site


@cache
def warehouse(bins: int, seed: int = 7) -> Warehouse:
    """Return a warehouse with the usual numbers for so many bins."""
    return generate_warehouse(make_spec(Wish(bins=bins, seed=seed)))


@cache
def site(bins: int, seed: int = 7) -> Site:
    """Return what the product reads of that warehouse."""
    return parse_site(warehouse_texts(warehouse(bins, seed)))


def reached(floor: Floor, start: int, without: int = -1) -> NDArray[np.bool_]:
    """Return which nodes can be driven to from `start`, when one node is closed."""
    here, there = floor.lanes()
    is_open = (here != without) & (there != without)
    here, there = here[is_open], there[is_open]
    seen = np.zeros(len(floor), np.bool_)
    seen[start] = True
    count = 0
    while count != (count := int(seen.sum())):
        seen[there[seen[here]]] = True
    return seen


def open_places(floor: Floor) -> set[int]:
    """Return the nodes without which the floor falls into parts (Hopcroft and Tarjan, 1973)."""
    here, there = floor.lanes()
    beside: list[list[int]] = [[] for _ in range(len(floor))]
    for a, b in zip(here.tolist(), there.tolist(), strict=True):
        beside[a].append(b)
    depth, low = [-1] * len(floor), [0] * len(floor)
    found: set[int] = set()
    depth[0] = 0
    stack = [(0, -1, iter(beside[0]))]
    branches = 0
    while stack:
        node, parent, ways = stack[-1]
        for other in ways:
            if depth[other] < 0:
                depth[other] = low[other] = depth[node] + 1
                branches += node == 0
                stack.append((other, node, iter(beside[other])))
                break
            if other != parent:
                low[node] = min(low[node], depth[other])
        else:
            stack.pop()
            if parent >= 0:
                low[parent] = min(low[parent], low[node])
                if parent != 0 and low[node] >= depth[parent]:
                    found.add(parent)
    assert all(d >= 0 for d in depth), "some nodes cannot be reached at all"
    return found | ({0} if branches > 1 else set())
