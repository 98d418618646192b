"""Charts → Vega-Lite. Pure.

Vega-Lite is drawn when the report is written (`drawing`), not when it is read: the page
then needs no library of 5 MB and no permission to build code from text, prints as it is
seen, and shows its charts also where scripts are off. All numbers are in % or points:
values are given as shares and multiplied by 100 here.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from m4rag_tasks.report.charts import ROLES, Chart, Mark

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"

_COLOURS = tuple(f"var(--s{number})" for number in range(1, 9))
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
_ROLE_SHAPES = {"base": "square", "rag": "circle", "oracle": "diamond"}
_LABEL_LENGTHS = {True: 34, False: 18}
_LEGEND_LENGTHS = {True: 64, False: 34}
_STEP = 26
_OFFSET_STEP = 13
_WRAPPED = "split(datum.label, '\\n')"
_NAMES = {"labelExpr": _WRAPPED, "grid": False}
_NAMED_ROWS = {"field": "at", "type": "nominal", "sort": None, "title": None, "axis": _NAMES}


def specification(chart: Chart, width: int, wide: bool) -> dict[str, Any]:
    """The chart in Vega-Lite, `width` pixels for the marks; labels are shorter where it is not `wide`."""
    drawn = _FORMS[chart.form](chart, wide)
    return {
        "$schema": SCHEMA,
        "width": width,
        "background": None,
        "padding": 4,
        "autosize": {"type": "pad", "contains": "padding"},
        "config": _CONFIG,
        **drawn,
    }


def _rows(chart: Chart, wide: bool) -> dict[str, Any]:
    series = _series(chart)
    values = [_datum(mark, {"at": _wrapped(str(mark.at), wide)}) for mark in chart.marks]
    y = _NAMED_ROWS
    x = {"field": "value", "type": "quantitative", "title": chart.axis, "scale": _scale(chart), "axis": _ticks(chart)}
    beside = {"yOffset": {"field": "series", "type": "nominal", "sort": None}} if _crowded(chart) else {}
    wrapped = any("\n" in value["at"] for value in values)
    step = {"step": _OFFSET_STEP, "for": "offset"} if beside else {"step": _STEP + 8 * wrapped}
    shared = {"y": y, **beside, **_looks(series, wide), "description": {"field": "tip"}}
    range_ = _without(shared, "shape")
    layers = [
        *_rules(chart, "x"),
        {
            "mark": _RANGE,
            "transform": _WITH_ENDS,
            "encoding": {**range_, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {"mark": _POINT, "encoding": {**shared, "x": x}},
    ]
    if not beside:
        # Beside each row its number, for print.
        text = {"type": "text", "align": "left", "dx": 10, "fontSize": 12, "fontWeight": 600, "color": "var(--ink)"}
        layers.append({"mark": text, "encoding": {"y": y, "x": {"value": "width"}, "text": {"field": "shown"}}})
    return {"height": step, "data": {"values": values}, "layer": layers}


def _steps(chart: Chart, wide: bool) -> dict[str, Any]:
    series = _series(chart)
    values = [_datum(mark, {"at": _wrapped(str(mark.at), wide)}) for mark in chart.marks]
    x = {
        "field": "at",
        "type": "ordinal",
        "scale": {"domain": [_wrapped(step, wide) for step in chart.steps]},
        "title": chart.across or None,
        "axis": {**_NAMES, "labelAngle": 0},
    }
    y = {"field": "value", "type": "quantitative", "title": chart.axis, "scale": _scale(chart), "axis": _ticks(chart)}
    beside = {"xOffset": {"field": "series", "type": "nominal", "sort": None}} if _crowded(chart) else {}
    shared = {"x": x, **beside, **_looks(series, wide), "description": {"field": "tip"}}
    range_ = _without(shared, "shape")
    layers = [
        *_rules(chart, "y"),
        # A line carries no value of its own to tell.
        {
            "mark": {"type": "line", "strokeWidth": 1.5, "opacity": 0.5},
            "encoding": {**_without(range_, "description"), "y": y},
        },
        {
            "mark": _RANGE,
            "transform": _WITH_ENDS,
            "encoding": {**range_, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {"mark": _POINT, "encoding": {**shared, "y": y}},
    ]
    return {"height": 240, "data": {"values": values}, "layer": layers}


def _trend(chart: Chart, wide: bool) -> dict[str, Any]:
    series = _series(chart)
    values = [_datum(mark, {"at": mark.at}) for mark in chart.marks]
    scale = {"type": "log", "nice": False} if chart.log else {"zero": False}
    x = {"field": "at", "type": "quantitative", "title": chart.across, "scale": {**scale, "padding": 16}}
    if chart.log:
        x["axis"] = {"values": sorted({value["at"] for value in values}), "format": "~g", "labelOverlap": True}
    y = {"field": "value", "type": "quantitative", "title": chart.axis, "scale": _scale(chart), "axis": _ticks(chart)}
    shared = {"x": x, **_looks(series, wide), "description": {"field": "tip"}}
    range_ = _without(shared, "shape")
    layers = [
        *_rules(chart, "y"),
        *_fit(chart, x, y),
        {
            "mark": _RANGE,
            "transform": _WITH_ENDS,
            "encoding": {**range_, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {"mark": _POINT, "encoding": {**shared, "y": y}},
    ]
    return {"height": 260, "data": {"values": values}, "layer": layers}


def _shares(chart: Chart, wide: bool) -> dict[str, Any]:
    series = _series(chart)
    order = {name: number for number, name in enumerate(series)}
    values = [
        _datum(mark, {"at": _wrapped(str(mark.at), wide), "order": order[_printable(mark.series)]})
        for mark in chart.marks
    ]
    encoding = {
        "y": _NAMED_ROWS,
        "x": {
            "field": "value",
            "type": "quantitative",
            "title": chart.axis,
            "scale": _scale(chart),
            "axis": _ticks(chart),
            "stack": "zero",
        },
        "order": {"field": "order", "type": "ordinal"},
        "color": _looks(series, wide)["color"],
        "description": {"field": "tip"},
    }
    mark = {"type": "bar", "stroke": "var(--card)", "strokeWidth": 1}
    return {"height": {"step": _STEP + 6}, "data": {"values": values}, "mark": mark, "encoding": encoding}


_FORMS = {"rows": _rows, "steps": _steps, "trend": _trend, "shares": _shares}
_RANGE = {"type": "rule", "strokeWidth": 4, "opacity": 0.4, "strokeCap": "round"}
_POINT = {"type": "point", "filled": True, "size": 85, "opacity": 1}
_WITH_ENDS = [{"filter": "datum.low !== null && datum.high !== null"}]
_CONFIG = {
    "font": "inherit",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "tickColor": "var(--line)",
        "domainColor": "var(--line)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": 400,
        "labelLimit": 300,
        "titlePadding": 8,
    },
    "legend": {
        "labelColor": "var(--ink)",
        "titleColor": "var(--soft)",
        "labelFontSize": 12,
        "labelLimit": 0,
        "orient": "bottom",
        "title": None,
        "symbolOpacity": 1,
        "symbolSize": 85,
    },
}


def _datum(mark: Mark, where: Mapping[str, Any]) -> dict[str, Any]:
    def scaled(value: float | None) -> float | None:
        return None if value is None else value * 100

    return {
        **where,
        "value": scaled(mark.value),
        "low": scaled(mark.low),
        "high": scaled(mark.high),
        "shown": f"{mark.value * 100:.1f}".replace("-", "−"),
        "series": _printable(mark.series),
        "tip": _printable(mark.tip),
    }


def _without(encoding: Mapping[str, Any], *channels: str) -> dict[str, Any]:
    return {name: one for name, one in encoding.items() if name not in channels}


def _series(chart: Chart) -> list[str]:
    return list(dict.fromkeys(_printable(mark.series) for mark in chart.marks))


def _crowded(chart: Chart) -> bool:
    """Whether one row or step holds several series, which then stand side by side."""
    places = [mark.at for mark in chart.marks]
    return len(set(places)) < len(places)


def _looks(series: Sequence[str], wide: bool) -> dict[str, Any]:
    """Colour and shape of each series; no legend where rows already say which setting it is."""
    own = set(series) <= set(ROLES)
    colours = [f"var(--{name}-mark)" if own else _COLOURS[number % len(_COLOURS)] for number, name in enumerate(series)]
    shapes = [_ROLE_SHAPES[name] if own else _shape(number) for number, name in enumerate(series)]
    legend = None if own or len(series) < 2 else _legend(series, wide)
    return {
        "color": {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": list(series), "range": colours},
            "legend": legend,
        },
        "shape": {
            "field": "series",
            "type": "nominal",
            "scale": {"domain": list(series), "range": shapes},
            "legend": legend,
        },
    }


def _shape(number: int) -> str:
    """Where colours come round again, each has another shape than before."""
    return _SHAPES[(number + number // len(_COLOURS)) % len(_SHAPES)]


def _legend(series: Sequence[str], wide: bool) -> dict[str, Any]:
    """Names in two columns where they are short, else below each other, wrapped."""
    longest = max(map(len, series))
    if wide and longest < _LEGEND_LENGTHS[wide] // 2:
        return {"columns": 2}
    # An expression cannot wrap texts, so it looks each one up.
    wrapped = {name: textwrap.wrap(name, _LEGEND_LENGTHS[wide]) or [name] for name in series}
    return {"columns": 1, "labelExpr": f"{json.dumps(wrapped)}[datum.label]"}


def _scale(chart: Chart) -> dict[str, Any]:
    if chart.domain:
        return {"domain": [end * 100 for end in chart.domain], "nice": False}
    ends = [end for mark in chart.marks for end in (mark.low, mark.value, mark.high) if end is not None]
    # The band of a line through few models is wide: it would press all points into one row.
    ends += [value for _, value, *_ in chart.line]
    return {"domain": [min(0.0, *ends) * 100, max(0.0, *ends) * 100], "nice": True} if ends else {}


def _ticks(chart: Chart) -> dict[str, Any]:
    return {"values": [0, 25, 50, 75, 100]} if chart.domain == (0.0, 1.0) else {"tickCount": 6}


def _rules(chart: Chart, axis: str) -> list[dict[str, Any]]:
    drawn = ((chart.rule, [6, 4]), (chart.chance, [2, 3]))
    return [
        {
            "data": {"values": [{"at": at * 100}]},
            "mark": {"type": "rule", "color": "var(--base-mark)", "strokeWidth": 1.5, "strokeDash": dash},
            "encoding": {axis: {"field": "at", "type": "quantitative"}},
        }
        for at, dash in drawn
        if at is not None
    ]


def _fit(chart: Chart, x: Mapping[str, Any], y: Mapping[str, Any]) -> list[dict[str, Any]]:
    if not chart.line:
        return []
    values = [
        {
            "at": at,
            "value": value * 100,
            "low": None if low is None else low * 100,
            "high": None if high is None else high * 100,
        }
        for at, value, low, high in chart.line
    ]
    area = {"type": "area", "color": "var(--base-mark)", "opacity": 0.18, "clip": True}
    band = {"mark": area, "transform": _WITH_ENDS}
    return [
        {**band, "data": {"values": values}, "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {
            "mark": {"type": "line", "color": "var(--base-mark)"},
            "data": {"values": values},
            "encoding": {"x": x, "y": y},
        },
    ]


def _wrapped(text: str, wide: bool) -> str:
    """A label on at most two lines, cut where that is not enough."""
    text = _printable(text)
    lines = textwrap.wrap(text, _LABEL_LENGTHS[wide], max_lines=2, placeholder=" …", break_long_words=True) or [text]
    return "\n".join(lines)


def _printable(text: str) -> str:
    """Control characters and half characters have no place in XML."""
    return "".join(character if character.isprintable() or character == "\n" else "\ufffd" for character in text)
