"""The tables of runs, settings, breakdowns, changes and gaps as plain tables: for CSV and Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from m4rag_tasks.report.breakdown import Breakdown, Cell
from m4rag_tasks.report.data_table import Column, DataTable, Row, Value
from m4rag_tasks.report.table_rows import ChangeRow, GapRow, Report, RunRow, SettingRow
from m4rag_tasks.report.titles import AXIS_TITLES, dataset_title, value_title

_WHO = (Column("model", "Model"), Column("dataset", "Data set"), Column("setting", "Setting"))
_LAST = Column("remarks", "Remarks")
_OPEN_ENDED = (("dual", "Dual"), ("multi", "Multi"), ("exact_single", "Exact"))


def runs_table(report: Report) -> DataTable:
    """What was run, with the digests of what it was run with."""
    keys = ("retriever", "contexts", "images", "versions", "dates", "limits", "templates", "caches", "files")
    titles = (
        "Retriever",
        "Context",
        "Image",
        "lmms-eval",
        "Started",
        "Limit",
        "Templates",
        "Retrieval caches",
        "Files",
    )
    columns = tuple(Column(key, title) for key, title in zip(keys, titles, strict=True))
    return DataTable("runs", "What was run", (*_WHO, *columns), tuple(_run(row, keys) for row in report.runs))


def settings_table(report: Report, kind: str) -> DataTable:
    """The averages of all runs of one kind of answer (`mcq` or `open_ended`)."""
    if kind == "open_ended":
        key, title, scores = "settings_open_ended", "Accuracy by setting, open-ended", _OPEN_ENDED
    else:
        key, title, scores = "settings", "Accuracy by setting", (("strict", "Strict"),)
    columns = (
        *_WHO,
        *(Column(name, head, "percent", True) for name, head in (("macro", "Macro"), ("micro", "Micro"), *scores)),
        Column("invalid", "Not understood, micro", "percent", True),
        Column("failed", "Failed requests", "count"),
        Column("questions", "Questions", "count"),
        Column("averaged", "Varieties averaged", "count"),
        Column("varieties", "Varieties", "count"),
        _LAST,
    )
    rows = tuple(_setting(row, [name for name, _ in scores]) for row in report.settings if row.kind == kind)
    return DataTable(key, title, columns, rows)


def changes_table(report: Report) -> DataTable:
    """Retention, correction and difference of each setting against no retrieval."""
    columns = (
        *_WHO,
        Column("against", "Against"),
        Column("retention", "Retention, %", "percent", True),
        Column("correction", "Correction, %", "percent", True),
        Column("difference", "Difference, points", "points", True),
        Column("repaired", "Repaired", "count"),
        Column("broken", "Broken", "count"),
        Column("p", "p", "p"),
        Column("mcnemar_p", "McNemar p", "p"),
        Column("varieties", "Varieties", "count"),
        _LAST,
    )
    return DataTable("changes", "Retention and correction", columns, tuple(map(_change, report.changes)))


def gaps_table(report: Report) -> DataTable:
    """What is missing to the accuracy with oracle context."""
    columns = (
        *_WHO,
        Column("against", "Against"),
        Column("gap", "Gap, points", "points", True),
        Column("varieties", "Varieties", "count"),
        _LAST,
    )
    return DataTable("gaps", "Oracle gap", columns, tuple(map(_gap, report.gaps)))


def breakdown_table(report: Report, number: int) -> DataTable:
    """The breakdown of that number: accuracy and, where it can be had, its change, per setting."""
    table = report.breakdowns[number]
    where = dataset_title(table.dataset, table.asking)
    columns: list[Column] = [Column(table.axis, AXIS_TITLES[table.axis]), Column("name", "Name")]
    for name, title in table.titles.items():
        columns.append(Column(name, title, "percent", True))
        columns.append(Column(f"{name}_change", f"{title}: change, points", "points"))
    columns.append(_LAST)
    title = f"{table.model} on {where}, by {AXIS_TITLES[table.axis].lower()}"
    return DataTable(f"by_{table.axis}_{number + 1}", title, tuple(columns), tuple(_by_value(table, report)))


def all_tables(report: Report) -> list[DataTable]:
    """Every table of the overview that has rows."""
    tables = [
        runs_table(report),
        *(settings_table(report, kind) for kind in dict.fromkeys(row.kind for row in report.settings)),
        *(breakdown_table(report, number) for number in range(len(report.breakdowns))),
        changes_table(report),
        gaps_table(report),
    ]
    return [table for table in tables if table.rows]


def _who(row: RunRow | SettingRow | ChangeRow | GapRow) -> tuple[str, str, str]:
    return row.model, dataset_title(row.dataset), row.name


def _run(row: RunRow, keys: Sequence[str]) -> Row:
    values = (getattr(row, key) for key in keys)
    return Row((*_who(row), *((", ".join(value) if isinstance(value, tuple) else value) or None for value in values)))


def _setting(row: SettingRow, scores: Sequence[str]) -> Row:
    further = [row.strict if name == "strict" else row.references.get(name) for name in scores]
    remarks = [f"{language}: {why}" for language, why in row.faults.items()]
    remarks += [*row.limits, *(f"without {variety}" for variety in row.lacks)]
    counts: tuple[Value, ...] = (row.failed, row.questions, row.averaged, row.languages)
    return Row((*_who(row), row.macro, row.micro, *further, row.invalid, *counts, "; ".join(remarks) or None))


def _change(row: ChangeRow) -> Row:
    known = row.difference is not None
    flips: tuple[Value, ...] = (row.repaired, row.broken) if known else (None, None)
    rates = (row.retention, row.correction, row.difference)
    tests = (row.p_value, row.mcnemar_p, row.languages if known else None)
    return Row((*_who(row), row.partner, *rates, *flips, *tests, row.problem))


def _gap(row: GapRow) -> Row:
    return Row((*_who(row), row.partner, row.gap, row.languages if row.gap else None, row.problem))


def _by_value(table: Breakdown, report: Report) -> Iterator[Row]:
    for value, cells in table.rows.items():
        language = value if table.axis == "language" else ""
        figures: list[Value] = []
        for name in table.titles:
            cell = cells.get(name)
            figures += [cell.accuracy, cell.change] if cell else [None, None]
        remarks = "; ".join(filter(None, (_remark(table.titles[name], cell) for name, cell in cells.items())))
        yield Row((value, value_title(table.axis, value, report.names), *figures, remarks or None), language)


def _remark(title: str, cell: Cell) -> str:
    lacks = f"without {', '.join(cell.lacks)}" if cell.lacks else ""
    told = "; ".join(filter(None, (cell.fault, lacks)))
    return f"{title}: {told}" if told else ""
