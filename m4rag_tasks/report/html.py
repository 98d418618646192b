"""The report as one HTML page: no other file, no network, every text from the data escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from m4rag_tasks import suite
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report import data_table, overview
from m4rag_tasks.report.breakdown import Breakdown, Cell
from m4rag_tasks.report.data_table import DataTable
from m4rag_tasks.report.drawing import Drawing, draw, draw_all
from m4rag_tasks.report.panels import panels, role, span
from m4rag_tasks.report.sections import Section
from m4rag_tasks.report.table_rows import Report, SettingRow
from m4rag_tasks.report.titles import AXIS_TITLES, dataset_title, value_title

_FOLDER = Path(__file__).parent / "page"
# Of a longer response only the end is open to the eye: that is where the answer stands.
_LONG_RESPONSE = 400
# Sections that have a template of their own, by key; a section of the analysis may add to them.
_OWN = {
    "run": "What was run",
    "settings": "Settings",
    "languages": "Languages",
    "changes": "Retention and correction",
    "gap": "Oracle gap",
    "examples": "Examples",
}
_ORDER = ("run", "settings", "languages", "size", "wording", "changes", "gap", "confusion")
_ORDER += ("flips", "leaks", "positions", "invalid", "cost", "examples")


@dataclass(frozen=True)
class Part:
    """One section of the page: its template, what the analysis has to say, or both."""

    key: str
    title: str
    template: str | None
    section: Section | None
    drawings: tuple[Drawing, ...]


def render(report: Report) -> str:
    """The page. The same report always gives the same text."""
    script = (_FOLDER / "page.js").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            **frame(script),
            **_of_tables(report),
            report=report,
            names=report.names,
            parts_shown=_parts(report),
            facts=_facts(report),
            panels=[(panel, draw(panel.chart) if panel.chart else None) for panel in panels(report)],
            varieties=_varieties(report),
            resources=report.resources,
            many_models=len(report.models) > 1,
            many_datasets=len(report.dataset_titles) > 1,
            long_response=_LONG_RESPONSE,
        )
    )


def render_sections(
    title: str,
    lead: Sequence[str],
    notes: Sequence[str],
    shown: Sequence[Section],
    varieties: Sequence[tuple[str, str]],
) -> str:
    """A page of sections alone; `lead` are the lines below the title, `varieties` those that can be chosen."""
    parts = _drawn([(one.key, one.title, None, one) for one in shown])
    template = environment().get_template("sections.html.jinja")
    lines = {"title": title, "lead": lead, "notes": notes, "parts_shown": parts}
    return template.render(**frame(), **lines, varieties=varieties, resources={})


def frame(script: str | None = None) -> dict[str, Any]:
    """What every page of ours is drawn with: style sheet, script and what allows it to run."""
    script = script if script is not None else (_FOLDER / "page.js").read_text(encoding="utf-8")
    return {
        "css": Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": _script_hash(script),
    }


@functools.cache
def environment() -> Environment:
    """Jinja with our templates and filters; whatever is not marked as HTML is escaped."""
    made = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    made.filters.update(
        percent=data_table.percent,
        points=data_table.points,
        p_value=data_table.p_value,
        shown=lambda value, column: data_table.shown(column, value),
        interval=lambda estimate, column: data_table.interval(column, estimate),
        sort_key=data_table.sort_key,
        csv_address=_csv_address,
        place=_place,
        around=lambda value, half: _place((value / half + 1) / 2),
        share=lambda value: f"{_clamp(value):.3f}",
        count=lambda number: f"{number:,}",
        mark=role,
        bcp47=_bcp47,
        lang_attribute=lambda tag: Markup(' lang="{}"').format(tag) if tag else "",
        outcome_class=lambda outcome: outcome if outcome in ("right", "wrong") else "failed",
        dataset_title=dataset_title,
        value_title=value_title,
        by_name=_by_name,
    )
    made.tests["estimate"] = lambda value: isinstance(value, Estimate)
    made.globals["numeric"] = data_table.NUMERIC
    return made


def _parts(report: Report) -> list[Part]:
    analysed = {section.key: section for section in report.sections}
    parts = []
    for key in (*_ORDER, *(key for key in analysed if key not in _ORDER)):
        section = analysed.get(key)
        if key in _OWN or section:
            template = f"section_{key}.html.jinja" if key in _OWN else None
            parts.append((key, _OWN.get(key) or section.title, template, section))
    return _drawn(parts)


def _drawn(parts: Sequence[tuple[str, str, str | None, Section | None]]) -> list[Part]:
    drawings = iter(draw_all([chart for *_, section in parts if section for chart in section.charts]))
    return [Part(*part, tuple(islice(drawings, len(part[-1].charts) if part[-1] else 0))) for part in parts]


def _of_tables(report: Report) -> dict[str, Any]:
    """The tables of the sections with templates of their own, as they show them and as they are downloaded."""
    return {
        "setting_tables": _setting_tables(report),
        "breakdown_tables": [
            (table, overview.breakdown_table(report, number)) for number, table in enumerate(report.breakdowns)
        ],
        "runs_table": overview.runs_table(report),
        "changes_table": overview.changes_table(report),
        "gaps_table": overview.gaps_table(report),
        "axis_titles": AXIS_TITLES,
        "by_country": _split_by_country(report),
        "change_span": span([row.difference for row in report.changes]),
        "gap_span": span([row.gap for row in report.gaps]),
    }


def _script_hash(script: str) -> str:
    """What the page's own rules allow to run: this script and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _csv_address(table: DataTable) -> str:
    """The table's CSV as a `data:` address: it is downloaded from the page itself, also where scripts are off."""
    content = data_table.csv_text(table).encode("utf-8", "backslashreplace")
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(content).decode('ascii')}"


