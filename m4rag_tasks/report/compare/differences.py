"""B minus A, question by question: overall, by variety, and along every other axis. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from m4rag_tasks import metrics
from m4rag_tasks.analysis import ByLanguage, columns, compare_by_language, holm
from m4rag_tasks.errors import RunError
from m4rag_tasks.metrics import Difference, Estimate
from m4rag_tasks.report.breakdown import AXES
from m4rag_tasks.report.checks import Record
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
    return Changed(
        pair,
        metrics.macro(_by_language(pair.records_a)),
        metrics.macro(_by_language(pair.records_b)),
        compare_by_language(columns(pair.records_b), columns(pair.records_a)),
        tuple(part for axis in _OTHER_AXES for part in _parts(pair, axis)),
        gained=tuple(question_id for question_id, change in flips if change > 0),
        lost=tuple(question_id for question_id, change in flips if change < 0),
    )


def adjusted(found: Sequence[Changed]) -> list[float | None]:
    """Holm's adjusted p values of the overall differences, over all pairs."""
    return holm([one.by_language.overall.p_value for one in found])


def _by_language(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record["language"], []).append(record)
    return found


def _parts(pair: Pair, axis: str) -> list[Part]:
    sides = []
    for records in (pair.records_a, pair.records_b):
        split: dict[str, list[Record]] = {}
        for record in records:
            if record.get(axis) is not None:
                split.setdefault(str(record[axis]), []).append(record)
        sides.append(split)
    a, b = sides
    # One value only repeats the whole.
    if len(a) < 2:
        return []
    found = [(value, one) for value in sorted(a.keys() & b.keys()) if (one := _difference(b[value], a[value]))]
    tests = holm([one.p_value for _, one in found])
    return [Part(axis, value, one, p) for (value, one), p in zip(found, tests, strict=True)]


def _difference(b: Sequence[Record], a: Sequence[Record]) -> Difference | None:
    try:
        return metrics.paired_difference(b, a)
    except RunError:
        # The two sides sort questions differently along this axis: there is nothing to pair.
        return None
