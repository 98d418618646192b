"""B minus A, question by question: overall, by variety, and along every other axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from m4rag_tasks import metrics
from m4rag_tasks.analysis import ByLanguage, Paired, by_language, columns, dense, holm, macro, paired
from m4rag_tasks.metrics import Difference, Estimate
from m4rag_tasks.report.breakdown import AXES
from m4rag_tasks.report.compare.pairing import Pair

_OTHER_AXES = tuple(axis for axis in AXES if axis not in ("language", "base_language", "resource"))


@dataclass(frozen=True)
class Part:
    """The questions with one value on an axis: `difference` is micro; adjusted_p is Holm's, within the axis."""

    axis: str
    value: str
    difference: Difference
    adjusted_p: float | None


@dataclass(frozen=True)
class Changed:
    """What changed in one pair. accuracy_a, accuracy_b: macro. gained, lost: ids that B, or A, alone has right."""

    pair: Pair
    accuracy_a: Estimate
    accuracy_b: Estimate
    by_language: ByLanguage
    parts: tuple[Part, ...]
    gained: tuple[str, ...]
    lost: tuple[str, ...]


def changed(pair: Pair) -> Changed:
    """Everything about one pair. Raises `RunError` where it cannot be computed."""
    scores_a = {record["question_id"]: record["score"] for record in pair.records_a}
    flips = [(record["question_id"], record["score"] - scores_a[record["question_id"]]) for record in pair.records_b]
    a, b = columns(pair.records_a), columns(pair.records_b)
    together = paired(b, a)
    return Changed(
        pair,
        macro(a),
        macro(b),
        by_language(together),
        tuple(part for axis in _OTHER_AXES for part in _parts(together, axis)),
        gained=tuple(question_id for question_id, change in flips if change > 0),
        lost=tuple(question_id for question_id, change in flips if change < 0),
    )


def adjusted(found: Sequence[Changed]) -> list[float | None]:
    """Holm's adjusted p values of the overall differences, over all pairs."""
    return holm([one.by_language.overall.p_value for one in found])


def _parts(together: Paired, axis: str) -> list[Part]:
    b, a = (run.split(axis) for run in together.runs)
    # One value only repeats the whole.
    if len(a) < 2:
        return []
    delta = together.scores[0] - together.scores[1]
    # Where the two sides sort questions differently along this axis, there is nothing to pair.
    alike = [value for value in a if value in b and (a[value] == b[value]).all()]
    found = [metrics.difference(delta[a[value]], dense(together.images[a[value]])) for value in alike]
    tests = holm([one.p_value for one in found])
    return [Part(axis, value, one, p) for value, one, p in zip(alike, found, tests, strict=True)]
