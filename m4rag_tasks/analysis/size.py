"""What retrieval gains against the size of the model (the paper's RQ2).

Model m has x_m = log10 of its parameters and the gain y_m (macro, paired; with the oracle context in place of
retrieval the same gives the oracle gap). All models answer the same questions, so their gains err together: S is
the covariance of the y over images, from the influences psi_mg of image g on y_m (`intervals`, CR1),

    S = G/(G-1) (N-1)/(N-L) sum_g psi_g psi_g'         G images, N questions, L varieties

Beside that, models differ for reasons other than size, with variance t²: V = S + t² I. The line is

    y = a + b x,    (a, b)' = (X' V⁻¹ X)⁻¹ X' V⁻¹ y

weighted least squares over models, with t² such that the weighted squares of the residuals are what they should be,
r' V⁻¹ r = M - 2 (Paule & Mandel), or 0 where they are less already. The interval of the slope is Knapp & Hartung's:

    q = r' V⁻¹ r / (M - 2),    b -/+ t(0.975; M - 2) sqrt(q [(X' V⁻¹ X)⁻¹]_bb)

It takes the M models as a sample of models. The second interval takes them as they are and only the images as a
sample: w' S w with w the weights that b gives the y, t with G - 1. It is the one to read for "do these models
differ", the first for "does size matter". At least three sizes are needed.

Sources: Paule & Mandel (1982), "Consensus Values and Weighting Factors", J. Res. NBS 87(5), 377-385; Knapp & Hartung
(2003), "Improved Tests for a Random Effects Meta-Regression with a Single Covariate", Stat. Med. 22(17), 2693-2710.
For errors that go together: Berkey et al. (1998), "Meta-Analysis of Multiple Outcomes by Regression with Random
Effects", Stat. Med. 17(22), 2537-2550.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from m4rag_tasks import metrics
from m4rag_tasks.analysis.columns import Columns, Paired, paired
from m4rag_tasks.analysis.model_size import ModelSize
from m4rag_tasks.errors import RunError
from m4rag_tasks.intervals import Floats
from m4rag_tasks.metrics import Difference

Matrix = NDArray[np.float64]

FEWEST_SIZES = 3
_LINE_POINTS = 41
# Eigenvalues of S below this share of the largest are rounding.
_FLOOR = 1e-9


@dataclass(frozen=True)
class SizePoint:
    """One model: what it gained, with the paired interval clustered by image."""

    model: str
    size: ModelSize
    gain: Difference


@dataclass(frozen=True)
class Slope:
    """Change of the gain for ten times the parameters, in points of accuracy (0 to 1).

    low, high, p_value: models as a sample; low_given, high_given: these models, images as a sample. spread: t,
    standard deviation of models about the line beyond what their questions explain. models: M.
    """

    value: float
    low: float
    high: float
    p_value: float
    low_given: float
    high_given: float
    intercept: float
    spread: float
    models: int


@dataclass(frozen=True)
class SizeEffect:
    """Gains in the order of sizes, and the line where there is one; problem says why there is none.

    active: whether sizes are the active parameters. line: (billions, gain, low, high) from the smallest to the
    largest model, with the 95 % band of the line. left_out: models without a known size. problems: models that
    were asked other questions than the rest. languages: the varieties that all models were asked in.
    """

    points: tuple[SizePoint, ...]
    slope: Slope | None
    line: tuple[tuple[float, float, float, float], ...] = ()
    active: bool = False
    left_out: tuple[str, ...] = ()
    problem: str | None = None
    problems: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


def size_effect(
    runs: Mapping[str, tuple[Columns, Columns]], sizes: Mapping[str, ModelSize | None], active: bool = False
) -> SizeEffect:
    """Gain of the second run of each model over its first, against size.

    `runs` by model: without retrieval and with it, or with it and with the oracle context (the oracle gap). All
    are cut to the varieties that every run holds. Models that cannot be set beside the others are named.
    """
    known: dict[str, ModelSize] = {model: size for model in runs if (size := sizes.get(model)) is not None}
    left_out = tuple(model for model in runs if model not in known)
    usable, problems = _of_the_same_questions({model: runs[model] for model in known})
    models = sorted(usable, key=lambda model: (_billions(known[model], active), model))
    nothing = SizeEffect((), None, (), active, left_out, problems=problems)
    if not models:
        return replace(nothing, problem="there is no model of known size with two runs of the same questions")
    try:
        together = paired(*(run for model in models for run in runs[model]))
    except RunError as error:
        return replace(nothing, problem=str(error))
    gains = together.scores[1::2] - together.scores[::2]
    points = tuple(
        SizePoint(model, known[model], metrics.difference(gain, together.images, together.strata, together.failed))
        for model, gain in zip(models, gains, strict=True)
    )
    x = np.log10([_billions(known[model], active) for model in models])
    y = np.array([point.gain.estimate.value for point in points])
    covariance = _covariance(gains, together)
    images = int(together.images.max()) + 1
    found = replace(nothing, points=points, languages=together.languages)
    if problem := _problem(x, covariance, images):
        return replace(found, problem=problem)
    slope, line = _fit(x, y, covariance, images)
    return replace(found, slope=slope, line=line)


def _of_the_same_questions(runs: Mapping[str, tuple[Columns, Columns]]) -> tuple[list[str], tuple[str, ...]]:
    """The models whose questions are those of the model that was asked most, and why the others are not among them."""
    usable: list[str] = []
    problems: list[str] = []
    reference: tuple[Columns, ...] = ()
    for model in sorted(runs, key=lambda model: -len(runs[model][0])):
        try:
            paired(*reference, *runs[model])
        except RunError as error:
            problems.append(f"{model}: {error}")
            continue
        usable.append(model)
        reference = reference or runs[model]
    return usable, tuple(problems)


def _billions(size: ModelSize, active: bool) -> float:
    return size.active if active else size.total


def _problem(x: Floats, covariance: Matrix, images: int) -> str | None:
    if (distinct := len(np.unique(x))) < FEWEST_SIZES:
        return f"a line needs models of at least {FEWEST_SIZES} sizes; there are {distinct}"
    if images <= len(x):
        return f"{images} images are too few to tell how the gains of {len(x)} models go together"
    if not covariance.any():
        return "the gains do not vary between images"
    return None


def _covariance(gains: Floats, together: Paired) -> Matrix:
    """S: of the M macro means of `gains` (M × N)."""
    strata, images = together.strata, together.images
    sizes = np.bincount(strata).astype(float)
    n, g, s = len(strata), int(images.max()) + 1, len(sizes)
    sums = []
    for gain in gains:
        means = np.bincount(strata, weights=gain) / sizes
        sums.append(np.bincount(images, weights=(gain - means[strata]) / (s * sizes[strata])))
    psi = np.array(sums)
    return psi @ psi.T * (g / max(g - 1, 1)) * ((n - 1) / max(n - s, 1))


@dataclass(frozen=True)
class _Weighted:
    """The line under one V: coefficients (a, b), their covariance up to q, what b gives each y, r' V⁻¹ r."""

    coefficients: Floats
    covariance: Matrix
    weights: Floats
    squares: float


