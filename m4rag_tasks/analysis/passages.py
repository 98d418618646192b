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
    wrong_options: Floats
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


def shown(passages: Passages, gold: Codes, prediction: Codes, choices: Codes) -> Shown:
    """What the passages of N questions hold. They stand in the order of their ranks."""
    sizes = np.array([len(one) for one in passages], dtype=np.intp)
    starts = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(len(sizes)), sizes)
    flat = _Flat(owner, np.arange(len(owner)) - starts[owner] + 1, len(sizes))
    each = list(chain.from_iterable(passages))
    has_answer = floats([one.get("has_answer") for one in each])
    standing = _standing(flat, [one.get("has_options") for one in each])
    grades = floats([one.get("grade") for one in each])
    return Shown(
        answer_rank=np.where(flat.known(has_answer), flat.first(has_answer == 1), UNKNOWN),
        chosen_rank=_chosen_rank(flat, standing, gold, prediction),
        wrong_options=_wrong_options(standing, gold, choices),
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


@dataclass(frozen=True)
class _Standing:
    """Every option that stands in a passage: which passage, whose question, the option's number.

    known: the questions all of whose passages say which options stand in them.
    """

    passage: Codes
    owner: Codes
    option: Codes
    known: NDArray[np.bool_]


def _standing(flat: _Flat, numbers: Sequence[Sequence[int] | None]) -> _Standing:
    known = flat.known(np.array([np.nan if one is None else 0.0 for one in numbers], dtype=float))
    told = [one or () for one in numbers]
    passage = np.repeat(np.arange(len(told)), [len(one) for one in told])
    option = np.array(list(chain.from_iterable(told)), dtype=np.intp)
    return _Standing(passage, flat.owner[passage], option, known)


def _chosen_rank(flat: _Flat, standing: _Standing, gold: Codes, prediction: Codes) -> Codes:
    owner, option = standing.owner, standing.option
    holds = np.zeros(len(flat.owner), dtype=bool)
    holds[standing.passage[(option == prediction[owner]) & (option != gold[owner])]] = True
    return np.where(standing.known, flat.first(holds), UNKNOWN)


def _wrong_options(standing: _Standing, gold: Codes, choices: Codes) -> Floats:
    owner, option = standing.owner, standing.option
    wrong = (option != gold[owner]) & (option >= 1) & (option <= choices[owner])
    # The same option may stand in several passages of a question.
    most = int(choices.max(initial=0)) + 1
    different = np.unique(owner[wrong] * most + option[wrong]) // most
    there = np.bincount(different, minlength=len(gold))
    return np.where(standing.known & (choices > 1), there / np.maximum(choices - 1, 1), np.nan)
