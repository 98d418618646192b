"""Exact search by inner product over embeddings that are streamed from disk.

One pass over the index serves a whole block of queries. It keeps a few more
candidates than are wanted by float32 scores; these candidates are scored again
in float64 in a fixed order. What float32 may get wrong is bounded, so it is
known whether a passage that was left out could belong to the best k. Only
where it could, which takes many passages that (almost) tie, a second pass looks
at every passage that comes near. So rankings are the same for every block size,
thread count and device, and ties go to the lower row.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from retrieval_cache.dense.nearest import error_bound, nearest
from retrieval_cache.dense.shards import Shards, unpack
from retrieval_cache.ranking import NO_ROW, NO_SCORE

SPARE = 16
"""Candidates beyond k: room for what float32 gets wrong."""

BLOCK_BYTES = 64 << 20
"""Size of a block in float32; with the two buffers it is read into, a search holds twice that."""

_NUMBERS_AT_ONCE = 1 << 21  # float64 numbers that are multiplied at a time: 16 MiB an array
_SCORES_AT_ONCE = 1 << 22  # float32 scores of the second pass: 16 MiB

_Found = tuple[np.ndarray, np.ndarray]  # rows int64 [n, c], scores float64 [n, c]


def exact_search(shards: Shards, vectors: np.ndarray, k: int, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
    """The best `k` rows for each vector: rows int32 [n, k], scores float32 [n, k].

    vectors: float32 [n, dim]. Scores are inner products. Where the index holds
    fewer than k vectors, and for a vector of zeros (every passage would tie),
    the places left hold row -1 and score NaN.
    """
    all_rows = np.full((len(vectors), k), NO_ROW, np.int32)
    all_scores = np.full((len(vectors), k), NO_SCORE, np.float32)
    asked = np.flatnonzero(vectors.any(axis=1))
    if len(asked):
        vectors = np.ascontiguousarray(vectors[asked])
        rows, near, slack = _candidates(shards, vectors, min(len(shards), k + SPARE), device)
        found = best(rows, pair_scores(shards, vectors, rows), k)
        if rows.shape[1] < len(shards):
            # Nothing left out has a float32 score above `near`, nor a true one above `near + slack`.
            unsure = np.flatnonzero(found[1][:, -1] <= near + slack)
            for group in _groups(unsure, max(1, _SCORES_AT_ONCE // block_rows(shards.dim))):
                settled = _settle(shards, vectors[group], found[1][group, -1], slack[group], k)
                found[0][group], found[1][group] = settled
        all_rows[asked, : found[0].shape[1]] = found[0]
        all_scores[asked, : found[0].shape[1]] = found[1]
    return all_rows, all_scores


def block_rows(dim: int) -> int:
    """Rows of a block."""
    return max(1, BLOCK_BYTES // (4 * dim))


def float_blocks(shards: Shards) -> Iterator[tuple[int, np.ndarray]]:
    """First row and vectors, float32 [rows, dim], block after block; the array is filled anew each time."""
    buffer = np.empty((0, shards.dim), np.float32)
    for first, block in shards.blocks(block_rows(shards.dim)):
        if len(buffer) < len(block):
            buffer = np.empty((len(block), shards.dim), np.float32)
        yield first, unpack(block, buffer[: len(block)])


def pair_scores(shards: Shards, vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Exact inner products of each vector with some rows of the index: float64 [n, c].

    rows: int64 [n, c]; -1 scores -infinity. Sums are made in float64 along each
    vector, always in the same order, and rounded to float32: what is stored and
    what is sorted are the same, so the sixteenth digit cannot order two passages.
    """
    flat = rows.ravel()
    order = np.argsort(flat, kind="stable")
    wanted, owners = flat[order], order // rows.shape[1]
    sorted_scores = np.full(len(flat), -np.inf)
    for first, block in shards.blocks(block_rows(shards.dim), wanted[np.searchsorted(wanted, 0) :]):
        low, high = np.searchsorted(wanted, (first, first + len(block)))
        part = slice(low, high)
        # Few of a block's passages are candidates, each of some queries: unpack these alone.
        rows_of_block, places = np.unique(wanted[part] - first, return_inverse=True)
        sorted_scores[part] = _pair_scores(unpack(block[rows_of_block]), places, vectors, owners[part])
    scores = np.empty(len(flat))
    scores[order] = sorted_scores
    return scores.reshape(rows.shape)


def best(rows: np.ndarray, scores: np.ndarray, k: int) -> _Found:
    """The k highest of each line of scores [n, c] with their rows [n, c]; ties by lower row."""
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def _candidates(shards: Shards, vectors: np.ndarray, count: int, device: str) -> tuple[np.ndarray, ...]:
    """Rows int64 [n, count] of the highest float32 scores, the lowest of these [n], and the error bound [n]."""
    find = nearest(vectors, device)
    near, rows = np.empty((len(vectors), 0), np.float32), np.empty((len(vectors), 0), np.int64)
    largest = 0.0
    for first, block in float_blocks(shards):
        block_near, found = find(block, min(count, len(block)))
        near, rows = np.hstack([near, block_near]), np.hstack([rows, found + first])
        if near.shape[1] > count:
            kept = np.argpartition(near, -count, axis=1)[:, -count:]
            near, rows = np.take_along_axis(near, kept, 1), np.take_along_axis(rows, kept, 1)
        largest = max(largest, float(np.einsum("ij,ij->i", block, block).max()))
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
    # float32 squares may be a little off too.
    return rows, near.min(axis=1), error_bound(shards.dim, norms, 1.001 * largest**0.5)


def _settle(shards: Shards, vectors: np.ndarray, kth: np.ndarray, slack: np.ndarray, k: int) -> _Found:
    """The true best k of each vector, given an exact score `kth` that k passages reach.

    Every passage whose float32 score comes within `slack` of it is scored exactly.
    """
    rows = np.full((len(vectors), k), np.iinfo(np.int64).max)
    scores = np.full((len(vectors), k), -np.inf)
    for first, block in float_blocks(shards):
        owners, near = np.nonzero(vectors @ block.T >= (kth - slack)[:, None])
        exact = _pair_scores(block, near, vectors, owners)
        width = k + (int(np.bincount(owners).max()) if len(owners) else 0)
        more_rows = np.full((len(vectors), width), np.iinfo(np.int64).max)
        more_scores = np.full((len(vectors), width), -np.inf)
        more_rows[:, :k], more_scores[:, :k] = rows, scores
        # `owners` grow, so the place of a pair within its line is its number less that of the line's first.
        place = k + np.arange(len(owners)) - np.searchsorted(owners, owners)
        more_rows[owners, place], more_scores[owners, place] = near + first, exact
        rows, scores = best(more_rows, more_scores, k)
    return rows, scores


def _pair_scores(block: np.ndarray, rows: np.ndarray, vectors: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """float64 [pairs]: block[rows[i]] · vectors[owners[i]], both float32; see `pair_scores`."""
    scores = np.empty(len(rows))
    for part in _groups(np.arange(len(rows)), max(1, _NUMBERS_AT_ONCE // vectors.shape[1])):
        products = block[rows[part]].astype(np.float64)
        products *= vectors[owners[part]]
        scores[part] = products.sum(axis=1).astype(np.float32)
    return scores


def _groups(numbers: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
