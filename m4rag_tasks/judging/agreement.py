"""How far judges agree, with each other and with people: by pair and all together, by language. Pure.

An item is a passage for a question. What is compared is every item that both judges (for Fleiss'
kappa: all judges) graded. People's files rarely say the language or the image: these are taken
from the other grades of the same question; where none knows the image, the question stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from m4rag_tasks.errors import GradesError
from m4rag_tasks.grades import Grade, by_judge
from m4rag_tasks.judging.kappa import DRAWS, Agreement, Grades, confusion, fleiss_kappa, weighted_kappa

ALL = "all"
UNKNOWN = "not known"

Item = tuple[str, str]  # question id, passage id
Progress = Callable[[list[Any]], Iterable[Any]]

_NOTHING = Agreement(None, None, None, 0, 0)


@dataclass(frozen=True)
class PairAgreement:
    """Two judges on the items that both graded in a language, or `ALL`.

    `equal` and `near` are the shares of items with the same grade, and at most one grade apart;
    `means` the mean grade of each; `confusion[i][j]` counts the items with grade i + 1 from the
    first judge and j + 1 from the second. Without items the figures are None.
    """

    first: str
    second: str
    language: str
    kappa: Agreement
    equal: float | None
    near: float | None
    means: tuple[float, float] | None
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class AgreementOfAll:
    """Fleiss' kappa of all judges, on the items that all of them graded in a language, or `ALL`."""

    language: str
    kappa: Agreement


@dataclass(frozen=True)
class JudgeFacts:
    """One judge's grades: how many, how many answers named none, and how many items it graded differently again."""

    judge: str
    graded: int
    invalid: int
    contradicted: int


@dataclass(frozen=True)
class AgreementReport:
    """Everything `m4rag judge agreement` shows; kappas by language, `ALL` first."""

    judges: tuple[JudgeFacts, ...]
    pairs: tuple[PairAgreement, ...]
    fleiss: tuple[AgreementOfAll, ...]


def agreement(grades: Sequence[Grade], seed: int = 0, draws: int = DRAWS, progress: Progress = iter) -> AgreementReport:
    """Compare all judges. Raises `GradesError` where there are fewer than two, or no two graded the same item.

    `progress` is put around the list of what takes long, as `tqdm` is.
    """
    named = by_judge(grades)
    if len(named) < 2:
        raise GradesError(
            f"Agreement needs two judges, and these grades are of one: {''.join(named)}. Name further grades files."
        )
    given = {judge: _first_grades(own) for judge, own in named.items()}
    _check_same_texts(grades)
    table = _Table(grades)
    work = [
        (judges, language, items)
        for judges in [(), *combinations(given, 2)]
        for language, items in table.parts([given[judge] for judge in judges or given])
    ]
    fleiss: list[AgreementOfAll] = []
    pairs: list[PairAgreement] = []
    for judges, language, items in progress(work):
        graded = _array([given[judge] for judge in judges or given], items)
        images = table.images(items)
        if judges:
            pairs.append(_of_two(*judges, language, graded, images, seed, draws))
        else:
            kappa = fleiss_kappa(graded, images, seed, draws) if items else _NOTHING
            fleiss.append(AgreementOfAll(language, kappa))
    if not any(pair.kappa.items for pair in pairs):
        raise GradesError(
            "No two judges graded the same passage for the same question. Check that the ids are of one data set "
            "and of one retrieval cache."
        )
    return AgreementReport(tuple(_facts(*judge) for judge in named.items()), tuple(pairs), tuple(fleiss))


def _check_same_texts(grades: Iterable[Grade]) -> None:
    """Raise `GradesError` if one passage id stands for several texts."""
    found: dict[Item, str] = {}
    for grade in grades:
        key = grade.passages_key
        if key and (first := found.setdefault((grade.question_id, grade.passage_id), key)) != key:
            raise GradesError(
                f"Passage {grade.passage_id} for question {grade.question_id} was graded in two corpora or cuts "
                f"(passages_key {first[:12]} and {key[:12]}), where it may be other texts. Compare grades of one."
            )


class _Table:
    """What is known of questions, from all grades: language and image."""

    def __init__(self, grades: Iterable[Grade]) -> None:
        self._languages: dict[str, str] = {}
        self._images: dict[str, tuple[str | None, str]] = {}
        for grade in grades:
            if grade.language:
                self._languages.setdefault(grade.question_id, grade.language)
            if grade.image_id:
                self._images.setdefault(grade.question_id, (grade.dataset, grade.image_id))

    def parts(self, given: Sequence[Mapping[Item, int]]) -> list[tuple[str, list[Item]]]:
        """The items that all of these judges graded: all of them, then each language's, in alphabetical order."""
        first, *others = given
        common = [item for item in first if all(item in other for other in others)]
        by_language: dict[str, list[Item]] = {}
        for item in common:
            by_language.setdefault(self._languages.get(item[0], UNKNOWN), []).append(item)
        return [(ALL, common), *sorted(by_language.items())]

    def images(self, items: Sequence[Item]) -> Grades:
        """The number of each item's image."""
        numbers: dict[tuple[str | None, str], int] = {}
        return np.array(
            [numbers.setdefault(self._images.get(item[0], (None, item[0])), len(numbers)) for item in items],
            dtype=np.intp,
        )


def _first_grades(grades: Iterable[Grade]) -> dict[Item, int]:
    """One judge's grade of each item: its first, where it graded the item in several settings."""
    found: dict[Item, int] = {}
    for grade in grades:
        if grade.grade is not None:
            found.setdefault((grade.question_id, grade.passage_id), grade.grade)
    return found


def _facts(judge: str, grades: Sequence[Grade]) -> JudgeFacts:
    given: dict[Item, set[int]] = {}
    for grade in grades:
        if grade.grade is not None:
            given.setdefault((grade.question_id, grade.passage_id), set()).add(grade.grade)
    invalid = sum(grade.grade is None for grade in grades)
    return JudgeFacts(judge, len(given), invalid, sum(len(values) > 1 for values in given.values()))


def _array(given: Sequence[Mapping[Item, int]], items: Sequence[Item]) -> Grades:
    """Grades of items (rows) by judges (columns)."""
    return np.array([[own[item] for own in given] for item in items], dtype=np.intp).reshape(-1, len(given))


def _of_two(
    one: str, other: str, language: str, graded: Grades, images: Grades, seed: int, draws: int
) -> PairAgreement:
    if not len(graded):
        return PairAgreement(one, other, language, _NOTHING, None, None, None, ())
    first, second = graded.T
    apart = np.abs(first - second)
    return PairAgreement(
        one,
        other,
        language,
        kappa=weighted_kappa(first, second, images, seed, draws),
        equal=float((apart == 0).mean()),
        near=float((apart <= 1).mean()),
        means=(float(first.mean()), float(second.mean())),
        confusion=tuple(map(tuple, confusion(first, second).tolist())),
    )
