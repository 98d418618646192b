"""The charts at the top: one model on one data set, its settings from left to right. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, shown
from m4rag_tasks.report.examples import BASE_SETTING, ORACLE_SETTING
from m4rag_tasks.report.table_rows import ChangeRow, Report, SettingRow
from m4rag_tasks.report.titles import dataset_title

_ACCURACY = Column("accuracy", "Accuracy", "percent", True)


@dataclass(frozen=True)
class Panel:
    """The settings of one model on one data set, asked in one way; `chart` is None where nothing is complete."""

    model: str
    title: str
    verdict: str
    chart: Chart | None


def panels(report: Report) -> list[Panel]:
    """One panel per model, data set and way of asking, in the order of the settings table."""
    grouped: dict[tuple[str, str, str], list[SettingRow]] = {}
    for row in report.settings:
        grouped.setdefault((row.model, row.dataset, row.asking), []).append(row)
    return [_panel(*where, rows, report.changes) for where, rows in grouped.items()]


def role(setting: str) -> str:
    """Which of the three kinds a setting is: `base` (no retrieval), `oracle` or `rag`."""
    return {BASE_SETTING: "base", ORACLE_SETTING: "oracle"}.get(setting, "rag")


def _panel(model: str, dataset: str, asking: str, rows: Sequence[SettingRow], changes: Sequence[ChangeRow]) -> Panel:
    # Settings are set against no retrieval in one variant: the plain one, where it was run.
    lead = asking if any(row.variant == asking for row in rows) else rows[0].variant
    own = [row for row in rows if row.setting == BASE_SETTING and row.variant == lead]
    base = next((row.macro.value for row in own if row.macro), None)
    compared = [row for row in changes if (row.model, row.dataset, row.variant) == (model, dataset, lead)]
    title = dataset_title(dataset, asking)
    return Panel(model, title, _verdict(compared), _chart(f"{model} on {title}", rows, base))


def _chart(where: str, rows: Sequence[SettingRow], base: float | None) -> Chart | None:
    marks = [
        Mark.of(_name(row), row.macro, role(row.setting), f"{row.short_title}: {shown(_ACCURACY, row.macro)}")
        for row in rows
        if row.macro is not None
    ]
    if not marks:
        return None
    chance = next((row.chance for row in rows if row.chance is not None), None)
    told = "; ".join(mark.tip for mark in marks)
    return Chart(
        form="rows",
        label=f"Accuracy of {where}, in %, with 95 % intervals. {told}",
        caption=_caption(rows, base, chance),
        axis="Accuracy, %",
        marks=tuple(marks),
        domain=(0.0, 1.0),
        rule=base,
        chance=chance,
    )


def _name(row: SettingRow) -> str:
    return f"{row.short_title}{' *' if row.faults else ''}{' †' if row.lacks else ''}"


def _caption(rows: Sequence[SettingRow], base: float | None, chance: float | None) -> str:
    told = ["Accuracy in %, mean over language varieties; bars are 95 % intervals."]
    told += ["Dashed: no retrieval."] if base is not None else []
    told += ["Dotted: guessing."] if chance is not None else []
    told += ["*: without its incomplete varieties."] if any(row.faults for row in rows) else []
    if any(row.lacks for row in rows):
        told.append("†: without varieties that other settings have, so not to be compared with them here.")
    if nothing := [row.short_title for row in rows if row.macro is None]:
        told.append(f"Without a complete variety, so not drawn: {', '.join(nothing)}.")
    return " ".join(told)


def _verdict(changes: Sequence[ChangeRow]) -> str:
    """How many retrieval settings clearly help. The oracle is told the answer, so it does not count."""
    differences = [row.difference for row in changes if row.difference and role(row.setting) == "rag"]
    known = [(one.low, one.high) for one in differences if one.low is not None and one.high is not None]
    if not known:
        return ""
    better = sum(low > 0 for low, _ in known)
    worse = sum(high < 0 for _, high in known)
    settings = "retrieval setting" if len(known) == 1 else "retrieval settings"
    return (
        f"Of {len(known)} {settings}, {better} clearly better than no retrieval, {worse} clearly worse, "
        f"{len(known) - better - worse} undecided (95 % intervals)."
    )


def span(estimates: Sequence[Estimate | None]) -> float:
    """Half the width of an axis around zero that holds every interval."""
    ends = [
        abs(end)
        for estimate in estimates
        if estimate is not None
        for end in (estimate.value, estimate.low, estimate.high)
        if end is not None
    ]
    return max([0.05, *ends]) * 1.05
