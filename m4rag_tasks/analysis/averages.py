"""Means over one run: over its questions (micro), or over its language varieties (macro)."""

from __future__ import annotations

import numpy as np

from m4rag_tasks import intervals
from m4rag_tasks.analysis.columns import Columns, dense
from m4rag_tasks.intervals import Floats
from m4rag_tasks.metrics import Estimate, NoRecordsError


def micro(run: Columns, values: Floats | None = None) -> Estimate:
    """Accuracy, every question counting the same; or the mean of other values from 0 to 1, one per question.

    nan is a request that failed: it is left out and counted. Raises `NoRecordsError` where there is nothing else.
    """
    values, known = _known(run, values)
    failed = len(known) - int(known.sum())
    return intervals.estimate(values[known], dense(run.images[known]), failed=failed)


def macro(run: Columns, values: Floats | None = None) -> Estimate:
    """The mean over varieties of each one's accuracy, or mean of other values: every variety counts the same.

    nan as in `micro`. Raises `NoRecordsError` where a variety has nothing else.
    """
    values, known = _known(run, values)
    strata, failed = run.strata[known], len(known) - int(known.sum())
    for place, name in enumerate(sorted(run.varieties)):
        if place not in strata:
            raise NoRecordsError(f"no record of {name} has a score")
    return intervals.estimate(values[known], dense(run.images[known]), strata, failed=failed)


def invalid(run: Columns) -> Floats:
    """1 where the answer names no option, 0 where it does, nan where there is none."""
    return np.where(run.scored, run.invalid, np.nan)


def _known(run: Columns, values: Floats | None) -> tuple[Floats, np.ndarray]:
    values = run.score if values is None else values
    known = ~np.isnan(values)
    if not known.any():
        raise NoRecordsError(f"none of {len(known)} questions has a score: all requests failed")
    return values, known
