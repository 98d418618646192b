"""Agreement beyond chance between judges who grade the same passages, with intervals. Pure.

Fleiss' kappa (Fleiss 1971, "Measuring nominal scale agreement among many raters",
Psychological Bulletin 76(5), 378-382). N items, n judges each, n_ij of them give item i grade j:

    P_i = (sum_j n_ij^2 - n) / (n (n - 1))      p_j = sum_i n_ij / (N n)
    kappa = (mean P_i - sum_j p_j^2) / (1 - sum_j p_j^2)

Weighted kappa of two judges (Cohen 1968, "Weighted kappa: Nominal scale agreement with provision
for scaled disagreement or partial credit", Psychological Bulletin 70(4), 213-220). O_ij of N items
have grade i from the first and j from the second judge, with the margins O_i. and O_.j:

    kappa_w = 1 - sum_ij w_ij O_ij / sum_ij w_ij O_i. O_.j / N,    w_ij = (i - j)^2

Both are undefined, None here, where chance alone agrees always: all grades are the same.

Intervals are percentiles of a bootstrap that draws images with all their items, because the
passages of one question, and questions about one image, are not independent (Field & Welsh 2007,
"Bootstrapping clustered data", J. R. Stat. Soc. B 69(3), 369-390). There is none with fewer than
`FEWEST` images, or where more than one draw in twenty has no kappa.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from m4rag_tasks.grades import HIGHEST, LOWEST

Grades = NDArray[np.intp]
Floats = NDArray[np.float64]
Kappa = Callable[[Floats], Floats]

LEVELS = HIGHEST - LOWEST + 1
FEWEST = 5
"""Images below which a bootstrap says little: percentiles of so few are much too narrow."""
DRAWS = 2000

_LEVEL = 0.95
_UNDEFINED = 0.05
_AT_ONCE = 1 << 22  # numbers held together: draws × images


@dataclass(frozen=True)
class Agreement:
    """A kappa with its 95 % interval (None where there is none), over so many items about so many images."""

    value: float | None
    low: float | None
    high: float | None
    items: int
    images: int


def weighted_kappa(first: Grades, second: Grades, images: Grades, seed: int = 0, draws: int = DRAWS) -> Agreement:
    """Quadratic weighted kappa of two judges: grades from 1 to 5 and images from 0, one each an item."""
    tables = np.zeros((int(images.max()) + 1, LEVELS * LEVELS))
    np.add.at(tables, (images, (first - LOWEST) * LEVELS + second - LOWEST), 1)
    return _with_interval(tables, _weighted, len(first), seed, draws)


def fleiss_kappa(grades: Grades, images: Grades, seed: int = 0, draws: int = DRAWS) -> Agreement:
    """Fleiss' kappa of all judges: grades from 1 to 5 (items × judges, at least two), images from 0 an item."""
    counts = np.stack([(grades == level).sum(axis=1) for level in range(LOWEST, HIGHEST + 1)], axis=1)
    judges = grades.shape[1]
    agreeing = ((counts**2).sum(axis=1) - judges) / (judges * (judges - 1))
    # An image's share of the sums: items, agreement, and how often each grade was given.
    parts = np.zeros((int(images.max()) + 1, LEVELS + 2))
    np.add.at(parts, images, np.column_stack([np.ones(len(grades)), agreeing, counts]))
    return _with_interval(parts, _fleiss, len(grades), seed, draws)


def confusion(first: Grades, second: Grades) -> NDArray[np.intp]:
    """How many items have which grade from the first judge (row) and the second (column), from 1 to 5."""
    pairs = (first - LOWEST) * LEVELS + second - LOWEST
    return np.bincount(pairs, minlength=LEVELS * LEVELS).reshape(LEVELS, LEVELS)


def _weighted(tables: Floats) -> Floats:
    """Weighted kappa of each table (tables × 25)."""
    square = tables.reshape(-1, LEVELS, LEVELS)
    steps = np.arange(LEVELS)
    weights = (steps[:, None] - steps[None, :]) ** 2
    expected = np.einsum("ti,tj,ij->t", square.sum(axis=2), square.sum(axis=1), weights) / square.sum(axis=(1, 2))
    return _one_minus((square * weights).sum(axis=(1, 2)), expected)


def _fleiss(parts: Floats) -> Floats:
    """Fleiss' kappa of each row of sums (rows × items, agreement, grades given)."""
    given = parts[:, 2:] / parts[:, 2:].sum(axis=1, keepdims=True)
    by_chance = (given**2).sum(axis=1)
    return _one_minus(1 - parts[:, 1] / parts[:, 0], 1 - by_chance)


def _one_minus(observed: Floats, expected: Floats) -> Floats:
    """1 - observed / expected disagreement; NaN where none is expected."""
    possible = expected > 1e-12
    return np.where(possible, 1 - observed / np.where(possible, expected, 1), np.nan)


def _with_interval(parts: Floats, kappa: Kappa, items: int, seed: int, draws: int) -> Agreement:
    """The kappa of sums over images (images × parts), and its bootstrap interval."""
    present = parts[parts.any(axis=1)]
    (value,) = kappa(present.sum(axis=0, keepdims=True))
    images = len(present)
    if np.isnan(value):
        return Agreement(None, None, None, items, images)
    if images < FEWEST:
        return Agreement(float(value), None, None, items, images)
    drawn = kappa(_drawn(present, seed, draws))
    known = drawn[~np.isnan(drawn)]
    if len(known) < (1 - _UNDEFINED) * draws:
        return Agreement(float(value), None, None, items, images)
    low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Agreement(float(value), float(low), float(high), items, images)


def _drawn(parts: Floats, seed: int, draws: int) -> Floats:
    """Sums over as many images as there are, drawn with replacement, `draws` times."""
    generator = np.random.default_rng(seed)
    images = len(parts)
    block = max(1, _AT_ONCE // images)
    sizes = [min(block, draws - start) for start in range(0, draws, block)]
    even = np.full(images, 1 / images)
    return np.concatenate([generator.multinomial(images, even, size=size).astype(float) @ parts for size in sizes])
