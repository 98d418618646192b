"""Exact search by inner product over embeddings that are streamed from disk.

One pass over the index serves a whole block of queries. It keeps a few more
candidates than are wanted by float32 scores; these candidates are scored again
in float64 in a fixed order. What float32 may get wrong is bounded, so it is
known whether a passage that was left out could belong to the best k. Only
where it could, which takes many passages that (almost) tie, a second pass looks
at every passage that comes near. So rankings are the same for every block size,
thread count and device, and ties go to the lower row.

Where the CPU has 8-bit products, a first pass through these leaves so few pairs
that each is scored exactly at once (`first_pass`); rankings are the same again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import numpy as np

from retrieval_cache.dense.nearest import error_bound, nearest
from retrieval_cache.dense.shards import SHARD_ROWS, Shards, unpack
from retrieval_cache.device import has_int8_products
from retrieval_cache.ranking import NO_ROW, NO_SCORE

SPARE = 16
"""Candidates beyond k: room for what float32 gets wrong."""

BLOCK_BYTES = 64 << 20
"""Size of a block in float32; with the two buffers it is read into, a search holds twice that."""

_NUMBERS_AT_ONCE = 1 << 21  # float64 numbers that are multiplied at a time: 16 MiB an array
_SCORES_AT_ONCE = 1 << 22  # float32 scores of the second pass: 16 MiB

WORTH_NARROWING = 1 << 36
"""Multiplications of a search that a first pass saves more time in than torch takes to import."""

_FEW, _FEW_OF_ALL = 64, 1 / 16  # pairs that 8 bits may leave: times k for each vector, and of all pairs looked at

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
        much = len(vectors) * len(shards) * shards.dim >= WORTH_NARROWING
        narrowed = _narrowed(shards, vectors, k) if much and device == "cpu" and has_int8_products() else None
        rows, scores = narrowed or _plain(shards, vectors, k, device)
        all_rows[asked, : rows.shape[1]] = rows
        all_scores[asked, : scores.shape[1]] = scores
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
        sorted_scores[part] = _packed_scores(block, wanted[part] - first, vectors, owners[part])
    scores = np.empty(len(flat))
    scores[order] = sorted_scores
    return scores.reshape(rows.shape)


def best(rows: np.ndarray, scores: np.ndarray, k: int) -> _Found:
    """The k highest of each line of scores [n, c] with their rows [n, c]; ties by lower row."""
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)


def _plain(shards: Shards, vectors: np.ndarray, k: int, device: str) -> _Found:
    """The best k by way of the float32 scores of all pairs; all rows where there are fewer."""
    rows, near, slack = _candidates(shards, vectors, min(len(shards), k + SPARE), device)
    found = best(rows, pair_scores(shards, vectors, rows), k)
    if rows.shape[1] < len(shards):
        # Nothing left out has a float32 score above `near`, nor a true one above `near + slack`.
        unsure = np.flatnonzero(found[1][:, -1] <= near + slack)
        for group in _groups(unsure, max(1, _SCORES_AT_ONCE // block_rows(shards.dim))):
            settled = _settle(shards, vectors[group], found[1][group, -1], slack[group], k)
            found[0][group], found[1][group] = settled
    return found


def _narrowed(shards: Shards, vectors: np.ndarray, k: int) -> _Found | None:
    """As `_plain`, where 8-bit products leave few pairs; None where they leave many.

    In the first shard float32 scores find k passages to begin with; also None where it holds fewer.
    """
    from retrieval_cache.dense.first_pass import FirstPass, products_are_right

    if not products_are_right():
        return None
    found, looked_at, again = _nothing(len(vectors), k), 0, 0
    with closing(FirstPass(vectors)) as first_pass:
        for first, block in shards.blocks(SHARD_ROWS):
            if not first:
                if len(block) < k:
                    return None
                reached = _kth(unpack(block), vectors, k)
            owners, near, many = first_pass(block, np.maximum(reached, found[1][:, -1]))
            looked_at, again = looked_at + len(block), again + many
            if again > len(vectors) * (_FEW * k + looked_at * _FEW_OF_ALL):
                return None
            _add(found, owners, near + first, _packed_scores(block, near, vectors, owners))
    return found


def _kth(block: np.ndarray, vectors: np.ndarray, k: int) -> np.ndarray:
    """An exact score that k passages of a block reach, for each vector: float64 [n]."""
    rows = nearest(vectors, "cpu")(block, k)[1].ravel()
    scores = _pair_scores(block, rows, vectors, np.repeat(np.arange(len(vectors)), k))
    scores[rows < 0] = -np.inf  # nothing is found where float32 overflows
    return scores.reshape(-1, k).min(axis=1)


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
    found = _nothing(len(vectors), k)
    for first, block in float_blocks(shards):
        owners, near = np.nonzero(vectors @ block.T >= (kth - slack)[:, None])
        _add(found, owners, near + first, _pair_scores(block, near, vectors, owners))
    return found


def _nothing(count: int, k: int) -> _Found:
    return np.full((count, k), np.iinfo(np.int64).max), np.full((count, k), -np.inf)


def _add(found: _Found, owners: np.ndarray, rows: np.ndarray, scores: np.ndarray) -> None:
    """Let pairs, ordered by their owners, take their places among the best k found."""
    changed, starts, counts = np.unique(owners, return_index=True, return_counts=True)
    if not len(changed):
        return
    k = found[0].shape[1]
    more_rows, more_scores = _nothing(len(changed), k + int(counts.max()))
    more_rows[:, :k], more_scores[:, :k] = found[0][changed], found[1][changed]
    line = np.repeat(np.arange(len(changed)), counts)
    place = k + np.arange(len(owners)) - starts[line]
    more_rows[line, place], more_scores[line, place] = rows, scores
    found[0][changed], found[1][changed] = best(more_rows, more_scores, k)


def _packed_scores(packed: np.ndarray, rows: np.ndarray, vectors: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """`_pair_scores` of a packed block: few of its passages are candidates, each of some queries."""
    rows, places = np.unique(rows, return_inverse=True)
    return _pair_scores(unpack(packed[rows]), places, vectors, owners)


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
