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

from m4rag_tasks import metrics
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.checks import Record, is_failed
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


_Pair = tuple[Run, Faults]
_Rows = Mapping[str, dict[str, Cell]]
_Split = Mapping[str, Mapping[str, Sequence[Record]]]
"""Records by run and value."""


def breakdowns(runs: Sequence[Run], faults: Sequence[Faults]) -> list[Breakdown]:
    """The tables of every model, data set and way of asking, language varieties first."""
    grouped: dict[tuple[str, str, str], list[_Pair]] = {}
    for run, incomplete in zip(runs, faults, strict=True):
        grouped.setdefault((run.model, run.dataset, run.asking), []).append((run, incomplete))
    return [table for where, pairs in grouped.items() for table in _tables(where, pairs)]


def _tables(where: tuple[str, str, str], pairs: Sequence[_Pair]) -> list[Breakdown]:
    tables = [_breakdown(where, axis, pairs) for axis in AXES]
    # One value only repeats the settings table, languages of one variety each repeat the first table.
    told = {"language"} | {table.axis for table in tables if len(table.rows) > 1}
    merged = _merges_varieties([run for run, _ in pairs])
    return [table for table in tables if table.axis in told and (merged or table.axis != "base_language")]


def _merges_varieties(runs: Sequence[Run]) -> bool:
    pairs = {(record["language"], record.get("base_language")) for run in runs for record in run.records}
    return len({language for _, language in pairs}) < len(pairs)


def _breakdown(where: tuple[str, str, str], axis: str, pairs: Sequence[_Pair]) -> Breakdown:
    split = {run.name: _split(run, axis, incomplete) for run, incomplete in pairs}
    values = sorted({value for groups in split.values() for value in groups}, key=resource_order)
    rows: dict[str, dict[str, Cell]] = {value: {} for value in values}
    for run, incomplete in pairs:
        for value, records in split[run.name].items():
            told = incomplete.get(value) if axis == "language" else None
            rows[value][run.name] = _cell(axis, records, told)
    _add_changes(rows, split, _bases([run for run, _ in pairs]))
    if axis != "language":
        _add_lacks(rows, split)
    return Breakdown(*where, axis, {run.name: run.short_title for run, _ in pairs}, rows)


def _bases(runs: Sequence[Run]) -> dict[str, str]:
    """Run → the run without retrieval that it is measured against, by their names."""
    names = [run.name for run in runs]
    found = {run.name: partner(run, BASE_SETTING, names) for run in runs if run.setting != BASE_SETTING}
    return {name: base for name, base in found.items() if base is not None}


def resource_order(value: str) -> tuple[int, str]:
    """Alphabetical, but resource classes from high to low."""
    return (_RESOURCE_ORDER.index(value) if value in _RESOURCE_ORDER else -1, value)


def _split(run: Run, axis: str, incomplete: Faults) -> dict[str, list[Record]]:
    """The records by their value on the axis; incomplete varieties only on the language axis."""
    groups: dict[str, list[Record]] = {}
    for record in run.records:
        value = record.get(axis)
        if value is not None and (axis == "language" or record["language"] not in incomplete):
            groups.setdefault(str(value), []).append(record)
    return groups


def _cell(axis: str, records: Sequence[Record], fault: str | None) -> Cell:
    answered = [record for record in records if not is_failed(record)]
    if not answered:
        return Cell(None, 0, fault)
    return Cell(_macro(answered) if axis == "resource" else metrics.accuracy(answered), len(answered), fault)


def _macro(records: Sequence[Record]) -> Estimate:
    by_language: dict[str, list[Record]] = {}
    for record in records:
        by_language.setdefault(record["language"], []).append(record)
    return metrics.macro(by_language)


def _add_changes(rows: _Rows, split: _Split, bases: Mapping[str, str]) -> None:
    for value, cells in rows.items():
        asked = {name: split[name][value] for name in cells}
        ids = {name: {record["question_id"] for record in asked[name] if not is_failed(record)} for name in cells}
        for name, cell in cells.items():
            base = cells.get(bases.get(name, ""))
            if base is None or base.accuracy is None or cell.accuracy is None:
                continue
            if ids[name] == ids[bases[name]] and base.n == len(asked[bases[name]]):
                cells[name] = replace(cell, change=cell.accuracy.value - base.accuracy.value)


def _add_lacks(rows: _Rows, split: _Split) -> None:
    for value, cells in rows.items():
        found = {name: {record["language"] for record in split[name][value]} for name in cells}
        together = set().union(*found.values())
        for name, cell in cells.items():
            cells[name] = replace(cell, lacks=tuple(sorted(together - found[name])))