def _facts(report: Report) -> list[tuple[str, str]]:
    variants = {row.variant for row in report.settings}
    return [
        ("Models", f"{len(report.models)}"),
        ("Data sets", f"{len(report.dataset_titles)}"),
        ("Settings", f"{len({row.setting for row in report.settings})}"),
        *([("Variants", f"{len(variants)}")] if len(variants) > 1 else []),
        ("Language varieties", f"{len(_varieties(report))}"),
        ("Answers", f"{sum(row.questions for row in report.settings):,}"),
    ]


def _varieties(report: Report) -> list[tuple[str, str]]:
    """Code and name of every variety, by name."""
    tables = [table for table in report.breakdowns if table.axis == "language"]
    codes = {language for table in tables for language in table.rows}
    return sorted(
        ((code, report.names.get(code, code)) for code in codes), key=lambda pair: (pair[1].casefold(), pair[0])
    )


def _split_by_country(report: Report) -> list[str]:
    """Titles of the data sets whose varieties are country-language subsets."""
    split = [name for name, dataset in suite.DATASETS.items() if dataset.columns == "cvqa"]
    return [title for name, title in report.dataset_titles.items() if name in split]


def _setting_tables(report: Report) -> list[tuple[str, list[SettingRow], DataTable]]:
    """The rows of the settings table by kind: an open-ended score is another thing."""
    kinds = dict.fromkeys(row.kind for row in report.settings)
    return [
        (kind, [row for row in report.settings if row.kind == kind], overview.settings_table(report, kind))
        for kind in kinds
    ]


def _by_name(table: Breakdown, names: Mapping[str, str]) -> list[tuple[str, Mapping[str, Cell]]]:
    """The rows of a breakdown, languages by what people call them."""
    rows = list(table.rows.items())
    if table.axis in ("language", "base_language"):
        rows.sort(key=lambda row: (names.get(row[0], row[0]).casefold(), row[0]))
    return rows


def _clamp(value: float) -> float:
    return min(1.0, max(0.0, value))


def _place(value: float) -> str:
    return f"{_clamp(value) * 100:.2f}%"


def _bcp47(code: str) -> str:
    """The language of a variety's code (`jv_krama` → `jv`), so that browsers pick its fonts; else nothing."""
    language = re.split(r"[_-]", code)[0]
    return language if re.fullmatch(r"[a-z]{2,3}", language) else ""
