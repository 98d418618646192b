"""How often the gold answer stands in what the model was shown, per setting and language variety.

An answer stands in a text where it is part of it after NFKC, case folding and with white space as one space
(`retrieval_cache.evaluation`, the rule of Answer@n). A short answer may stand there by chance: how often
is told by the wrong options, each of which is as likely to, so their share is given beside it (of one question
with three wrong options, one of which stands there, 1/3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from m4rag_tasks import intervals
from m4rag_tasks.analysis.averages import invalid, micro
from m4rag_tasks.analysis.columns import Columns
from m4rag_tasks.analysis.passages import UNKNOWN
from m4rag_tasks.axes import SETTINGS
from m4rag_tasks.intervals import Codes, Floats
from m4rag_tasks.metrics import Estimate

OVERALL = ""
"""Stands for all varieties where a table has one row per variety."""

_SHOW_NOTHING = frozenset(name for name, setting in SETTINGS.items() if setting.context == "none")


@dataclass(frozen=True)
class Leak:
    """Shares of the questions whose records say; None where no record does.

    passages: the gold answer stands in a passage shown. first: in the first one. wrong_options: of the wrong options,
    those that stand in a passage. context: the gold answer stands in the context shown. query: in what was searched
    with.
    """

    setting: str
    language: str
    questions: int
    passages: Estimate | None
    first: Estimate | None
    wrong_options: Estimate | None
    context: Estimate | None
    query: Estimate | None


@dataclass(frozen=True)
class LeakAudit:
    """A row per setting over all varieties (language ""), then one per setting and variety.

    silent: settings whose records say nothing of what the passages or context hold. Settings that show nothing
    (`norag`) have no rows.
    """

    rows: tuple[Leak, ...]
    silent: tuple[str, ...]

    @property
    def overall(self) -> tuple[Leak, ...]:
        """The rows over all varieties."""
        return tuple(row for row in self.rows if row.language == OVERALL)


@dataclass(frozen=True)
class Invalid:
    """Share of answered questions whose answer names no option; language "" is all varieties, micro."""

    setting: str
    language: str
    invalid: Estimate


def leak_audit(runs: Mapping[str, Columns]) -> LeakAudit:
    """The audit of the runs of one model on one data set, by setting."""
    runs = {setting: run for setting, run in runs.items() if setting not in _SHOW_NOTHING}
    overall = [_leak(setting, OVERALL, run) for setting, run in runs.items()]
    parts = [_leak(setting, name, part) for setting, run in runs.items() for name, part in run.by_language().items()]
    silent = tuple(row.setting for row in overall if row.passages is None and row.context is None)
    return LeakAudit((*overall, *parts), silent)


def invalid_answers(runs: Mapping[str, Columns]) -> tuple[Invalid, ...]:
    """Per setting over all varieties, then per setting and variety; failed requests count nowhere."""
    scored = {setting: run.take(run.scored) for setting, run in runs.items() if run.scored.any()}
    overall = [Invalid(setting, OVERALL, micro(run, invalid(run))) for setting, run in scored.items()]
    parts = [
        Invalid(setting, name, micro(part, invalid(part)))
        for setting, run in scored.items()
        for name, part in run.by_language().items()
    ]
    return (*overall, *parts)


def _leak(setting: str, language: str, run: Columns) -> Leak:
    first = np.where(run.answer_rank == UNKNOWN, UNKNOWN, run.answer_rank == 1)
    return Leak(
        setting,
        language,
        len(run),
        passages=_known(np.minimum(run.answer_rank, 1), run),
        first=_known(first, run),
        wrong_options=_known(run.wrong_options, run),
        context=_known(run.context_answer, run),
        query=_known(run.query_answer, run),
    )


def _known(shares: Codes | Floats, run: Columns) -> Estimate | None:
    """The macro mean of values from 0 to 1, unknown ones (-1, nan) left out; None where there is nothing else."""
    # Without an image (nothing was scored) there is no cluster.
    known = (shares != UNKNOWN) & ~np.isnan(shares) & np.not_equal(run.image, None)
    return _macro(shares[known], run.take(known)) if known.any() else None


def _macro(values: np.ndarray, run: Columns) -> Estimate:
    return intervals.estimate(values.astype(float), run.images, run.strata)
