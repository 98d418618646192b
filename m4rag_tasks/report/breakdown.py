"""Accuracy by language, and by country, category and prompt type where the data set has them.

One table per model, data set and axis: a row per language (country, …), a
column per setting. Each cell also says how far it is from no retrieval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks import metrics
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.completeness import Faults
from m4rag_tasks.report.examples import BASE_SETTING
from m4rag_tasks.report.runs import Run, partner
from m4rag_tasks.report.samples import FAILED, Record

AXES = ("language", "country", "category", "prompt_type")


@dataclass(frozen=True)
class Cell:
    """One model's answers in one setting to the questions of one row."""

    accuracy: Estimate | None
    n: int
    fault: str | None = None
    change: float | None = None
    """Difference to the partner's cell without retrieval, where both hold the same questions."""


@dataclass(frozen=True)
class Breakdown:
    """One model on one data set, split along one axis; cells by row and then by setting."""

    model: str
    dataset: str
    axis: str
    settings: tuple[str, ...]
    rows: Mapping[str, Mapping[str, Cell]]


def breakdowns(runs: Sequence[Run], faults: Sequence[Faults]) -> list[Breakdown]:
    """The tables of every model and data set, languages first."""
    grouped: dict[tuple[str, str], list[tuple[Run, Faults]]] = {}
    for run, incomplete in zip(runs, faults, strict=True):
        grouped.setdefault((run.model, run.dataset), []).append((run, incomplete))
    tables = [_breakdown(model, dataset, axis, pairs) for (model, dataset), pairs in grouped.items() for axis in AXES]
    # An axis with one value only repeats the settings table.
    return [table for table in tables if table.axis == "language" or len(table.rows) > 1]


def _breakdown(model: str, dataset: str, axis: str, pairs: Sequence[tuple[Run, Faults]]) -> Breakdown:
    settings = tuple(run.setting for run, _ in pairs)
    by_setting = {run.setting: _split(run, axis, incomplete) for run, incomplete in pairs}
    values = sorted({value for groups in by_setting.values() for value in groups})
    rows: dict[str, dict[str, Cell]] = {value: {} for value in values}
    for run, incomplete in pairs:
        other = None if run.family == BASE_SETTING else partner(run, BASE_SETTING, by_setting)
        base = by_setting[other] if other else {}
        for value, records in by_setting[run.setting].items():
            rows[value][run.setting] = _cell(records, base.get(value, []), _fault(axis, value, incomplete))
    return Breakdown(model, dataset, axis, settings, rows)


def _split(run: Run, axis: str, incomplete: Faults) -> dict[str, list[Record]]:
    """The records by their value on the axis; incomplete languages only on the language axis."""
    groups: dict[str, list[Record]] = {}
    for record in run.records:
        value = record.get(axis)
        if value is not None and (axis == "language" or record["language"] not in incomplete):
            groups.setdefault(str(value), []).append(record)
    return groups


def _fault(axis: str, value: str, incomplete: Faults) -> str | None:
    return incomplete.get(value) if axis == "language" else None


def _cell(records: Sequence[Record], base: Sequence[Record], fault: str | None) -> Cell:
    answered = [record for record in records if record["parse"] != FAILED]
    accuracy = metrics.accuracy(answered) if answered else None
    return Cell(accuracy, len(answered), fault, _change(answered, base))


def _change(records: Sequence[Record], base: Sequence[Record]) -> float | None:
    if any(record["parse"] == FAILED for record in base):
        return None
    before = {record["question_id"]: record["score"] for record in base}
    after = {record["question_id"]: record["score"] for record in records}
    if not after or after.keys() != before.keys():
        return None
    return float(sum(after.values()) - sum(before.values())) / len(after)
