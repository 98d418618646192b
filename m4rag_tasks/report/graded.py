"""Puts a judge's grades beside the passages of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from m4rag_tasks.errors import GradesError
from m4rag_tasks.grades import by_judge, check_same_caches, grades_by_passage, read_grades, with_grades
from m4rag_tasks.report.runs import Run


def grade(runs: Sequence[Run], paths: Sequence[Path], judge: str | None, notes: list[str]) -> bool:
    """Gives the passages of all runs their grades by one judge; whether there are any.

    A run whose passages come from another retrieval cache than the graded ones stays without, and is named in
    `notes`. Raises `GradesError` for a file that cannot be used, and where the judge is not there, or not said.
    """
    if not paths:
        return False
    grades = read_grades(paths)
    by_passage = grades_by_passage(grades, judge)
    named = by_judge(grades)
    name = judge if judge is not None else next(iter(named))
    notes.append(f"Passages are graded by {name}.")
    for run in runs:
        shown = any(record.get("passages") for record in run.records)
        try:
            check_same_caches(run.records, named[name])
        except GradesError as error:
            notes.append(f"{run.model}, {run.title}, without grades: {error}")
            continue
        run.records = with_grades(run.records, by_passage) if shown else run.records
        if shown and not any(_is_graded(record) for record in run.records):
            notes.append(f"{run.model}, {run.title}: none of its passages is among the graded ones.")
    return True


def _is_graded(record: dict[str, object]) -> bool:
    return any(passage["grade"] is not None for passage in record["passages"])