def _weighted(x: Floats, y: Floats, values: Floats, vectors: Matrix, between: float) -> _Weighted:
    """The fit under V = S + between I, S by its eigenvalues and eigenvectors."""
    inverse = (vectors / (values + between)) @ vectors.T
    design = np.stack([np.ones_like(x), x], axis=1)
    covariance = np.linalg.inv(design.T @ inverse @ design)
    solver = covariance @ design.T @ inverse
    coefficients = solver @ y
    residuals = y - design @ coefficients
    return _Weighted(coefficients, covariance, solver[1], float(residuals @ inverse @ residuals))


def _fit(x: Floats, y: Floats, covariance: Matrix, images: int) -> tuple[Slope, tuple[tuple[float, ...], ...]]:
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, _FLOOR * float(values.max()))
    freedom = len(x) - 2
    between = _between(x, y, values, vectors, freedom)
    fit = _weighted(x, y, values, vectors, between)
    scaled = fit.squares / freedom * fit.covariance
    error, given = math.sqrt(scaled[1, 1]), math.sqrt(float(fit.weights @ covariance @ fit.weights))
    value, t = float(fit.coefficients[1]), float(stdtrit(freedom, 0.975))
    reach = float(stdtrit(images - 1, 0.975)) * given
    slope = Slope(
        value,
        low=value - t * error,
        high=value + t * error,
        p_value=2 * float(stdtr(freedom, -abs(value) / error)) if error else float(value == 0),
        low_given=value - reach,
        high_given=value + reach,
        intercept=float(fit.coefficients[0]),
        spread=math.sqrt(between),
        models=len(x),
    )
    return slope, _line(x, fit.coefficients, scaled, t)


def _between(x: Floats, y: Floats, values: Floats, vectors: Matrix, freedom: int) -> float:
    """t² by Paule and Mandel: r' V⁻¹ r falls as t² rises, so there is one or it is 0."""

    def excess(between: float) -> float:
        return _weighted(x, y, values, vectors, between).squares - freedom

    if excess(0.0) <= 0:
        return 0.0
    # Under V ≥ t² I the squares are at most those of the plain residuals by t².
    most = float(((y - y.mean()) ** 2).sum()) / freedom
    return float(brentq(excess, 0.0, most + float(values.max()), xtol=1e-12))


def _line(x: Floats, coefficients: Floats, covariance: Matrix, t: float) -> tuple[tuple[float, ...], ...]:
    places = np.linspace(x.min(), x.max(), _LINE_POINTS)
    design = np.stack([np.ones_like(places), places], axis=1)
    gains = design @ coefficients
    reach = t * np.sqrt(np.einsum("ij,jk,ik->i", design, covariance, design))
    return tuple(map(tuple, np.stack([10**places, gains, gains - reach, gains + reach], axis=1).tolist()))
