"""Writes a report: the page, the numbers as CSV and JSON, and a table for the terminal."""

from __future__ import annotations

import contextlib
import csv
import gc
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from m4rag_tasks.errors import GradesError, RunError
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report import markdown, overview
from m4rag_tasks.report.data_table import DataTable, as_json
from m4rag_tasks.report.examples import pick_examples
from m4rag_tasks.report.graded import grade
from m4rag_tasks.report.html import render
from m4rag_tasks.report.pictures import FindImage
from m4rag_tasks.report.runs import load_runs
from m4rag_tasks.report.table_files import write_tables
from m4rag_tasks.report.table_rows import ChangeRow, GapRow, Report, SettingRow
from m4rag_tasks.report.tables import build_report
from m4rag_tasks.report.terminal import aligned, encodable, write_text
from retrieval_cache.records import CacheWriteError

CSV_COLUMNS = ("model", "dataset", "setting", "variant", "axis", "group", "metric", "value", "low", "high", "n")


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """No search for cycles: among so many records, none of which is in one, it takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_collection()
def write_report(
    paths: Iterable[Path | str],
    out_dir: Path | str,
    find_image: FindImage,
    language_names: Mapping[str, str],
    rule: str | None = None,
    examples_per_model: int = 12,
    grades: Sequence[Path] = (),
    judge: str | None = None,
    sizes: Mapping[str, str] | None = None,
    remarks: Sequence[str] = (),
) -> tuple[Path, Report]:
    """Writes the report into `out_dir`; returns the page's path and the report.

    That is report.html, report.md, every figure in long format in results.csv, everything in results.json,
    and each table by itself in tables/.

    `paths` are output folders of lmms-eval, model folders or samples files.
    With a `rule` (one of `answers.RULES`) the stored answers are scored again
    under it. `language_names` maps codes of language varieties to what people call them.
    `grades` are grades files; `judge` says whose grades are used where they are of several.
    `sizes` says how many parameters models have whose names do not ("7B").
    `remarks` stand before what else is to be known before figures are compared.
    Raises `RunError` where nothing can be reported, `GradesError` for grades that cannot be used.
    """
    if judge is not None and not grades:
        raise GradesError(f"A judge is named, {judge!r}, but no grades: give the file of its grades (--grades).")
    notes: list[str] = [*remarks]
    runs = load_runs(paths, notes, rule)
    if rule is not None:
        notes.append(f"The stored answers were read again under the rule {rule!r}.")
    graded = grade(runs, grades, judge, notes)
    examples = pick_examples(runs, find_image, examples_per_model)
    report = build_report(runs, notes, examples, language_names, graded, sizes)
    try:
        return _write(Path(out_dir), report), report
    except CacheWriteError as error:
        raise RunError(f"The report cannot be written: {error.message} Name another folder.") from error


def _write(folder: Path, report: Report) -> Path:
    write_text(folder / "results.csv", results_csv(report))
    write_text(folder / "results.json", results_json(report))
    write_text(folder / "report.md", markdown.render(report))
    write_tables(folder / "tables", tables_of(report))
    # The page comes last: where it stands, the rest stands too.
    write_text(folder / "report.html", render(report))
    return folder / "report.html"


def text_table(report: Report) -> str:
    """The settings table for the terminal, in aligned columns, with its notes below."""
    heads = ("model", "data set", "setting", "macro", "95 % interval", "micro", "invalid", "failed", "asked", "langs")
    rows = [
        (
            row.model,
            row.dataset,
            row.name,
            _percent(row.macro),
            _interval(row.macro),
            _percent(row.micro),
            _percent(row.invalid),
            str(row.failed),
            str(row.questions),
            f"{row.averaged}/{row.languages}" + ("*" if _has_caveat(row) else ""),
        )
        for row in report.settings
    ]
    lines = aligned([heads, *rows], left=3)
    if any(map(_has_caveat, report.settings)):
        lines.append("* incomplete, limited, or without varieties that other settings have: see the notes")
    return encodable("\n".join([*lines, *(f"note: {note}" for note in report.notes)]))


def results_csv(report: Report) -> str:
    """All numbers in long format: one line per figure.

    `axis` is "all" with the group "macro" or "micro", or an axis of the breakdowns with
    one of its values. A metric ends in "_incomplete" where the group lacks questions or varieties.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    writer.writerows(_long_rows(report))
    return buffer.getvalue()


def results_json(report: Report) -> str:
    """Everything in the tables; examples stay in the page."""
    content = asdict(replace(report, examples=(), sections=()))
    del content["examples"]
    content["sections"] = {
        section.key: {
            "title": section.title,
            "missing": list(section.missing),
            "tables": {table.key: as_json(table) for table in section.tables},
        }
        for section in report.sections
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def tables_of(report: Report) -> list[DataTable]:
    """Every table of the report that has rows."""
    found = [table for section in report.sections for table in section.tables]
    return [*overview.all_tables(report), *(table for table in found if table.rows)]


_Line = tuple[object, ...]


def _long_rows(report: Report) -> Iterator[_Line]:
    for row in report.settings:
        yield from _of_setting(row)
    variants = {(row.model, row.dataset, row.name): (row.setting, row.variant) for row in report.settings}
    for table in report.breakdowns:
        for value, cells in table.rows.items():
            for name, cell in cells.items():
                where = (table.model, table.dataset, *variants[table.model, table.dataset, name], table.axis, value)
                partial = cell.fault or cell.lacks
                yield from _figure(where, "accuracy_incomplete" if partial else "accuracy", cell.accuracy)
    for change in report.changes:
        yield from _of_change(change)
    for gap in report.gaps:
        yield from _figure((*_where(gap), "all", "macro"), "oracle_gap", gap.gap)


def _of_setting(row: SettingRow) -> Iterator[_Line]:
    macro, micro = (*_where(row), "all", "macro"), (*_where(row), "all", "micro")
    yield from _figure(macro, "accuracy", row.macro)
    yield from _figure(micro, "accuracy", row.micro)
    yield from _figure(macro, "strict", row.strict)
    for name, estimate in row.references.items():
        yield from _figure(macro, name, estimate)
    yield from _figure(micro, "invalid", row.invalid)
    yield (*micro, "failed_requests", row.failed, None, None, row.questions)


def _of_change(change: ChangeRow) -> Iterator[_Line]:
    macro, micro = (*_where(change), "all", "macro"), (*_where(change), "all", "micro")
    yield from _figure(micro, "retention", change.retention)
    yield from _figure(micro, "correction", change.correction)
    yield from _figure(macro, "difference", change.difference)
    if change.p_value is not None and change.difference is not None:
        yield (*macro, "difference_p", change.p_value, None, None, change.difference.n)
    if change.mcnemar_p is not None and change.difference is not None:
        for metric in ("repaired", "broken", "mcnemar_p"):
            yield (*micro, metric, getattr(change, metric), None, None, change.difference.n)


def _where(row: SettingRow | ChangeRow | GapRow) -> tuple[str, str, str, str]:
    return row.model, row.dataset, row.setting, row.variant


def _figure(where: tuple[str, ...], metric: str, estimate: Estimate | None) -> Iterator[_Line]:
    if estimate is not None:
        yield (*where, metric, estimate.value, estimate.low, estimate.high, estimate.n)


def _has_caveat(row: SettingRow) -> bool:
    return bool(row.faults or row.limits or row.lacks)


def _percent(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value * 100:.1f}"


def _interval(estimate: Estimate | None) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return "-"
    return f"{estimate.low * 100:.1f} to {estimate.high * 100:.1f}"
