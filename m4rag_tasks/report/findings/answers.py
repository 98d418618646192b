"""Answers that name no option, by setting and variety."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from m4rag_tasks.analysis import OVERALL, Invalid, invalid_answers
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.findings.groups import VARIETY, Group, caption, is_who, who
from m4rag_tasks.report.panels import role
from m4rag_tasks.report.sections import Section

_MICRO = Column("invalid", "Not understood, micro, %", "percent", True)
_INVALID = Column("invalid", "Not understood, %", "percent", True)
_INTRO = (
    "Answers in which no option, or no answer at all, was found; they count as wrong. Of all questions, then of "
    "each variety in which there are any. Requests that failed are no answers and are not counted here."
)


def section(among: Sequence[Group], names: Mapping[str, str]) -> Section:
    """Overall, and by variety where there are any."""
    found = [(group, row) for group in among for row in invalid_answers(group.columns)]
    overall = tuple(_row(group, row) for group, row in found if row.language == OVERALL)
    parts = tuple(_row(group, row, names) for group, row in found if row.language and row.invalid.value > 0)
    by_variety = (*who(among), Column("language", "Variety", hidden=True), VARIETY, _INVALID)
    tables = [DataTable("invalid", "Answers not understood", (*who(among), _MICRO), overall)]
    if parts:
        title = "Answers not understood, by variety"
        tables.append(DataTable("invalid_by_variety", title, by_variety, parts, most=400))
    charts = tuple(chart for group in among if (chart := _chart(group, found, among)))
    missing = () if overall else ("No variety is complete, so there is no share to give.",)
    return Section("invalid", "Invalid answers", _INTRO, charts, tuple(tables) if overall else (), missing)


def _row(group: Group, row: Invalid, names: Mapping[str, str] | None = None) -> Row:
    variety = () if names is None else (row.language, names.get(row.language, row.language))
    return Row((*is_who(group, row.setting), *variety, row.invalid), row.language)


def _chart(group: Group, found: Sequence[tuple[Group, Invalid]], among: Sequence[Group]) -> Chart | None:
    marks = tuple(
        Mark.of(
            group.title(row.setting),
            row.invalid,
            role(group.runs[row.setting].setting),
            f"{group.title(row.setting)}: {shown(_INVALID, row.invalid)}",
        )
        for one, row in found
        if one is group and row.language == OVERALL
    )
    # Where everything was understood there is nothing to see.
    if not any(mark.value > 0 for mark in marks):
        return None
    text = "Answers not understood, in %."
    label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("rows", label, caption(text, group, among), "Not understood, %", marks)
