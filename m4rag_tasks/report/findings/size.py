"""RQ2: what retrieval gains against the size of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks.analysis import ModelSize, SizeEffect, parse_size, size_effect
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.examples import ORACLE_SETTING
from m4rag_tasks.report.findings.groups import Group
from m4rag_tasks.report.sections import Section

_GAIN = Column("gain", "Gain, points", "points", True)
_INTRO = (
    "Gain over no retrieval against the number of parameters, on a logarithmic axis. The slope is the change of the "
    "gain, in points, for ten times the parameters: its first interval takes the models as a sample of models "
    "(“does size matter?”), its second takes them as given (“do these models differ?”). The last rows of each data "
    "set are the oracle gap."
)


@dataclass(frozen=True)
class _Effect:
    dataset: str
    setting: str
    title: str
    effect: SizeEffect


def section(among: Sequence[Group], known: Mapping[str, ModelSize | None]) -> Section:
    """Gains by size, the fitted lines, and why there is none."""
    sizes = {group.model: known.get(group.model) or _size(group) for group in among}
    effects = list(_effects(among, sizes))
    points = tuple(_row(one, point) for one in effects for point in one.effect.points)
    slopes = tuple(_slope(one) for one in effects if one.effect.points)
    columns = (
        Column("dataset", "Data set", hidden=len({one.dataset for one in effects}) < 2),
        Column("setting", "Setting", hidden=True),
        Column("title", "Setting"),
    )
    parameters = (Column("billions", "Parameters, 10⁹", "number"), Column("active_billions", "Active, 10⁹", "number"))
    gains = DataTable("gain_by_size", "Gain by model", (*columns, Column("model", "Model"), *parameters, _GAIN), points)
    fits = DataTable("size_slopes", "Slope of the gain for ten times the parameters", (*columns, *_SLOPE), slopes)
    charts = tuple(_chart(one) for one in effects if len(one.effect.points) > 1)
    tables = tuple(table for table in (fits, gains) if table.rows)
    return Section("size", "Model size", _INTRO, charts, tables, tuple(_missing(sizes, effects)))


_SLOPE = (
    Column("models", "Models", "count"),
    Column("slope", "Slope, points", "points"),
    Column("low", "from", "points"),
    Column("high", "to", "points"),
    Column("p", "p", "p"),
    Column("low_given", "these models: from", "points"),
    Column("high_given", "to", "points"),
    Column("spread", "Spread of models, points", "points"),
    Column("problem", "Remarks"),
)


def _effects(among: Sequence[Group], sizes: Mapping[str, ModelSize | None]) -> Iterator[_Effect]:
    asked: dict[tuple[str, str], list[Group]] = {}
    for group in among:
        asked.setdefault((group.dataset, group.asking), []).append(group)
    for family in asked.values():
        pairs: dict[tuple[str, str], dict[str, tuple[object, object]]] = {}
        for group in family:
            for name, base in group.with_base:
                key = (name, group.title(name))
                pairs.setdefault(key, {})[group.model] = (group.columns[base], group.columns[name])
        for group in family:
            for name in group.columns:
                if (base := group.base(name)) and group.runs[name].setting == ORACLE_SETTING:
                    key = (name, f"Oracle gap: {group.title(name)}")
                    pairs.setdefault(key, {})[group.model] = (group.columns[base], group.columns[name])
        for (name, title), runs in pairs.items():
            yield _Effect(family[0].where, name, title, size_effect(runs, sizes))


def _size(group: Group) -> ModelSize | None:
    """From the model's name, else from the weights that its arguments name."""
    identity = next(iter(group.runs.values())).sources[0].facts.identity
    arguments = dict(identity.arguments)
    names = (identity.name, arguments.get("pretrained"), arguments.get("model_version"), arguments.get("model"))
    return next((size for name in names if name and (size := parse_size(name))), None)


def _row(one: _Effect, point: object) -> Row:
    where = (one.dataset, one.setting, one.title)
    return Row((*where, point.model, point.size.total, point.size.active, point.gain.estimate))


def _slope(one: _Effect) -> Row:
    slope, effect = one.effect.slope, one.effect
    left = f"size not known: {', '.join(effect.left_out)}" if effect.left_out else ""
    remarks = "; ".join(filter(None, (effect.problem, left, *effect.problems))) or None
    fitted = (None,) * 7
    if slope:
        fitted = (slope.value, slope.low, slope.high, slope.p_value, slope.low_given, slope.high_given, slope.spread)
    return Row((one.dataset, one.setting, one.title, len(effect.points), *fitted, remarks))


def _chart(one: _Effect) -> Chart:
    marks = tuple(
        Mark.of(point.size.total, point.gain.estimate, "rag", f"{point.model}: {shown(_GAIN, point.gain.estimate)}")
        for point in one.effect.points
    )
    text = f"{one.dataset}, {one.title}: gain by model size; the line with its 95 % band where it could be fitted."
    label = f"{text} {'; '.join(mark.tip for mark in marks)}"
    across = "Parameters, 10⁹"
    return Chart("trend", label, text, "Gain, points", marks, across, rule=0.0, log=True, line=one.effect.line)


def _missing(sizes: Mapping[str, ModelSize | None], effects: Sequence[_Effect]) -> Iterator[str]:
    if not effects:
        yield "No model was run both without retrieval and with it, so there is no gain to set against size."
    elif not any(one.effect.slope for one in effects):
        yield "No line could be fitted: that takes the same settings of at least three models of different sizes."
    unknown = sorted(model for model, size in sizes.items() if size is None)
    if effects and unknown:
        yield f"The names of these models do not tell their size (say it with --size MODEL=7B): {', '.join(unknown)}."
