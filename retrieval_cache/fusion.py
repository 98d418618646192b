"""Reciprocal rank fusion of two rankings.

Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and
individual rank learning methods", SIGIR 2009: score = Σ 1 / (60 + rank), rank
from 1, over the rankings that hold the passage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval_cache.ranking import NO_ROW, NO_SCORE
from retrieval_cache.records import Query

if TYPE_CHECKING:
    from retrieval_cache.retriever import Searcher


def reciprocal_ranks(rankings: Sequence[np.ndarray], k: int, rrf_k: float) -> tuple[np.ndarray, np.ndarray]:
    """Fuse rankings: the best k rows int32 [n, k] and their scores float32 [n, k].

    rankings: integers [n, depth] each, best first, NO_ROW where there is no hit
    (depths may differ). Ties go to the lower row; places left over hold NO_ROW and NaN.
    """
    rows = np.concatenate(rankings, axis=1).astype(np.int64)
    weights = np.concatenate([1.0 / (rrf_k + np.arange(1, ranking.shape[1] + 1)) for ranking in rankings])
    scores = np.where(rows == NO_ROW, 0.0, weights)
    # A stable sort by row keeps the order of the rankings, so sums do not depend on anything else.
    order = np.argsort(rows, axis=1, kind="stable")
    rows, scores = np.take_along_axis(rows, order, 1), np.take_along_axis(scores, order, 1)
    for place in range(rows.shape[1] - 1, 0, -1):
        same = rows[:, place] == rows[:, place - 1]
        scores[:, place - 1] += np.where(same, scores[:, place], 0.0)
        scores[same, place] = 0.0
    # float32 is what is stored: what is sorted must be the same.
    scores = scores.astype(np.float32)
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # stable: rows grow
    rows, scores = np.take_along_axis(rows, best, 1), np.take_along_axis(scores, best, 1)
    none = scores == 0
    found_rows = np.full((len(rows), k), NO_ROW, np.int32)
    found_scores = np.full((len(rows), k), NO_SCORE, np.float32)
    found_rows[:, : rows.shape[1]] = np.where(none, NO_ROW, rows)
    found_scores[:, : rows.shape[1]] = np.where(none, NO_SCORE, scores)
    return found_rows, found_scores


@dataclass(frozen=True)
class FusedSearcher:
    """Searches a sparse and a dense index and fuses `depth` passages of each (at least k)."""

    sparse: Searcher
    dense: Searcher
    rrf_k: float
    depth: int

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """rows int32 [n, k] and scores float32 [n, k]; row -1 with score NaN is no hit."""
        depth = max(self.depth, k)
        sparse_rows, sparse_scores = self.sparse.search(queries, depth)
        dense_rows, _ = self.dense.search(queries, depth)
        # A sparse score of 0 is a passage that no term speaks for, there to fill up.
        spoken_for = np.where(sparse_scores > 0, sparse_rows, NO_ROW)
        return reciprocal_ranks([spoken_for, dense_rows], k, self.rrf_k)
