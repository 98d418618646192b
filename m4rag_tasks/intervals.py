"""Intervals and p values for means of records that share images.

The interval. A figure is a weighted mean of values (0 or 1; differences -1, 0
or 1). With the strata s (languages of a macro mean; one stratum otherwise), S of
them, value y_i of record i in stratum s(i) of size n_s, the figure is
m = (1/S) sum_s ybar_s and

    psi_i = (y_i - ybar_s(i)) / (S n_s(i))                 influence of a record
    V     = c * sum_g (sum_{i in g} psi_i)^2               g: the images
    c     = G/(G-1) * (N-1)/(N-S)                          CR1, G images, N records

    m -/+ t(0.975; G-1) sqrt(V), cut to the range of the figure
    p = 2 P(T > |m|/sqrt(V)), T ~ t(G-1)

Sources: Cameron & Miller (2015), "A Practitioner's Guide to Cluster-Robust
Inference", J. Human Resources 50(2), 317-372 (the sandwich, c, and t with G-1
degrees of freedom); Miller (2024), "Adding Error Bars to Evals",
arXiv:2411.00640 (the same sandwich, without c, for evaluations). The image is
the cluster, not the question: the same image is asked about in every language.

Strata that show no spread. A language with one record has no spread of its own:
its record is set against m instead of ybar_s, and all such languages count as
one stratum in c (Lumley's R package `survey`, option survey.lonely.psu =
"adjust"). Where V is 0 all the same although the values vary (each language
constant, but not all alike), every record is set against m, with S = 1 in c; for
languages of equal size that is the sandwich without strata.

No spread at all. V is still 0 when all values are equal, and when each image
has the same mix of them. The sandwich would claim certainty. Then the interval is
Wilson's (1927, JASA 22, 209-212) with n = G, each image counted as one draw,
which is the cautious reading, and p is the sign test's over the images:
2 * 0.5^G, for they all differ in one direction, or 1 where m is 0.

One image alone allows neither interval nor p value: None.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_LEVEL = 0.95
# Influence values are differences of means: what is left of equal values is rounding.
_ZERO = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval (None where none can be given).

    n counts the scored records, clusters their images, failed the records left out.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    clusters: int
    failed: int = 0


def estimate(values: Floats, images: Codes, strata: Codes | None = None, low: float = 0.0, failed: int = 0) -> Estimate:
    """The mean of at least one value, a figure in [low, 1], with its interval. Images and strata count from 0."""
    mean, error = _mean_and_error(values, images, strata)
    g = int(images.max()) + 1
    if error is None:
        return Estimate(mean, None, None, len(values), g, failed)
    if error < _ZERO:
        ends = _wilson(mean, g) if low == 0.0 else _signed_wilson(mean, g)
    else:
        reach = float(stdtrit(g - 1, (1 + _LEVEL) / 2)) * error
        ends = mean - reach, mean + reach
    return Estimate(mean, max(low, ends[0]), min(1.0, ends[1]), len(values), g, failed)


def p_value(delta: Floats, images: Codes, strata: Codes | None = None) -> float | None:
    """Two-sided p of the mean of the differences being 0; None with one image."""
    mean, error = _mean_and_error(delta, images, strata)
    if error is None:
        return None
    g = int(images.max()) + 1
    if error < _ZERO:
        return 1.0 if abs(mean) < _ZERO else 2 * 0.5**g
    return 2 * float(stdtr(g - 1, -abs(mean) / error))


def _mean_and_error(values: Floats, images: Codes, strata: Codes | None) -> tuple[float, float | None]:
    """m and sqrt(V) of the module's head, or None for sqrt(V) with one image."""
    where = np.zeros(len(values), dtype=np.intp) if strata is None else strata
    sizes = np.bincount(where)
    means = np.bincount(where, weights=values) / sizes
    weights = 1 / (len(sizes) * sizes[where])
    mean = float(means.mean())
    if int(images.max()) == 0:
        return mean, None
    lone = sizes == 1
    centres = np.where(lone, mean, means)[where]
    error = _standard_error(weights * (values - centres), images, int((~lone).sum() + lone.any()))
    if error < _ZERO:
        error = _standard_error(weights * (values - mean), images, strata=1)
    return mean, error


def _standard_error(psi: Floats, images: Codes, strata: int) -> float:
    """sqrt(V) for influence values psi."""
    sums = np.bincount(images, weights=psi)
    g, n = len(sums), len(psi)
    correction_factor = g / (g - 1) * (n - 1) / max(n - strata, 1)
    return math.sqrt(correction_factor * float(sums @ sums))


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Wilson score interval: (p + z²/2n -/+ z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)."""
    z = float(ndtri((1 + _LEVEL) / 2))
    centre = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # p lies inside by construction; rounding must not put it outside.
    return min(share, (centre - reach) / (1 + z * z / n)), max(share, (centre + reach) / (1 + z * z / n))


def _signed_wilson(difference: float, n: int) -> tuple[float, float]:
    """Wilson for the share of images that differ, in the direction they do; both ways when none does."""
    low, high = _wilson(min(1.0, abs(difference)), n)
    if abs(difference) < _ZERO:
        return -high, high
    return (low, high) if difference > 0 else (-high, -low)
