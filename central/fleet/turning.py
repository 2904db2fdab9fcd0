"""Distances on floors where turning takes time: a way costs its metres and its turns. Pure."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]
Flags = NDArray[np.uint8]
QUARTER = math.pi / 2


@njit("float32(float32[:, ::1], int64, int64, int64)", cache=True)
def quarter_turns(xy_m: Float32, before: int, here: int, after: int) -> float:
    """Return how far one turns on `here`, in quarter turns: 0 straight on, 2 back."""
    ax = xy_m[here, 0] - xy_m[before, 0]
    ay = xy_m[here, 1] - xy_m[before, 1]
    bx = xy_m[after, 0] - xy_m[here, 0]
    by = xy_m[after, 1] - xy_m[here, 1]
    return float(np.float32(abs(math.atan2(ax * by - ay * bx, ax * bx + ay * by)) / QUARTER))


@njit("int64(float32[::1], int32[::1], int64, float32, int64)", cache=True)
def _push(keys: Float32, lanes: Int32, size: int, key: float, lane: int) -> int:
    """Put a lane into the heap; return its new size."""
    i = size
    while i > 0 and keys[(i - 1) // 2] > key:
        keys[i] = keys[(i - 1) // 2]
        lanes[i] = lanes[(i - 1) // 2]
        i = (i - 1) // 2
    keys[i] = key
    lanes[i] = lane
    return size + 1


@njit("int64(float32[::1], int32[::1], int64)", cache=True)
def _drop_first(keys: Float32, lanes: Int32, size: int) -> int:
    """Take the first out of the heap; return its new size."""
    size -= 1
    key, lane = keys[size], lanes[size]
    i = 0
    while True:
        child = 2 * i + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[i] = keys[child]
        lanes[i] = lanes[child]
        i = child
    keys[i] = key
    lanes[i] = lane
    return size


@njit("int64(int32[::1], int32[::1])", cache=True)
def _turns_max(indptr: Int32, indices: Int32) -> int:
    """Return over how many pairs of lanes one can go on: so often a way can get better."""
    nodes = indptr.size - 1
    leaving = np.zeros(nodes, np.int64)
    for node in indices:
        leaving[node] += 1
    pairs = indices.size
    for node in range(nodes):
        pairs += leaving[node] * (indptr[node + 1] - indptr[node])
    return pairs


@njit(
    "float32[::1](int32[::1], int32[::1], float32[::1], uint8[::1], float32[:, ::1], float32[::1],"
    " int64)",
    cache=True,
)
def turning_field(
    indptr: Int32,
    indices: Int32,
    lengths_m: Float32,
    closed: Flags,
    xy_m: Float32,
    turn_m: Float32,
    goal: int,
) -> Float32:
    """Return each node's way to `goal` in metres and turns, inf where there is none.

    The graph is the REVERSED one, as of `distance_field`. A turn on node n costs `turn_m[n]` metres
    per quarter; how a robot stands where it begins is not known and costs nothing. So a best way
    goes on from each of its nodes to one that is nearer to the goal. Searched are lanes, not nodes:
    cost O(E d log E) for d lanes per node.
    """
    field = np.full(indptr.size - 1, np.inf, np.float32)
    cost_m = np.full(indices.size, np.inf, np.float32)
    leads_to = np.empty(indices.size, np.int32)
    for node in range(indptr.size - 1):
        leads_to[indptr[node] : indptr[node + 1]] = node
    keys = np.empty(_turns_max(indptr, indices), np.float32)
    lanes = np.empty(keys.size, np.int32)
    size = 0
    field[goal] = 0.0
    lane, here, here_m = -1, goal, np.float32(0.0)
    while True:
        if lane < 0 or here_m <= cost_m[lane]:
            for e in range(indptr[here], indptr[here + 1]):
                there = indices[e]
                there_m = np.float32(here_m + lengths_m[e])
                if lane >= 0:
                    turns = quarter_turns(xy_m, there, here, leads_to[lane])
                    there_m = np.float32(there_m + turns * turn_m[here])
                if closed[there] == 0 and there_m < cost_m[e]:
                    cost_m[e] = there_m
                    field[there] = min(field[there], there_m)
                    size = _push(keys, lanes, size, float(there_m), e)
        if size == 0:
            return field
        here_m, lane = keys[0], lanes[0]
        here = indices[lane]
        size = _drop_first(keys, lanes, size)
