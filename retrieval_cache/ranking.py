"""Choosing the best k, the same way everywhere."""

from __future__ import annotations

import numpy as np

NO_ROW = -1
"""Stands where there is no hit. Never an index: Python would read it as the last passage."""

NO_SCORE = np.float32("nan")
"""Score beside NO_ROW."""


def top_k(rows: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest scores with their rows (fewer if there are fewer); ties by lower row.

    rows: integers [n]; scores: floats [n]. Sorting n values is avoided, but all
    that tie with the k-th take part, so the order of the input has no influence.
    """
    if len(rows) > k:
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = scores >= threshold
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]
