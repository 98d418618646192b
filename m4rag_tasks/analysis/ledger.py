"""The flip ledger: each question's path without retrieval → with retrieval → with the oracle context.

A path is three letters, R right and W wrong: "WRR" was wrong, was repaired by retrieval, and is right with
the oracle context; without an oracle run a path ends after two. A question is repaired (W → R) or broken
(R → W) by retrieval; the ledger names the passage that stands behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from m4rag_tasks import intervals
from m4rag_tasks.analysis.columns import Columns, Paired, dense, paired
from m4rag_tasks.metrics import Estimate

PATHS = tuple("".join(letters) for letters in product("RW", repeat=3))
"""All paths, from always right to always wrong; those without an oracle run are as ordered."""

_SHORT_PATHS = tuple("".join(letters) for letters in product("RW", repeat=2))


@dataclass(frozen=True)
class Flip:
    """A question that retrieval repaired or broke, and the passage responsible.

    reason: why this passage, "answer" (the first in which the gold answer stands; repaired questions), "chosen"
    (the first in which the wrong option that was chosen stands; broken ones), "grade" (the best-graded one, if
    graded 4 or more); None, with no passage, where none fits or records do not say.
    """

    question_id: str
    language: str
    path: str
    passage_id: str | None
    rank: int | None
    reason: str | None

    @property
    def repaired(self) -> bool:
        """Whether retrieval made it right."""
        return self.path[1] == "R"


@dataclass(frozen=True)
class Path:
    """How many questions took a path, and which share of all."""

    path: str
    questions: int
    share: Estimate


@dataclass(frozen=True)
class Ledger:
    """The eight paths, in the order of `PATHS`, or four without an oracle run, and every question that was turned.

    reasons: how often each reason was found, "repaired" and "broken" apart: {"broken": {"chosen": 3, None: 2}}.
    """

    paths: tuple[Path, ...]
    flips: tuple[Flip, ...]
    reasons: Mapping[str, Mapping[str | None, int]]


def flip_ledger(without: Columns, with_: Columns, oracle: Columns | None = None) -> Ledger:
    """The paths of all questions that the runs of one model scored. Raises as `paired`."""
    runs = paired(without, with_, *([oracle] if oracle else []))
    right = runs.scores == 1
    known = PATHS if oracle else _SHORT_PATHS
    number = sum((~letter).astype(int) << place for place, letter in enumerate(right[::-1]))
    paths = tuple(Path(path, int((number == n).sum()), _share(runs, number == n)) for n, path in enumerate(known))
    flipped = np.flatnonzero(right[0] != right[1])
    flips = tuple(_flip(runs.runs[1], place, known[number[place]]) for place in flipped.tolist())
    reasons: dict[str, dict[str | None, int]] = {"repaired": {}, "broken": {}}
    for flip in flips:
        counts = reasons["repaired" if flip.repaired else "broken"]
        counts[flip.reason] = counts.get(flip.reason, 0) + 1
    return Ledger(paths, flips, reasons)


def _share(runs: Paired, chosen: np.ndarray) -> Estimate:
    return intervals.estimate(chosen.astype(float), dense(runs.images), failed=runs.failed)


def _flip(run: Columns, place: int, path: str) -> Flip:
    repaired = path[1] == "R"
    first, reason = (run.answer_rank, "answer") if repaired else (run.chosen_rank, "chosen")
    rank = int(first[place])
    if rank < 1:
        graded = int(run.grade_rank[place]) >= 1
        rank, reason = (int(run.best_rank[place]), "grade") if graded else (0, None)
    passage = run.records[place]["passages"][rank - 1].get("id") if rank else None
    return Flip(str(run.question_id[place]), str(run.language[place]), path, passage, rank or None, reason)
