"""The report as one HTML page: no other file, no network, every text from the data escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from m4rag_tasks import suite
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.breakdown import Breakdown, Cell
from m4rag_tasks.report.examples import BASE_SETTING
from m4rag_tasks.report.table_rows import ChangeRow, Report, SettingRow
from m4rag_tasks.report.tables import ORACLE_SETTING
from m4rag_tasks.report.titles import AXIS_TITLES, dataset_title, value_title

_FOLDER = Path(__file__).parent
_MINUS = "−"
_SMALLEST_P = 0.001
# Of a longer response only the end is open to the eye: that is where the answer stands.
_LONG_RESPONSE = 400
_SECTIONS = (
    ("run", "What was run"),
    ("settings", "Settings"),
    ("languages", "Languages"),
    ("changes", "Retention and correction"),
    ("gap", "Oracle gap"),
    ("examples", "Examples"),
)


@dataclass(frozen=True)
class Panel:
    """The settings of one model on one data set, asked in one way, drawn on one axis."""

    model: str
    title: str
    rows: tuple[SettingRow, ...]
    base: float | None
    verdict: str


def render(report: Report) -> str:
    """The page. The same report always gives the same text."""
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            report=report,
            names=report.names,
            css=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=_script_hash(script),
            sections=_SECTIONS,
            axis_titles=AXIS_TITLES,
            by_country=_split_by_country(report),
            setting_tables=_setting_tables(report),
            facts=_facts(report),
            panels=_panels(report),
            many_models=len(report.models) > 1,
            many_datasets=len(report.dataset_titles) > 1,
            change_span=_span([row.difference for row in report.changes]),
            long_response=_LONG_RESPONSE,
            gap_span=_span([row.gap for row in report.gaps]),
        )
    )


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters.update(
        percent=_percent,
        points=_points,
        place=_place,
        around=_around,
        share=lambda value: f"{_clamp(value):.3f}",
        count=lambda number: f"{number:,}",
        p_value=_p_value,
        mark=_mark,
        bcp47=_bcp47,
        lang_attribute=lambda tag: Markup(' lang="{}"').format(tag) if tag else "",
        outcome_class=lambda outcome: outcome if outcome in ("right", "wrong") else "failed",
        dataset_title=dataset_title,
        value_title=value_title,
        by_name=_by_name,
    )
    return environment


def _script_hash(script: str) -> str:
    """What the page's own rules allow to run: this script and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _facts(report: Report) -> list[tuple[str, str]]:
    tables = [table for table in report.breakdowns if table.axis == "language"]
    variants = {row.variant for row in report.settings}
    return [
        ("Models", f"{len(report.models)}"),
        ("Data sets", f"{len(report.dataset_titles)}"),
        ("Settings", f"{len({row.setting for row in report.settings})}"),
        *([("Variants", f"{len(variants)}")] if len(variants) > 1 else []),
        ("Language varieties", f"{len({language for table in tables for language in table.rows})}"),
        ("Answers", f"{sum(row.questions for row in report.settings):,}"),
    ]


def _split_by_country(report: Report) -> list[str]:
    """Titles of the data sets whose varieties are country-language subsets."""
    split = [name for name, dataset in suite.DATASETS.items() if dataset.columns == "cvqa"]
    return [title for name, title in report.dataset_titles.items() if name in split]


def _setting_tables(report: Report) -> list[tuple[str, list[SettingRow]]]:
    """The rows of the settings table by kind: an open-ended score is another thing."""
    kinds = dict.fromkeys(row.kind for row in report.settings)
    return [(kind, [row for row in report.settings if row.kind == kind]) for kind in kinds]


def _by_name(table: Breakdown, names: Mapping[str, str]) -> list[tuple[str, Mapping[str, Cell]]]:
    """The rows of a breakdown, languages by what people call them."""
    rows = list(table.rows.items())
    if table.axis in ("language", "base_language"):
        rows.sort(key=lambda row: (names.get(row[0], row[0]).casefold(), row[0]))
    return rows


def _panels(report: Report) -> list[Panel]:
    grouped: dict[tuple[str, str, str], list[SettingRow]] = {}
    for row in report.settings:
        grouped.setdefault((row.model, row.dataset, row.asking), []).append(row)
    panels = []
    for (model, dataset, asking), rows in grouped.items():
        # Settings are set against no retrieval in one variant: the plain one, where it was run.
        lead = asking if any(row.variant == asking for row in rows) else rows[0].variant
        own = [row for row in rows if row.setting == BASE_SETTING and row.variant == lead]
        base = next((row.macro.value for row in own if row.macro), None)
        changes = [row for row in report.changes if (row.model, row.dataset, row.variant) == (model, dataset, lead)]
        panels.append(Panel(model, dataset_title(dataset, asking), tuple(rows), base, _verdict(changes)))
    return panels


def _verdict(changes: Sequence[ChangeRow]) -> str:
    """How many retrieval settings clearly help. The oracle is told the answer, so it does not count."""
    differences = [row.difference for row in changes if row.difference and _mark(row.setting) == "rag"]
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


def _span(estimates: Sequence[Estimate | None]) -> float:
    """Half the width of an axis around zero that holds every interval."""
    ends = [
        abs(end)
        for estimate in estimates
        if estimate is not None
        for end in (estimate.value, estimate.low, estimate.high)
        if end is not None
    ]
    return max([0.05, *ends]) * 1.05


def _percent(value: float) -> str:
    return f"{value * 100:.1f}"


def _points(value: float) -> str:
    """Signed, in percentage points, with a real minus sign."""
    text = f"{abs(value) * 100:.1f}"
    if float(text) == 0:
        return "±0.0"
    return f"+{text}" if value > 0 else f"{_MINUS}{text}"


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))


def _place(value: float) -> str:
    return f"{_clamp(value) * 100:.2f}%"


def _around(value: float, span: float) -> str:
    return _place((value / span + 1) / 2)


def _p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return f"< {_SMALLEST_P}" if value < _SMALLEST_P else f"{value:.3f}"


def _mark(setting: str) -> str:
    return {BASE_SETTING: "base", ORACLE_SETTING: "oracle"}.get(setting, "rag")


def _bcp47(code: str) -> str:
    """The language of a variety's code (`jv_krama` → `jv`), so that browsers pick its fonts; else nothing."""
    language = re.split(r"[_-]", code)[0]
    return language if re.fullmatch(r"[a-z]{2,3}", language) else ""
