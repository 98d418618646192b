"""The report in Markdown: for the appendix of a paper, or to read beside code. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from m4rag_tasks.report import overview
from m4rag_tasks.report.data_table import DataTable, markdown
from m4rag_tasks.report.sections import Section
from m4rag_tasks.report.table_rows import Report

# A table of an appendix; the rest of it is in the CSV file.
_MOST_ROWS = 60
_INTROS = {
    "settings": "Accuracy in %, with 95 % intervals clustered by image. Macro is the mean over language varieties, "
    "micro the mean over questions; both leave incomplete varieties out.",
    "languages": "Accuracy in %; changes are against no retrieval on the same questions, in points.",
    "changes": "Retention: of the questions answered right without retrieval, how many stay right. Correction: of "
    "those answered wrong, how many become right. Difference: accuracy minus that without retrieval. p values are "
    "for each row by itself.",
    "gap": "Accuracy with oracle context minus accuracy in the setting, on the same questions.",
}


def render(report: Report) -> str:
    """Notes, then every section with its tables; charts and examples are on the page alone."""
    lines = ["# M4-RAG report", "", f"Models: {', '.join(report.models)}.", ""]
    if report.notes:
        lines += ["## Read before comparing numbers", "", *(f"- {note}" for note in report.notes), ""]
    for key, title, tables in _own(report):
        lines += [f"## {title}", ""]
        lines += [_INTROS[key], ""] if key in _INTROS else []
        lines += _tables(tables)
        for section in report.sections:
            lines += body(section) if section.key == key else []
    own = {key for key, *_ in _own(report)}
    for section in report.sections:
        lines += [f"## {section.title}", "", *body(section)] if section.key not in own else []
    return "\n".join(lines).rstrip() + "\n"


def _own(report: Report) -> Iterator[tuple[str, str, list[DataTable]]]:
    kinds = dict.fromkeys(row.kind for row in report.settings)
    yield "run", "What was run", [overview.runs_table(report)]
    yield "settings", "Settings", [overview.settings_table(report, kind) for kind in kinds]
    numbers = range(len(report.breakdowns))
    yield "languages", "Languages", [overview.breakdown_table(report, number) for number in numbers]
    yield "changes", "Retention and correction", [overview.changes_table(report)]
    yield "gap", "Oracle gap", [overview.gaps_table(report)]


def body(section: Section) -> list[str]:
    """The lines of one section below its title."""
    missing = [line for text in section.missing for line in (f"> {text}", "")]
    return [section.intro, "", *missing, *_tables(section.tables)]


def _tables(tables: list[DataTable] | tuple[DataTable, ...]) -> list[str]:
    lines = []
    for table in tables:
        if table.rows:
            lines += [f"**{table.title}**", "", markdown(table, _MOST_ROWS)]
            lines += [table.more, ""] if table.more else []
    return lines
