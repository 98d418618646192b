"""Figures over scored records, with intervals that know that questions share images.

A record is a mapping with question_id, language, image_id, score (0 or 1, absent
when the request failed or its answer could not be scored), further scores (strict,
dual, …; likewise) and parse (the rule that read the answer). A failed request is
neither right nor wrong: it is left out of the figure and counted in
`Estimate.failed`, so that a run with holes shows them.

How the intervals and p values are computed is described in `intervals`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import bdtr

from m4rag_tasks import intervals
from m4rag_tasks.errors import RunError
from m4rag_tasks.intervals import Codes, Estimate, Floats

Record = Mapping[str, Any]

_EXAMPLES = 3


class NoRecordsError(RunError, ValueError):
    """A figure was asked for over nothing: no records, or none that was scored."""


class RecordError(RunError, ValueError):
    """A record without a key it needs, or with a value that is no score."""


class IdsError(RunError, ValueError):
    """Question ids that are there twice, missing, or not part of the task."""


class PairingError(RunError, ValueError):
    """Two runs that cannot be compared question by question."""


@dataclass(frozen=True)
class Difference:
    """a minus b on the same questions.

    p_value: t test clustered by image (None with one image). mcnemar_p: McNemar's
    exact test, which takes questions as independent. only_a, only_b: questions
    that one of the two got right.
    """

    estimate: Estimate
    p_value: float | None
    mcnemar_p: float
    only_a: int
    only_b: int


def accuracy(records: Sequence[Record]) -> Estimate:
    """Share of scored records that are right, each record counting the same."""
    scored = _scored(records, "score")
    images = _codes(_column(scored, "image_id"))
    return intervals.estimate(_values(scored, "score"), images, failed=len(records) - len(scored))


def micro(records: Sequence[Record]) -> Estimate:
    """Accuracy over all records of all languages: a language counts by its number of questions."""
    return accuracy(records)


def macro(by_language: Mapping[str, Sequence[Record]], field: str = "score") -> Estimate:
    """Mean over languages of each one's accuracy: every language counts the same.

    A language is whatever the keys tell apart: varieties, in the tables of a report.
    `field` is another score than the one that counts, e.g. "strict" or "dual".
    """
    if not by_language:
        raise NoRecordsError("nothing to average: no language was given")
    scored = {language: _scored(records, field, language) for language, records in by_language.items()}
    pooled = [record for records in scored.values() for record in records]
    strata = np.repeat(np.arange(len(scored)), [len(records) for records in scored.values()])
    failed = sum(map(len, by_language.values())) - len(pooled)
    return intervals.estimate(_values(pooled, field), _codes(_column(pooled, "image_id")), strata, failed=failed)


def invalid_rate(records: Sequence[Record]) -> Estimate:
    """Share of answered records whose answer names no option."""
    answered = _scored(records, "score")
    invalid = np.array([name == "invalid" for name in _column(answered, "parse")], dtype=float)
    images = _codes(_column(answered, "image_id"))
    return intervals.estimate(invalid, images, failed=len(records) - len(answered))


def retention(without: Sequence[Record], with_: Sequence[Record]) -> Estimate:
    """P(right with retrieval | right without): of what the model knew, what it kept."""
    return _conditional(without, with_, given=1.0)


def correction(without: Sequence[Record], with_: Sequence[Record]) -> Estimate:
    """P(right with retrieval | wrong without): of what it did not know, what it gained."""
    return _conditional(without, with_, given=0.0)


def oracle_gap(oracle: Sequence[Record], with_: Sequence[Record], by_language: bool = False) -> Estimate:
    """accuracy(oracle) - accuracy(with_) on the same questions, interval from the paired differences."""
    return paired_difference(oracle, with_, by_language).estimate


def paired_difference(a: Sequence[Record], b: Sequence[Record], by_language: bool = False) -> Difference:
    """accuracy(a) - accuracy(b), question by question; `by_language` takes macro means.

    With d_i = a_i - b_i the interval and p_value are those of the mean of d (`intervals`).
    McNemar: 2 P(X <= min(only_a, only_b)), X ~ Bin(only_a + only_b, 1/2), at most 1.
    """
    kept, score_a, score_b, failed = _joined(a, b)
    if not kept:
        raise NoRecordsError(f"no question was scored in both runs ({failed} requests failed)")
    images = _codes(_column(kept, "image_id"))
    strata = _codes(_column(kept, "language")) if by_language else None
    return difference(score_a - score_b, images, strata, failed)


def difference(delta: Floats, images: Codes, strata: Codes | None = None, failed: int = 0) -> Difference:
    """The same of differences (-1, 0 or 1 per question) that are at hand; images and strata count from 0."""
    estimate, p_value = intervals.difference(delta, images, strata, failed)
    only_a, only_b = int((delta > 0).sum()), int((delta < 0).sum())
    mcnemar_p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
    return Difference(estimate, p_value, mcnemar_p, only_a, only_b)


def check_ids(records: Sequence[Record], expected_ids: Iterable[str] | None = None) -> None:
    """Raise IdsError on duplicate, missing or unknown question ids. Missing is never wrong."""
    ids = _column(records, "question_id")
    seen = set(ids)
    if len(seen) < len(ids):
        once: set[Hashable] = set()
        twice = [item for item in ids if item in once or once.add(item)]
        raise IdsError(f"{_some(twice)} there more than once; was one run appended to another?")
    if expected_ids is None:
        return
    expected = set(expected_ids)
    problems = []
    if missing := expected - seen:
        problems.append(f"{_some(missing)} missing of {len(expected)} expected")
    if unknown := seen - expected:
        problems.append(f"{_some(unknown)} not part of the task")
    if problems:
        raise IdsError("; ".join(problems))


def _conditional(without: Sequence[Record], with_: Sequence[Record], given: float) -> Estimate:
    """Mean of `with_` over the questions whose score without retrieval is `given`."""
    kept, before, after, failed = _joined(without, with_)
    chosen = before == given
    if not chosen.any():
        what = "right" if given else "wrong"
        raise NoRecordsError(f"no question was {what} without retrieval ({len(kept)} questions, {failed} failed)")
    images = np.array(_codes(_column(kept, "image_id")))[chosen]
    return intervals.estimate(after[chosen], _codes(images.tolist()), failed=failed)


def _joined(a: Sequence[Record], b: Sequence[Record]) -> tuple[list[Record], Floats, Floats, int]:
    """The records of `a` scored in both runs, both scores in the same order, and how many failed in either."""
    check_ids(a)
    check_ids(b)
    other = {record["question_id"]: record for record in b}
    ids = set(_column(a, "question_id"))
    only_a, only_b = ids - other.keys(), other.keys() - ids
    if only_a or only_b:
        raise PairingError(
            f"the runs do not hold the same questions: of the first run's {len(ids)}, {_some(only_a)} not in the "
            f"second; of the second run's {len(other)}, {_some(only_b)} not in the first"
        )
    pairs = [(record, other[record["question_id"]]) for record in a]
    # What could not be scored does not say which image it was about.
    known = [pair for pair in pairs if all(record.get("image_id") is not None for record in pair)]
    moved = [one["question_id"] for one, two in known if one["image_id"] != two["image_id"]]
    if moved:
        raise PairingError(f"{_some(moved)} asked about another image in the second run")
    both = [pair for pair in pairs if all(record.get("score") is not None for record in pair)]
    first, second = [one for one, _ in both], [two for _, two in both]
    return first, _values(first, "score"), _values(second, "score"), len(pairs) - len(both)


def _scored(records: Sequence[Record], field: str, language: str = "") -> list[Record]:
    scored = [record for record in records if record.get(field) is not None]
    if not scored:
        of = f" of {language}" if language else ""
        why = f"all {len(records)} requests failed" if records else "there are none"
        raise NoRecordsError(f"no record{of} has a {field}: {why}")
    return scored


def _values(records: Sequence[Record], field: str) -> Floats:
    try:
        values = np.array([record[field] for record in records], dtype=float)
    except (TypeError, ValueError) as error:
        raise RecordError(f"a {field} is not a number: {error}") from None
    wrong = ~((values == 0) | (values == 1))
    if wrong.any():
        first = records[int(wrong.argmax())]
        raise RecordError(f"{field} of question {first.get('question_id')} is {first[field]!r}; it must be 0 or 1")
    return values


def _column(records: Sequence[Record], key: str) -> list[Any]:
    column = [record.get(key) for record in records]
    if None in column:
        where = records[column.index(None)].get("question_id")
        raise RecordError(f"the record of question {where} has no {key}")
    return column


def _codes(column: Sequence[Hashable]) -> Codes:
    """Each value's number, in order of first appearance. (np.unique would sort 60,000 strings.)"""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in column], dtype=np.intp)


def _some(ids: Iterable[Any]) -> str:
    """ "12 question ids (a, b, c, …)" for messages."""
    listed = sorted({str(item) for item in ids})
    if not listed:
        return "0 question ids"
    shown = ", ".join(listed[:_EXAMPLES]) + (", …" if len(listed) > _EXAMPLES else "")
    return f"{len(listed)} question id{'s' if len(listed) > 1 else ''} ({shown})"
