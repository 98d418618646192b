"""Does the place matter: of the right option among the options, of the answer among the passages?

Bias of predictions to positions. Question i has c_i options, the right one at g_i, the prediction at p_i, and
a is the share of right ones among valid predictions. A model without bias is right with chance a wherever the
right option stands, and its errors spread evenly over the other options, so that position j is predicted with

    e_ij = a [g_i = j] + (1 - a) [g_i ≠ j] / (c_i - 1)        (j ≤ c_i)

m_j = mean_i ([p_i = j] - e_ij) is the bias; under no bias all m_j are 0. They are tested together by

    X² = m' V⁻ m,   F = X² (G - q) / (q (G - 1)) ~ F(q, G - q)        (Hotelling)

with V the covariance of m over images, from the influence of each image (a is estimated too), V⁻ its
pseudo-inverse, q its rank (one less than the number of positions, for the m_j sum to 0), G images. With one
question an image X² is a chi-square test of the predicted positions in Wald's form.

Sources: Zheng et al. (2024), "Large Language Models Are Not Robust Multiple Choice Selectors", ICLR,
arXiv:2309.03882 (the bias); Thomas & Rao (1987), "Small-Sample Comparisons of Level and Power for Simple
Goodness-of-Fit Statistics Under Cluster Sampling", JASA 82(398), 630-636 (Wald's test over clusters and its F).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from m4rag_tasks import metrics
from m4rag_tasks.analysis.columns import Columns, dense, paired
from m4rag_tasks.analysis.passages import UNKNOWN
from m4rag_tasks.analysis.retained import rank_masks, rank_of, share
from m4rag_tasks.intervals import Codes, Floats
from m4rag_tasks.metrics import Difference, Estimate, NoRecordsError

_SMALL = 1e-10


@dataclass(frozen=True)
class Position:
    """One place among the options, from 1.

    gold: questions whose right option stands there; accuracy: how often these are right (None without any).
    predicted: how often it was chosen; expected: how often it would be by a model without bias.
    """

    position: int
    gold: int
    accuracy: Estimate | None
    predicted: int
    expected: float


@dataclass(frozen=True)
class Positions:
    """Positions 1 to the most options; the test that predictions have no bias to any.

    chi2, p_value: None with too few images. freedom: q. invalid: answers without a prediction, which only count
    in the accuracies.
    """

    rows: tuple[Position, ...]
    chi2: float | None
    freedom: int
    p_value: float | None
    invalid: int


@dataclass(frozen=True)
class PassagePosition:
    """Questions whose first relevant passage has this rank ("none": there is none); gain: against no retrieval."""

    rank: str
    questions: int
    accuracy: Estimate
    gain: Difference | None


def answer_positions(run: Columns) -> Positions:
    """Accuracy and predictions by the position of the right option, of multiple-choice questions.

    Raises `NoRecordsError` where no scored question has options and a valid prediction.
    """
    asked = run.take(run.scored & (run.gold > 0) & (run.choices > 1))
    valid = (asked.prediction > 0) & (asked.prediction <= asked.choices)
    if not valid.any():
        raise NoRecordsError("no scored question has options and a valid prediction")
    images, right = asked.images, asked.score == 1
    chosen, expected, test = _bias(asked.take(valid))
    rows = tuple(
        Position(
            place + 1,
            gold=int((asked.gold == place + 1).sum()),
            accuracy=share(right, asked.gold == place + 1, images),
            predicted=int(chosen[place]),
            expected=float(expected[place]),
        )
        for place in range(len(chosen))
    )
    return Positions(rows, *test, invalid=int((~valid).sum()))


def passage_positions(
    with_: Columns, without: Columns | None = None, by: str = "answer"
) -> tuple[PassagePosition, ...]:
    """Accuracy by the rank of the first passage that has the answer (`by` "grade": that is graded 4 or more).

    With the run without retrieval, also what each rank gained. Raises as `paired`, and `NoRecordsError` where no
    record says.
    """
    pair = paired(with_, with_ if without is None else without)
    run = pair.runs[0]
    if (rank_of(run, by) == UNKNOWN).all():
        raise NoRecordsError(f"no scored question tells at which rank a relevant passage stands, by {by}")
    found = []
    for name, inside in rank_masks(rank_of(run, by)):
        accuracy = share(pair.scores[0], inside, pair.images)
        if accuracy is not None:
            delta = pair.scores[0][inside] - pair.scores[1][inside]
            gain = None if without is None else metrics.difference(delta, dense(pair.images[inside]))
            found.append(PassagePosition(name, int(inside.sum()), accuracy, gain))
    return tuple(found)


_Test = tuple[float | None, int, float | None]


def _bias(run: Columns) -> tuple[Codes, Floats, _Test]:
    """Predicted and expected counts by position, and the test, over questions with valid predictions."""
    places = np.arange(1, int(run.choices.max()) + 1)
    chosen = (run.prediction[:, None] == places).astype(float)
    gold = (run.gold[:, None] == places).astype(float)
    other = ((run.choices[:, None] >= places) & (gold == 0)) / (run.choices[:, None] - 1)
    right = (run.prediction == run.gold).astype(float)
    accuracy = right.mean()
    tilt = gold - other
    expected = other + accuracy * tilt
    bias = (chosen - expected).mean(axis=0)
    influence = chosen - expected - bias - (right - accuracy)[:, None] * tilt.mean(axis=0)
    return chosen.sum(axis=0).astype(np.intp), expected.sum(axis=0), _wald(bias, influence, run.images)


def _wald(bias: Floats, influence: Floats, images: Codes) -> _Test:
    """X², q and the p value of the mean `bias` of influences N × positions being 0 everywhere."""
    g, n = int(images.max()) + 1, len(images)
    sums = np.stack([np.bincount(images, weights=column) for column in influence.T], axis=1) / n
    covariance: NDArray[np.float64] = sums.T @ sums * (g / max(g - 1, 1))
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _SMALL * max(float(values.max()), _SMALL)
    q = int(kept.sum())
    if q == 0 or g - q < 1:
        return None, q, None
    statistic = float(np.sum((vectors.T[kept] @ bias) ** 2 / values[kept]))
    return statistic, q, float(fdtrc(q, g - q, statistic * (g - q) / (q * (g - 1))))
