"""RQ1: settings against each other, paired by question, corrected for the number of tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from m4rag_tasks.analysis import Comparison, Comparisons, compare_settings
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.findings.groups import Group, caption, is_who, who
from m4rag_tasks.report.panels import role
from m4rag_tasks.report.sections import Section

POINTS = Column("difference", "Difference, points", "points", True)
_INTRO = (
    "All pairs of settings on the same questions: accuracy of the first minus accuracy of the second, mean over "
    "varieties, interval and p clustered by image. The adjusted p is Holm’s, over all pairs of all models on a data "
    "set: below 0.05, at most one family in twenty has a false finding."
)


def section(among: Sequence[Group]) -> Section:
    """Every pair of settings, and each setting against no retrieval as a chart."""
    families = _families(among)
    rows, charts, missing = [], [], []
    for family, compared in families:
        by_model = {group.model: group for group in family}
        rows += [_row(by_model[one.model], one) for one in compared.rows]
        charts += [chart for group in family if (chart := _chart(group, compared, among))]
        missing += [f"{family[0].where}: {problem}." for problem in compared.problems]
    columns = (
        *who(among, "Setting"),
        Column("against", "Against", hidden=True),
        Column("against_title", "Against"),
        POINTS,
        Column("p", "p", "p"),
        Column("p_adjusted", "p adjusted", "p"),
        Column("clear", "Clear"),
        Column("only_first", "Right here alone", "count"),
        Column("only_second", "Right there alone", "count"),
        Column("varieties", "Varieties", "count"),
    )
    table = DataTable("settings_compared", "Settings compared in pairs", columns, tuple(rows))
    if not rows:
        missing.append("No two settings of one model were run on the same questions, so none can be compared.")
    return Section("settings", "Settings", _INTRO, tuple(charts), (table,) if rows else (), tuple(missing))


def _families(among: Sequence[Group]) -> Iterator[tuple[list[Group], Comparisons]]:
    asked: dict[tuple[str, str], list[Group]] = {}
    for group in among:
        asked.setdefault((group.dataset, group.asking), []).append(group)
    for family in asked.values():
        yield family, compare_settings({group.model: group.columns for group in family})


def _row(group: Group, one: Comparison) -> Row:
    difference = one.difference
    tests = (difference.p_value, one.adjusted_p, "yes" if one.significant else "no")
    counts = (difference.only_a, difference.only_b, one.languages)
    return Row((*is_who(group, one.a), one.b, group.title(one.b), difference.estimate, *tests, *counts))


def _chart(group: Group, compared: Comparisons, among: Sequence[Group]) -> Chart | None:
    marks = []
    for name in group.columns:
        base = group.base(name)
        for one in compared.rows:
            if one.model == group.model and (one.a, one.b) == (name, base):
                told = f"{group.title(name)}: {shown(POINTS, one.difference.estimate)}"
                marks.append(Mark.of(group.title(name), one.difference.estimate, role(group.runs[name].setting), told))
    if not marks:
        return None
    text = "Accuracy minus that without retrieval, in points, with 95 % intervals."
    label = f"{group.told}: {text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("rows", label, caption(text, group, among), "Difference, points", tuple(marks), rule=0.0)
