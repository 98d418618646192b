"""The nearest vectors of one block by float32 inner products, on the CPU or a GPU.

Both add in an order of their own, so their scores are only near the truth:
within `error_bound`. That is why TensorFloat-32, which is coarser, stays off.
"""

from __future__ import annotations

from typing import Protocol

import faiss
import numpy as np

_SCORES_AT_ONCE = 1 << 26  # float32 scores that a GPU holds at a time: 256 MiB


class Nearest(Protocol):
    """Called with a block, float32 [m, dim], and a count of at most m.

    Gives scores float32 [n, count] and rows int64 [n, count] within the block
    for the n vectors it was made for, in no particular order.
    """

    def __call__(self, block: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]: ...


def error_bound(dim: int, query_norms: np.ndarray, largest_norm: float) -> np.ndarray:
    """How far a float32 inner product may be off, for each query: float64 [n].

    Whatever the order of adding, |error| ≤ γ |q| |v| with γ = d u / (1 - d u)
    and u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical Algorithms, 3.1);
    two more u are for rounding the exact score to float32, the last term is
    for products too small for float32.
    """
    unit = (dim + 2) * 2.0**-24
    return unit / (1 - unit) * query_norms * largest_norm + dim * float(np.finfo(np.float32).tiny)


def nearest(vectors: np.ndarray, device: str) -> Nearest:
    """A function that finds the nearest vectors of a block for each of `vectors`, float32 [n, dim]."""
    if device == "cpu":
        return lambda block, count: faiss.knn(vectors, block, count, metric=faiss.METRIC_INNER_PRODUCT)
    return _Torch(vectors, device)


class _Torch:
    """`Nearest` through torch; any of its devices."""

    def __init__(self, vectors: np.ndarray, device: str) -> None:
        import torch

        self._torch = torch
        self._vectors = torch.from_numpy(np.ascontiguousarray(vectors)).to(device)

    def __call__(self, block: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        torch = self._torch
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            columns = torch.from_numpy(block).to(self._vectors.device).T
            at_once = max(1, _SCORES_AT_ONCE // len(block))
            parts = [torch.topk(part @ columns, count, sorted=False) for part in self._vectors.split(at_once)]
        finally:
            torch.set_float32_matmul_precision(before)
        scores, rows = (torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True))
        return scores, rows
