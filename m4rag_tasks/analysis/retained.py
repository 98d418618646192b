"""Retention and correction, also by the quality of what was retrieved; relevant against right.

With w_i, r_i the scores of question i without and with retrieval (the paper's RQ2, "correctness retention" and
"correction rate"):

    retention  = P(r = 1 | w = 1)        correction = P(r = 1 | w = 0)

Each is a mean over the questions that meet its condition, with the interval of `intervals`, clustered by image:
for a ratio of two sums over images that is the linearised (Taylor) interval.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from m4rag_tasks import intervals
from m4rag_tasks.analysis.columns import Columns, Mask, Paired, dense, paired
from m4rag_tasks.analysis.passages import UNKNOWN
from m4rag_tasks.intervals import Codes, Floats
from m4rag_tasks.metrics import Estimate, NoRecordsError

GRADE_BUCKETS: tuple[tuple[str, float, float], ...] = (
    ("below 2", -np.inf, 2.0),
    ("2 to 3", 2.0, 3.0),
    ("3 to 4", 3.0, np.nextafter(4.0, 5.0)),
    ("above 4", np.nextafter(4.0, 5.0), np.inf),
)
"""Name, lower edge (inside), upper edge (outside) of the mean grade. The paper names its outer buckets, "< 2" and
"> 4"; that the inner ones end at 3 is inferred."""


@dataclass(frozen=True)
class Bucket:
    """Questions that are alike in one respect; a rate is None where no question meets its condition."""

    name: str
    questions: int
    retention: Estimate | None
    correction: Estimate | None


@dataclass(frozen=True)
class Buckets:
    """The buckets that hold questions; unknown: questions whose records do not say where they belong."""

    rows: tuple[Bucket, ...]
    unknown: int


@dataclass(frozen=True)
class Confusion:
    """Relevant passage shown × answer right: counts of questions, and how often the answer is right in each row.

    by: what makes a passage relevant, "grade" (4 or more) or "answer" (the gold answer stands in it).
    unknown: questions whose records do not say.
    """

    by: str
    relevant_right: int
    relevant_wrong: int
    irrelevant_right: int
    irrelevant_wrong: int
    right_if_relevant: Estimate | None
    right_if_irrelevant: Estimate | None
    relevant: Estimate
    unknown: int


def retention(without: Columns, with_: Columns) -> Estimate | None:
    """Of what the model knew, what it kept; None where it knew nothing. Raises as `paired`."""
    return _rate(paired(without, with_), given=1)


def correction(without: Columns, with_: Columns) -> Estimate | None:
    """Of what it did not know, what it gained; None where it knew everything. Raises as `paired`."""
    return _rate(paired(without, with_), given=0)


def retained_by_grade(without: Columns, with_: Columns) -> Buckets:
    """Retention and correction by the mean grade of the passages shown. Raises as `paired`."""

    def masks(run: Columns) -> list[tuple[str, Mask]]:
        return [(name, (run.grade >= low) & (run.grade < high)) for name, low, high in GRADE_BUCKETS]

    return _buckets(without, with_, masks, lambda run: np.isnan(run.grade))


def retained_by_rank(without: Columns, with_: Columns, by: str = "answer") -> Buckets:
    """Retention and correction by the rank of the first relevant passage, "none" last.

    `by` "answer": in which the gold answer stands; "grade": graded 4 or more. Raises as `paired`.
    """
    return _buckets(without, with_, lambda run: rank_masks(rank_of(run, by)), lambda run: rank_of(run, by) == UNKNOWN)


def confusion(with_: Columns, by: str = "grade") -> Confusion:
    """Relevant passage shown × answer right, `by` as in `retained_by_rank`.

    Raises `NoRecordsError` where no scored question says whether a relevant passage was shown.
    """
    run = with_.take(with_.scored)
    known = rank_of(run, by) != UNKNOWN
    if not known.any():
        raise NoRecordsError(f"no scored question tells whether a relevant passage was shown, by {by}")
    relevant, right = rank_of(run, by)[known] >= 1, run.score[known] == 1
    images = run.images[known]
    return Confusion(
        by,
        relevant_right=int((relevant & right).sum()),
        relevant_wrong=int((relevant & ~right).sum()),
        irrelevant_right=int((~relevant & right).sum()),
        irrelevant_wrong=int((~relevant & ~right).sum()),
        right_if_relevant=share(right, relevant, images),
        right_if_irrelevant=share(right, ~relevant, images),
        relevant=intervals.estimate(relevant.astype(float), dense(images)),
        unknown=int((~known).sum()),
    )


def rank_of(run: Columns, by: str) -> Codes:
    """The rank of the first relevant passage of each question, as `Columns` has it."""
    return {"answer": run.answer_rank, "grade": run.grade_rank}[by]


def rank_masks(ranks: Codes) -> list[tuple[str, Mask]]:
    """The questions at each rank that occurs, and those without a relevant passage ("none")."""
    found = [(str(rank), ranks == rank) for rank in range(1, int(ranks.max(initial=0)) + 1)]
    return [*found, ("none", ranks == 0)]


def share(values: Floats | Mask, chosen: Mask, images: Codes, failed: int = 0) -> Estimate | None:
    """The mean of the chosen values, clustered by image; None where none is chosen."""
    if not chosen.any():
        return None
    return intervals.estimate(values[chosen].astype(float), dense(images[chosen]), failed=failed)


def _rate(pair: Paired, given: int) -> Estimate | None:
    before, after = pair.scores
    return share(after, before == given, pair.images, pair.failed)


def _buckets(
    without: Columns,
    with_: Columns,
    masks: Callable[[Columns], Sequence[tuple[str, Mask]]],
    unknown: Callable[[Columns], Mask],
) -> Buckets:
    pair = paired(without, with_)
    before, after = pair.scores
    rows = tuple(
        Bucket(
            name,
            int(inside.sum()),
            share(after, inside & (before == 1), pair.images),
            share(after, inside & (before == 0), pair.images),
        )
        for name, inside in masks(pair.runs[1])
        if inside.any()
    )
    return Buckets(rows, int(unknown(pair.runs[1]).sum()))
