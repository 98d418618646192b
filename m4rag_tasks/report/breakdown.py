"""Accuracy by language variety, and by language, register, resource class, country, category and prompt type.

One table per model, data set, way of asking and axis: a row per variety (country, …), a
column per setting and variant. Each cell also says how far it is from no retrieval.

A cell is the accuracy over the records of its row, all counting the same: a language with
several varieties (`base_language`) pools their records, and so does a register or a
country. Only a resource class is a mean over its varieties, as the macro figure of the
settings table is. Incomplete varieties are shown on the language axis, flagged, and
left out of all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from m4rag_tasks import intervals
from m4rag_tasks.analysis import Columns, Mask, dense
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.completeness import Faults
from m4rag_tasks.report.examples import BASE_SETTING
from m4rag_tasks.report.runs import Run, partner

AXES = ("language", "base_language", "resource", "register", "country", "category", "prompt_type")
_RESOURCE_ORDER = ("high", "mid", "low")


@dataclass(frozen=True)
class Cell:
    """One model's answers in one setting and variant to the questions of one row."""

    accuracy: Estimate | None
    n: int
    fault: str | None = None
    lacks: tuple[str, ...] = ()
    """Varieties that another cell of the row counts and this one does not."""
    change: float | None = None
    """Difference to the partner's cell without retrieval, where both hold the same questions."""


@dataclass(frozen=True)
class Breakdown:
    """One model on one data set, asked in one way, split along one axis; cells by row and then by column."""

    model: str
    dataset: str
    asking: str
    axis: str
    titles: Mapping[str, str]
    """The columns, by setting with variant."""
    rows: Mapping[str, Mapping[str, Cell]]


_Rows = Mapping[str, dict[str, Cell]]


@dataclass(frozen=True)
class _Side:
    """One run with all its varieties, and which of them are incomplete."""

    run: Run
    columns: Columns
    incomplete: Faults


@dataclass(frozen=True)
class _Part:
    """The questions of one row that a run holds, and those of them that it answered."""

    columns: Columns
    asked: Mask

    @property
    def answered(self) -> Mask:
        return self.asked & self.columns.scored

    @property
    def languages(self) -> set[str]:
        names = sorted(self.columns.varieties)
        return {names[place] for place in np.flatnonzero(np.bincount(self.columns.strata[self.asked]))}


_Split = Mapping[str, Mapping[str, _Part]]
"""Questions by run and value."""


def breakdowns(runs: Sequence[Run], whole: Sequence[Columns], faults: Sequence[Faults]) -> list[Breakdown]:
    """The tables of every model, data set and way of asking, varieties first; `whole` are the runs' columns."""
    grouped: dict[tuple[str, str, str], list[_Side]] = {}
    for side in map(_Side, runs, whole, faults):
        grouped.setdefault((side.run.model, side.run.dataset, side.run.asking), []).append(side)
    return [table for where, sides in grouped.items() for table in _tables(where, sides)]


def _tables(where: tuple[str, str, str], sides: Sequence[_Side]) -> list[Breakdown]:
    tables = [_breakdown(where, axis, sides) for axis in AXES]
    # One value only repeats the settings table, languages of one variety each repeat the first table.
    told = {"language"} | {table.axis for table in tables if len(table.rows) > 1}
    merged = _merges_varieties([side.columns for side in sides])
    return [table for table in tables if table.axis in told and (merged or table.axis != "base_language")]


def _merges_varieties(runs: Sequence[Columns]) -> bool:
    pairs = {(name, variety.base_language) for run in runs for name, variety in run.varieties.items()}
    return len({language for _, language in pairs}) < len(pairs)


def _breakdown(where: tuple[str, str, str], axis: str, sides: Sequence[_Side]) -> Breakdown:
    split = {side.run.name: _split(side, axis) for side in sides}
    values = sorted({value for groups in split.values() for value in groups}, key=resource_order)
    rows: dict[str, dict[str, Cell]] = {value: {} for value in values}
    for side in sides:
        for value, part in split[side.run.name].items():
            told = side.incomplete.get(value) if axis == "language" else None
            rows[value][side.run.name] = _cell(axis, part, told)
    _add_changes(rows, split, _bases([side.run for side in sides]))
    if axis != "language":
        _add_lacks(rows, split)
    return Breakdown(*where, axis, {side.run.name: side.run.short_title for side in sides}, rows)


def _bases(runs: Sequence[Run]) -> dict[str, str]:
    """Run → the run without retrieval that it is measured against, by their names."""
    names = [run.name for run in runs]
    found = {run.name: partner(run, BASE_SETTING, names) for run in runs if run.setting != BASE_SETTING}
    return {name: base for name, base in found.items() if base is not None}


def resource_order(value: str) -> tuple[int, str]:
    """Alphabetical, but resource classes from high to low."""
    return (_RESOURCE_ORDER.index(value) if value in _RESOURCE_ORDER else -1, value)


def _split(side: _Side, axis: str) -> dict[str, _Part]:
    """The questions by their value on the axis; incomplete varieties only on the language axis."""
    run = side.columns
    left_out = run.within(() if axis == "language" else side.incomplete)
    found = {value: _Part(run, asked & ~left_out) for value, asked in run.split(axis).items()}
    return {value: part for value, part in found.items() if part.asked.any()}


def _cell(axis: str, part: _Part, fault: str | None) -> Cell:
    run, answered = part.columns, part.answered
    if not answered.any():
        return Cell(None, 0, fault)
    strata = dense(run.strata[answered]) if axis == "resource" else None
    accuracy = intervals.estimate(run.score[answered], dense(run.images[answered]), strata)
    return Cell(accuracy, accuracy.n, fault)


def _add_changes(rows: _Rows, split: _Split, bases: Mapping[str, str]) -> None:
    for value, cells in rows.items():
        parts = {name: split[name][value] for name in cells}
        ids = {name: part.columns.question_id[part.answered] for name, part in parts.items()}
        for name, cell in cells.items():
            base = cells.get(bases.get(name, ""))
            if base is None or base.accuracy is None or cell.accuracy is None:
                continue
            if np.array_equal(ids[name], ids[bases[name]]) and base.n == parts[bases[name]].asked.sum():
                cells[name] = replace(cell, change=cell.accuracy.value - base.accuracy.value)


def _add_lacks(rows: _Rows, split: _Split) -> None:
    for value, cells in rows.items():
        found = {name: split[name][value].languages for name in cells}
        together = set().union(*found.values())
        for name, cell in cells.items():
            cells[name] = replace(cell, lacks=tuple(sorted(together - found[name])))
