"""Settings against each other (the paper's RQ1), and two runs language by language.

The difference of two runs: d_i = a_i - b_i over the questions that both scored, mean over language varieties
(macro), interval and p value clustered by image (`intervals`).

Several tests at once are corrected by Holm's step-down method: of the p values in rising order, p_(1) ≤ … ≤ p_(m),

    adjusted p_(j) = max over i ≤ j of min(1, (m - i + 1) p_(i)).

Rejecting where that is below 0.05 keeps the chance of any false rejection in the family at 5 % or less, however
the tests depend on each other. Source: Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure",
Scand. J. Statistics 6(2), 65-70.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from m4rag_tasks import metrics
from m4rag_tasks.analysis.columns import Columns, Paired, Variety, dense, paired
from m4rag_tasks.errors import RunError
from m4rag_tasks.metrics import Difference

LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """Setting `a` minus setting `b` of one model; adjusted_p is None where no test was possible."""

    model: str
    a: str
    b: str
    difference: Difference
    adjusted_p: float | None
    languages: int

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.adjusted_p is not None and self.adjusted_p < LEVEL


@dataclass(frozen=True)
class Comparisons:
    """All pairs of settings of all models; the family of tests that were corrected together is all of them.

    tests: the size of the family. problems: pairs that could not be compared, and why.
    """

    rows: tuple[Comparison, ...]
    tests: int
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class LanguageDifference:
    """a minus b in one language variety; adjusted_p is None where no test was possible."""

    language: str
    variety: Variety
    difference: Difference
    adjusted_p: float | None

    @property
    def significant(self) -> bool:
        """Whether the adjusted p value is below 0.05."""
        return self.adjusted_p is not None and self.adjusted_p < LEVEL


@dataclass(frozen=True)
class ByLanguage:
    """a minus b: macro over varieties, in each resource class (macro too), and in each variety.

    The family of tests that were corrected together is the varieties; tests: its size.
    """

    overall: Difference
    resources: Mapping[str, Difference]
    rows: tuple[LanguageDifference, ...]
    tests: int


def difference(a: Columns, b: Columns) -> Difference:
    """accuracy(a) - accuracy(b), macro over varieties, paired by question. Raises as `paired`."""
    return _macro(paired(a, b))


def compare_settings(runs: Mapping[str, Mapping[str, Columns]]) -> Comparisons:
    """All pairs of settings of each model; `runs` by model, then by setting, of one data set asked in one way."""
    found: list[tuple[str, str, str, Paired]] = []
    problems: list[str] = []
    for model, settings in runs.items():
        for b, a in combinations(settings, 2):
            try:
                found.append((model, a, b, paired(settings[a], settings[b])))
            except RunError as error:
                problems.append(f"{model}, {a} against {b}: {error}")
    differences = [_macro(pair) for *_, pair in found]
    adjusted = holm([difference.p_value for difference in differences])
    rows = tuple(
        Comparison(model, a, b, difference, p, len(pair.languages))
        for (model, a, b, pair), difference, p in zip(found, differences, adjusted, strict=True)
    )
    return Comparisons(rows, sum(p is not None for p in adjusted), tuple(problems))


def compare_by_language(a: Columns, b: Columns) -> ByLanguage:
    """a minus b: two models, settings or variants on the same questions. Raises as `paired`."""
    return by_language(paired(a, b))


def by_language(pair: Paired) -> ByLanguage:
    """The first run minus the second."""
    parts = list(_by_variety(pair))
    adjusted = holm([difference.p_value for _, difference in parts])
    varieties = pair.runs[0].varieties
    rows = tuple(
        LanguageDifference(name, varieties[name], difference, p)
        for (name, difference), p in zip(parts, adjusted, strict=True)
    )
    classes = sorted({variety.resource for variety in varieties.values() if variety.resource})
    resources = {name: _of_class(pair, name) for name in classes}
    return ByLanguage(_macro(pair), resources, rows, sum(p is not None for p in adjusted))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p values in the given order; None is no test and stays None."""
    known = [(p, place) for place, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(sorted(known)):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = largest
    return adjusted


def _macro(pair: Paired) -> Difference:
    return metrics.difference(pair.scores[0] - pair.scores[1], pair.images, pair.strata, pair.failed)


def _by_variety(pair: Paired) -> Iterator[tuple[str, Difference]]:
    delta = pair.scores[0] - pair.scores[1]
    for number, name in enumerate(pair.languages):
        own = pair.strata == number
        yield name, metrics.difference(delta[own], dense(pair.images[own]))


def _of_class(pair: Paired, resource: str) -> Difference:
    varieties = pair.runs[0].varieties
    inside = np.array([varieties[name].resource == resource for name in pair.languages])[pair.strata]
    delta = (pair.scores[0] - pair.scores[1])[inside]
    return metrics.difference(delta, dense(pair.images[inside]), dense(pair.strata[inside]))
