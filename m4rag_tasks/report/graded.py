"""Puts a judge's grades beside the passages of runs."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from pathlib import Path

from m4rag_tasks import suite
from m4rag_tasks.errors import GradesError
from m4rag_tasks.grades import (
    Grade,
    check_same_caches,
    grades_by_passage,
    of_judge,
    of_passages,
    read_grades,
    with_grades,
)
from m4rag_tasks.report.checks import Record, is_failed
from m4rag_tasks.report.runs import Run

ENOUGH = 0.9
"""The share of a run's questions that the judge must have seen whole. A run of a setting that was not judged shows
some passages of one that was; questions all of whose passages happen to be among these are no sample of its own."""

_CUT = "passages_key"
_Key = tuple[str, str]
"""Question id and passage id."""


def grade(runs: Sequence[Run], paths: Sequence[Path], judge: str | None, notes: list[str]) -> bool:
    """Gives the passages of runs their grades by one judge; whether there are any to give.

    A run whose passages come from another retrieval cache or corpus than the graded ones, or were hardly judged,
    stays without; `notes` name it, and what would grade it. Raises `GradesError` for a file that cannot be
    used, and where the judge is not there, or not said.
    """
    if not paths:
        return False
    name, own = of_judge(read_grades(paths), judge)
    notes.append(f"Passages are graded by {name}.")
    cuts = {one.passages_key for one in own}
    of_dataset = {(run.dataset, key) for run in runs for key in run.facts_of(_CUT)}
    if None in cuts and len(of_dataset) > len({dataset for dataset, _ in of_dataset}):
        notes.append(
            f"Grades without {_CUT} count for all runs, though these show passages of several corpora or cuts."
        )
    lacking: list[tuple[Run, int, int]] = []
    fitting = functools.lru_cache(maxsize=None)(functools.partial(_fitting, own))
    for run in runs:
        shown = [record for record in run.records if record.get("passages") and not is_failed(record)]
        if not shown:
            continue
        try:
            check_same_caches(run.records, own)
        except GradesError as error:
            notes.append(f"{run.model}, {run.title}, without grades: {error}")
            continue
        shown_cuts = run.facts_of(_CUT)
        if other := _of_other_texts(run, shown_cuts, cuts):
            notes.append(other)
            continue
        judged, by_passage = fitting(shown_cuts[0] if len(shown_cuts) == 1 else None)
        if (seen := _whole(shown, judged)) < ENOUGH * len(shown):
            lacking.append((run, seen, len(shown)))
            continue
        if len(by_passage) < len(judged) and (silent := _silent(run, shown, by_passage.keys())):
            notes.append(silent)
        run.records = with_grades(run.records, by_passage)
    if lacking:
        notes.append(_lacking(lacking))
    return True


def _fitting(grades: Sequence[Grade], passages_key: str | None) -> tuple[set[_Key], dict[_Key, float]]:
    """What was judged of the passages with a key, and the grades."""
    own = of_passages(grades, passages_key)
    return {(one.question_id, one.passage_id) for one in own}, grades_by_passage(own)


def _of_other_texts(run: Run, shown: Sequence[str], graded: Collection[str | None]) -> str | None:
    """Why the run stays without grades where these are of other texts under the same ids, or may be."""
    cuts = sorted(key for key in graded if key is not None)
    if None in graded or (set(shown) & set(cuts) if len(shown) == 1 else not shown and len(cuts) == 1):
        return None
    told = f"shows those of {_short(shown)}" if shown else "does not say which it shows"
    return (
        f"{run.model}, {run.title}, without grades: these are of passages of {_short(cuts)} ({_CUT}: corpus, and how "
        f"it was cut), and the run {told}; equal ids may be other texts there. To grade it, run {judge_task(run)} "
        "(docs/judge.md)."
    )


def _short(keys: Sequence[str]) -> str:
    return ", ".join(key[:12] for key in keys)


def _lacking(runs: Sequence[tuple[Run, int, int]]) -> str:
    """Why runs stay without grades that the judge did not see enough of: of how many questions it did, of how many."""
    listed = "; ".join(f"{run.model}, {run.title} ({seen:,} of {asked:,})" for run, seen, asked in runs)
    tasks = ", ".join(dict.fromkeys(judge_task(run) for run, *_ in runs))
    return (
        "Without grades are runs of which all passages were judged for a part of the questions only, which need not be "
        f"like the others: {listed}. To grade them, run {tasks} (docs/judge.md)."
    )


def _silent(run: Run, shown: Sequence[Record], graded: Collection[_Key]) -> str | None:
    """A warning where the judge was asked, but often named no grade."""
    known = _whole(shown, graded)
    if known >= ENOUGH * len(shown):
        return None
    return (
        f"{run.model}, {run.title}: all passages have a grade for {known:,} of its {len(shown):,} questions only; the "
        "judge's answers named none for the others, which are left out by grade."
    )


def judge_task(run: Run) -> str:
    """The task that grades the passages of a run: only the question's wording makes another one."""
    asked = suite.VARIANTS[run.asking].asked if run.asking in suite.VARIANTS else "local"
    return suite.family_name(run.dataset, f"judge_{run.setting}", "en" if asked == "en" else "")


def _whole(records: Sequence[Record], known: Collection[_Key]) -> int:
    """Of how many questions every passage is known."""
    return sum(all((record["question_id"], one["id"]) in known for one in record["passages"]) for record in records)
