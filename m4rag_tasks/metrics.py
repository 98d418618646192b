"""What may go wrong with records and runs, and the difference of two runs.

A record is a mapping with question_id, language, image_id, score (0 or 1, absent
when the request failed or its answer could not be scored), further scores (strict,
dual, …; likewise) and parse (the rule that read the answer). A failed request is
neither right nor wrong: it is left out of a figure and counted in
`Estimate.failed`, so that a run with holes shows them.

How the intervals and p values are computed is described in `intervals`; the figures
themselves are in `analysis`.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


def difference(delta: Floats, images: Codes, strata: Codes | None = None, failed: int = 0) -> Difference:
    """The same of differences (-1, 0 or 1 per question) that are at hand; images and strata count from 0."""
    estimate, p_value = intervals.difference(delta, images, strata, failed)
    only_a, only_b = int((delta > 0).sum()), int((delta < 0).sum())
    mcnemar_p = min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))
    return Difference(estimate, p_value, mcnemar_p, only_a, only_b)


def check_ids(records: Sequence[Record], expected_ids: Iterable[str] | None = None) -> None:
    """Raise IdsError on duplicate, missing or unknown question ids. Missing is never wrong."""
    ids = [record.get("question_id") for record in records]
    if None in ids:
        raise RecordError(f"a record has no question_id: {str(dict(records[ids.index(None)]))[:100]}")
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


def _some(ids: Iterable[Any]) -> str:
    """ "12 question ids (a, b, c, …)" for messages."""
    listed = sorted({str(item) for item in ids})
    if not listed:
        return "0 question ids"
    shown = ", ".join(listed[:_EXAMPLES]) + (", …" if len(listed) > _EXAMPLES else "")
    return f"{len(listed)} question id{'s' if len(listed) > 1 else ''} ({shown})"
