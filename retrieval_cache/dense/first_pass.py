"""Which passages may be among the best, by products of 8-bit numbers: the first pass of exact search on some CPUs.

A stored vector is σ (256 h + l), σ a power of two, h the high bytes of its numbers
and l what these leave out. A query, divided by its length, is t c + r, c of 8-bit
numbers. So its score is 256 σ t (c · h), which such products give exactly, but for

    |r · 256 σ h + q · σ l|  ≤  |r| 256 σ |h| + σ |l|      (Cauchy and Schwarz).

A pair that cannot reach the score it must reach, even with all of that added, is
left out. The pairs that stay, some in a thousand, are multiplied again with a query
of 16-bit numbers, which is bounded the same way: hardly more stay than truly reach
it. Sums are of integers; where floats round, the bounds are widened by more than
that. So of the pairs that reach it, none is ever left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from retrieval_cache.parallel import cores
from retrieval_cache.sparse.compiled import compiled

_QUERIES_AT_ONCE = 256  # times the 4096 passages of a shard: 4 MiB of products, which caches hold
_STRIP = 256  # products that are looked at one by one if any of them passes
_TINY, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)

_Pairs = tuple[np.ndarray, np.ndarray, int]  # see `FirstPass.__call__`


class _Rows(NamedTuple):
    """A block of passages as queries of length 1 see it."""

    packed: np.ndarray  # int16 [m, dim + 1]
    high: np.ndarray  # int8 [m, dim]
    steps: np.ndarray  # float64 [m]: σ
    lengths: np.ndarray  # float64 [m]: no vector is longer
    largest: np.float64  # σ of all
    coarse_steps: np.ndarray  # float32 [m]: 256 σ in units of the largest, so that nothing overflows
    room: np.ndarray  # float32 [m]: what 8-bit products may lack, in the same units


class FirstPass:
    """The pairs that are worth scoring, for some vectors and one block of passages after the other."""

    def __init__(self, vectors: np.ndarray) -> None:
        """vectors: finite float32 [n, dim], none of zeros."""
        units = vectors.astype(np.float64)
        self._lengths = np.sqrt(np.einsum("ij,ij->i", units, units))
        units /= self._lengths[:, None]
        self._coarse, coarse_steps, coarse_left = _rounded(units, np.int8)
        self._coarse_steps, self._coarse_left = coarse_steps.astype(np.float32), coarse_left.max()
        self._fine, self._fine_steps, self._fine_left = _rounded(units, np.int16)
        self._size = min(_QUERIES_AT_ONCE, -(-len(vectors) // cores()))
        self._pool = ThreadPoolExecutor(cores(), initializer=_multiply_alone)

    def __call__(self, packed: np.ndarray, least: np.ndarray) -> _Pairs:
        """The pairs that may reach a score: owners and rows, int64 [c]; and how many pairs were multiplied again.

        packed: int16 [m, dim + 1], see `shards.pack`; least: [n], of numbers that float32 holds. Owners, the
        numbers of vectors, ascend. Every pair whose score, rounded to float32, is at least its owner's `least`
        is there, and few others.
        """
        # What rounds up to `least`, or to infinity, reaches it.
        wanted = (np.minimum(least, _LARGEST) - _TINY) / self._lengths
        rows = self._prepared(packed)
        with np.errstate(over="ignore"):  # nothing reaches infinity
            coarse_wanted = np.nextafter((wanted / rows.largest).astype(np.float32), np.float32(-np.inf))
        passing = partial(self._passing, rows, wanted, coarse_wanted)
        owners, near, again = zip(*self._pool.map(passing, _parts(len(wanted), self._size)), strict=True)
        return np.concatenate(owners), np.concatenate(near), sum(again)

    def close(self) -> None:
        """End its threads."""
        self._pool.shutdown()

    def _prepared(self, packed: np.ndarray) -> _Rows:
        high, lengths = np.empty((len(packed), packed.shape[1] - 1), np.int8), np.empty((2, len(packed)))
        parts = _parts(len(packed), -(-len(packed) // cores()))
        list(self._pool.map(lambda part: _split(packed[part], high[part], lengths[:, part]), parts))
        steps = np.ldexp(1.0, packed[:, -1].astype(np.int32))
        largest, of_high, of_low = steps.max(), 256 * steps * lengths[0], steps * lengths[1]
        room = (self._coarse_left * of_high + of_low) / largest
        # float32 rounds seven times, by 2⁻²⁴ of at most 2 `of_high` + `room`, and where it underflows.
        room += 2.0**-20 * room + 2.0**-19 * of_high / largest + 4 * _TINY
        coarse = (256 * steps / largest).astype(np.float32), room.astype(np.float32)
        return _Rows(packed, high, steps, of_high + of_low, largest, *coarse)

    def _passing(self, rows: _Rows, wanted: np.ndarray, coarse_wanted: np.ndarray, own: slice) -> _Pairs:
        products = multiplied(self._coarse[own], rows.high)
        coarse = products, self._coarse_steps[own], coarse_wanted[own], rows.coarse_steps, rows.room
        # `least` was rounded by 2⁻²⁴, float64 adds next to nothing.
        fine_left = self._fine_left[own] + 2.0**-22
        fine = self._fine[own], self._fine_steps[own], fine_left, wanted[own], rows.packed, rows.steps, rows.lengths
        owners, near, again = _passing(*coarse, *fine)
        return owners + own.start, near, again


def multiplied(vectors: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Inner products int32 [n, m] of int8 [n, dim] and [m, dim]; see `products_are_right`."""
    if vectors.shape[1] == 1:  # torch 2.14 gives anything
        return vectors * high.T.astype(np.int32)
    return torch._int_mm(torch.from_numpy(vectors), torch.from_numpy(high).T).numpy()


