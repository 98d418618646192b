"""RQ2: what retrieval and the oracle context gain, and the gap between them, against the size of the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks.analysis import Columns, ModelSize, SizeEffect, SizePoint, parse_size, size_effect
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.examples import BASE_SETTING, ORACLE_SETTING
from m4rag_tasks.report.findings.groups import Group
from m4rag_tasks.report.sections import Section

_GAIN, _GAP = "gain", "oracle gap"
_POINTS = Column("points", "Points", "points", True)
_INTRO = (
    "Gain over no retrieval, and the oracle gap (what is missing to the accuracy with oracle context), against the "
    "number of parameters, on a logarithmic axis. The slope is the change, in points, for ten times the parameters: "
    "its first interval takes the models as a sample of models (“does size matter?”), its second takes them as given "
    "(“do these models differ?”)."
)


@dataclass(frozen=True)
class _Effect:
    """`measured` is the gain over no retrieval, or the oracle gap."""

    dataset: str
    measured: str
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
        Column("measured", "Measured"),
        Column("setting", "Setting", hidden=True),
        Column("title", "Setting"),
    )
    parameters = (Column("billions", "Parameters, 10⁹", "number"), Column("active_billions", "Active, 10⁹", "number"))
    heads = (*columns, Column("model", "Model"), *parameters, _POINTS)
    by_model = DataTable("gain_by_size", "Gain and oracle gap by model", heads, points)
    fits = DataTable("size_slopes", "Slopes for ten times the parameters", (*columns, *_SLOPE), slopes)
    charts = tuple(_chart(one) for one in effects if one.measured == _GAIN and len(one.effect.points) > 1)
    tables = tuple(table for table in (fits, by_model) if table.rows)
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
        pairs: dict[tuple[str, str, str], dict[str, tuple[Columns, Columns]]] = {}
        for group in family:
            for measured, name, runs in _pairs(group):
                pairs.setdefault((measured, name, group.title(name)), {})[group.model] = runs
        # The gains of all settings first.
        for (measured, name, title), by_model in sorted(pairs.items(), key=lambda pair: pair[0][0] != _GAIN):
            yield _Effect(family[0].where, measured, name, title, size_effect(by_model, sizes))


def _pairs(group: Group) -> Iterator[tuple[str, str, tuple[Columns, Columns]]]:
    """What is measured, of which run, and the two runs whose difference it is."""
    for name, run in group.columns.items():
        if group.runs[name].setting != BASE_SETTING and (base := group.base(name)):
            yield _GAIN, name, (group.columns[base], run)
    for name in group.retrieving:
        if oracle := group.base(name, ORACLE_SETTING):
            yield _GAP, name, (group.columns[name], group.columns[oracle])


def _size(group: Group) -> ModelSize | None:
    """From the model's name, else from the weights that its arguments name."""
    identity = next(iter(group.runs.values())).sources[0].facts.identity
    arguments = dict(identity.arguments)
    names = (identity.name, arguments.get("pretrained"), arguments.get("model_version"), arguments.get("model"))
    return next((size for name in names if name and (size := parse_size(name))), None)


def _row(one: _Effect, point: SizePoint) -> Row:
    where = (one.dataset, one.measured, one.setting, one.title)
    return Row((*where, point.model, point.size.total, point.size.active, point.gain.estimate))


def _slope(one: _Effect) -> Row:
    slope, effect = one.effect.slope, one.effect
    left = f"size not known: {', '.join(effect.left_out)}" if effect.left_out else ""
    remarks = "; ".join(filter(None, (effect.problem, left, *effect.problems))) or None
    fitted = (None,) * 7
    if slope:
        fitted = (slope.value, slope.low, slope.high, slope.p_value, slope.low_given, slope.high_given, slope.spread)
    return Row((one.dataset, one.measured, one.setting, one.title, len(effect.points), *fitted, remarks))


def _chart(one: _Effect) -> Chart:
    marks = tuple(
        Mark.of(point.size.total, point.gain.estimate, "rag", f"{point.model}: {shown(_POINTS, point.gain.estimate)}")
        for point in one.effect.points
    )
    text = (
        f"{one.dataset}, {one.title}: gain by model size; the line with its 95 % band where it could be fitted. Grey "
        "up to an edge: the band reaches beyond it."
    )
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
