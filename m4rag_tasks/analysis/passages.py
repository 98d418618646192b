"""What is known of the passages that questions were asked with, as arrays; without a loop per record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m4rag_tasks.intervals import Codes, Floats
from m4rag_tasks.metrics import RecordError

RELEVANT_GRADE = 4
"""From this grade on a passage counts as relevant: the two highest of the paper's five."""

UNKNOWN = -1
"""What a record does not say, in columns of whole numbers."""

Passages = Sequence[Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Shown:
    """One value of each array per question; the fields of `Columns` of the same names."""

    answer_rank: Codes
    grade_rank: Codes
    chosen_rank: Codes
    wrong_option: Codes
    best_rank: Codes
    grade: Floats


@dataclass(frozen=True)
class _Flat:
    """All passages of N questions in one row: whose each is, its rank from 1."""

    owner: Codes
    rank: Codes
    n: int

    def count(self, chosen: NDArray[np.bool_]) -> Codes:
        """How many of each question's passages are chosen."""
        return np.bincount(self.owner[chosen], minlength=self.n)

    def first(self, flags: NDArray[np.bool_]) -> Codes:
        """The lowest rank of each question whose flag holds; 0 where none does."""
        ranks = np.full(self.n, np.iinfo(np.intp).max)
        np.minimum.at(ranks, self.owner[flags], self.rank[flags])
        return np.where(ranks == np.iinfo(np.intp).max, 0, ranks)

    def known(self, values: Floats) -> NDArray[np.bool_]:
        """The questions that have passages, each of which has a value."""
        return (self.count(np.ones(len(values), dtype=bool)) > 0) & (self.count(np.isnan(values)) == 0)


def shown(passages: Passages, gold: Codes, prediction: Codes) -> Shown:
    """What the passages of N questions hold. They stand in the order of their ranks."""
    sizes = np.array([len(one) for one in passages], dtype=np.intp)
    starts = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(len(sizes)), sizes)
    flat = _Flat(owner, np.arange(len(owner)) - starts[owner] + 1, len(sizes))
    each = list(chain.from_iterable(passages))
    has_answer = floats([one.get("has_answer") for one in each])
    chosen_rank, wrong_option = _options(flat, [one.get("has_options") for one in each], gold, prediction)
    grades = floats([one.get("grade") for one in each])
    return Shown(
        answer_rank=np.where(flat.known(has_answer), flat.first(has_answer == 1), UNKNOWN),
        chosen_rank=chosen_rank,
        wrong_option=wrong_option,
        **_graded(flat, grades, sizes),
    )


def floats(values: Sequence[Any]) -> Floats:
    """Numbers as an array, None as nan. Raises `RecordError` for anything else."""
    try:
        return np.array(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise RecordError(f"a record holds something else where a number is expected: {error}") from None


def _graded(flat: _Flat, grades: Floats, sizes: Codes) -> Mapping[str, Any]:
    known = flat.known(grades)
    best = np.full(flat.n, -np.inf)
    np.fmax.at(best, flat.owner, grades)
    totals = np.bincount(flat.owner, weights=grades, minlength=flat.n)
    return {
        "grade_rank": np.where(known, flat.first(grades >= RELEVANT_GRADE), UNKNOWN),
        "best_rank": np.where(known, flat.first(grades == best[flat.owner]), UNKNOWN),
        "grade": np.where(known, totals / np.maximum(sizes, 1), np.nan),
    }


def _options(
    flat: _Flat, standing: Sequence[Sequence[int] | None], gold: Codes, prediction: Codes
) -> tuple[Codes, Codes]:
    """chosen_rank and wrong_option, from the numbers of the options that stand in each passage."""
    numbers = [one or () for one in standing]
    known = flat.known(np.array([np.nan if one is None else 0.0 for one in standing], dtype=float))
    place = np.repeat(np.arange(len(numbers)), [len(one) for one in numbers])
    option = np.array(list(chain.from_iterable(numbers)), dtype=np.intp)
    owner = flat.owner[place]
    wrong = np.bincount(owner[option != gold[owner]], minlength=flat.n) > 0
    holds = np.zeros(len(numbers), dtype=bool)
    holds[place[(option == prediction[owner]) & (option != gold[owner])]] = True
    return np.where(known, flat.first(holds), UNKNOWN), np.where(known, wrong, UNKNOWN)