@cache
def products_are_right() -> bool:
    """Whether torch's 8-bit products are exact here; it does not promise to have them."""
    numbers = np.random.default_rng(0).integers(-128, 128, (300, 384)).astype(np.int8)
    numbers[0], numbers[1] = -128, 127  # sums that 16 bits do not hold
    wide = numbers.astype(np.int32)
    return hasattr(torch, "_int_mm") and np.array_equal(multiplied(numbers, numbers), wide @ wide.T)


def _multiply_alone() -> None:
    """Make torch's products in this thread wait for no other: where cores are busy, waiting takes most of the time."""
    torch.get_num_threads()  # sets what is changed next, when a thread first asks
    threadpool_limits(1, user_api="openmp")


def _parts(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _rounded(vectors: np.ndarray, kind: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers [n, dim] of that kind, the step of each line [n], and the length of what is left [n]."""
    steps = np.abs(vectors).max(axis=1) / np.iinfo(kind).max
    numbers = np.rint(vectors / steps[:, None])
    left = numbers * steps[:, None]
    left -= vectors
    return numbers.astype(kind), steps, np.sqrt(np.einsum("ij,ij->i", left, left))


@compiled
def _split(packed, high, lengths):
    """The high bytes of vectors, and the lengths [2, n] of these and of what they leave out."""
    for row in range(len(high)):
        line, of_high, of_low = packed[row], np.int64(0), np.int64(0)
        for place in range(high.shape[1]):
            number = np.int32(line[place])
            # To the nearest; 32767 must not become 128.
            byte = min((number + np.int32(128)) >> np.int32(8), np.int32(127))
            low = number - (byte << np.int32(8))
            high[row, place] = byte
            of_high += byte * byte
            of_low += low * low
        lengths[0, row], lengths[1, row] = np.sqrt(of_high), np.sqrt(of_low)


@compiled
def _reaches(product, step, row_step, room, wanted):
    return np.float32(product) * step * row_step + room >= wanted


@compiled
def _any_reaches(products, step, row_steps, room, wanted):
    found = np.int32(0)
    for place in range(len(products)):
        found |= np.int32(_reaches(products[place], step, row_steps[place], room[place], wanted))
    return found


@compiled
def _product(line, vector):
    total = np.int64(0)
    for place in range(len(vector)):
        total += np.int64(line[place]) * np.int64(vector[place])
    return total


@compiled
def _passing(
    products, steps, wanted, row_steps, room, fine, fine_steps, fine_left, fine_wanted, packed, fine_row_steps, lengths
):
    """Owners and rows of the pairs that may reach what is wanted by both products, and how many do by the first."""
    owners, rows, count, again = np.empty(64, np.int64), np.empty(64, np.int64), 0, 0
    for owner in range(len(products)):
        for start in range(0, products.shape[1], _STRIP):
            strip = products[owner, start : start + _STRIP]
            strip_steps, strip_room = row_steps[start : start + _STRIP], room[start : start + _STRIP]
            if not _any_reaches(strip, steps[owner], strip_steps, strip_room, wanted[owner]):
                continue
            for place in range(len(strip)):
                if not _reaches(strip[place], steps[owner], strip_steps[place], strip_room[place], wanted[owner]):
                    continue
                again += 1
                row = start + place
                product = fine_steps[owner] * fine_row_steps[row] * _product(packed[row], fine[owner])
                if product + fine_left[owner] * lengths[row] < fine_wanted[owner]:
                    continue
                if count == len(rows):
                    owners, rows = np.append(owners, np.empty_like(owners)), np.append(rows, np.empty_like(rows))
                owners[count], rows[count] = owner, row
                count += 1
    return owners[:count], rows[:count], again
