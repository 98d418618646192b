"""`m4rag compare`: two runs → a table for the terminal and, on wish, a page, Markdown, CSV and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from m4rag_tasks.errors import RunError
from m4rag_tasks.report import data_table
from m4rag_tasks.report.compare.differences import Changed, changed
from m4rag_tasks.report.compare.pairing import pairs
from m4rag_tasks.report.compare.show import clear_changes, overall_table, sections
from m4rag_tasks.report.html import render_sections
from m4rag_tasks.report.markdown import body
from m4rag_tasks.report.runs import Run, load_runs
from m4rag_tasks.report.sections import Section
from m4rag_tasks.report.table_files import write_tables
from m4rag_tasks.report.terminal import aligned, encodable, write_text
from retrieval_cache.records import CacheWriteError

_TITLE = "M4-RAG comparison"


def compare(
    a: Path, b: Path, names: Mapping[str, str], out_dir: Path | None = None, rule: str | None = None
) -> tuple[str, Path | None]:
    """B minus A as text for the terminal, and the page's path if there is an `out_dir`.

    `a` and `b` are output folders of lmms-eval, model folders or samples files, each of one model. Raises `RunError`
    where nothing can be compared.
    """
    notes: list[str] = []
    runs_a, runs_b = _load(a, "A", notes, rule), _load(b, "B", notes, rule)
    found = []
    for pair in pairs(runs_a, runs_b, notes, names):
        try:
            found.append(changed(pair))
        except RunError as error:
            notes.append(f"{pair.title}: {error}")
    if not found:
        raise RunError("".join(["A and B cannot be compared.", *(f"\n- {note}" for note in notes)]))
    shown_a, shown_b = _told_apart(a, b)
    who = [f"A: {runs_a[0].model}, {shown_a}", f"B: {runs_b[0].model}, {shown_b}"]
    page = _write(out_dir, who, found, notes, names) if out_dir else None
    return _text(who, found, notes, names), page


def _load(path: Path, side: str, notes: list[str], rule: str | None) -> list[Run]:
    own: list[str] = []
    runs = load_runs([path], own, rule)
    notes += [f"{side}: {note}" for note in own]
    return runs


def _told_apart(a: Path, b: Path) -> tuple[str, str]:
    """The names of two paths, with the folder above where they are the same; a page is passed on without more."""
    parts = [path.resolve().parts for path in (a, b)]
    length = 1 if parts[0][-1:] != parts[1][-1:] else 2
    return "/".join(parts[0][-length:]), "/".join(parts[1][-length:])


def _text(who: Sequence[str], found: Sequence[Changed], notes: Sequence[str], names: Mapping[str, str]) -> str:
    table = overall_table(found)
    heads = tuple(column.title for column in table.columns)
    rows = [
        tuple(data_table.shown(column, cell) for column, cell in zip(table.columns, row.cells, strict=True))
        for row in table.rows
    ]
    lines = [*who, "", *aligned([heads, *rows], left=1), ""]
    clear = clear_changes(found, names)
    lines.append("Clear changes (adjusted p < 0.05):" if clear else "No variety or category changed clearly.")
    lines += [f"  {line}" for line in clear]
    return encodable("\n".join([*lines, *(f"note: {note}" for note in notes)]))


def _write(
    folder: Path, who: Sequence[str], found: Sequence[Changed], notes: Sequence[str], names: Mapping[str, str]
) -> Path:
    shown = sections(found, names)
    languages = {row.language for one in found for row in one.by_language.rows}
    varieties = sorted(((code, names.get(code, code)) for code in languages), key=lambda pair: pair[1].casefold())
    try:
        write_tables(folder / "tables", [table for section in shown for table in section.tables])
        write_text(folder / "compare.md", _markdown(who, shown, notes))
        write_text(folder / "compare.json", _json(who, shown, notes))
        write_text(folder / "compare.html", render_sections(_TITLE, who, notes, shown, varieties))
    except CacheWriteError as error:
        raise RunError(f"The comparison cannot be written: {error.message} Name another folder.") from error
    return folder / "compare.html"


def _markdown(who: Sequence[str], shown: Sequence[Section], notes: Sequence[str]) -> str:
    lines = [f"# {_TITLE}", "", *(line for one in who for line in (one, "")), *(f"- {note}" for note in notes), ""]
    for section in shown:
        lines += [f"## {section.title}", "", *body(section)]
    return "\n".join(lines).rstrip() + "\n"


def _json(who: Sequence[str], shown: Sequence[Section], notes: Sequence[str]) -> str:
    tables = {table.key: data_table.as_json(table) for section in shown for table in section.tables}
    content = {"compared": list(who), "notes": list(notes), "tables": tables}
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
