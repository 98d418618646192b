"""RQ3: the language of the prompt's own words, and of the oracle context."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks import suite
from m4rag_tasks.analysis import ByLanguage, Columns, LanguageEffect, language_effects
from m4rag_tasks.metrics import Difference
from m4rag_tasks.report.breakdown import resource_order
from m4rag_tasks.report.charts import Chart, Mark
from m4rag_tasks.report.data_table import Column, DataTable, Row, shown
from m4rag_tasks.report.findings.groups import Group, caption, who
from m4rag_tasks.report.sections import Section
from m4rag_tasks.report.titles import run_title

_EFFECT = Column("effect", "Effect, points", "points", True)
_INTRO = (
    "Accuracy with the prompt’s own words, or the oracle context, in the question’s language minus accuracy with them "
    "in English, on the same questions: below 0, the question’s own language costs accuracy. Adjusted p values are "
    "Holm’s, over the varieties of one effect."
)


@dataclass(frozen=True)
class _Found:
    group: Group
    setting: str
    one: LanguageEffect


def section(among: Sequence[Group], names: Mapping[str, str]) -> Section:
    """Each effect overall, by resource class and by variety."""
    found, not_run, problems = [], 0, []
    for group in among:
        for setting, variants in _variants(group).items():
            effects = language_effects(variants)
            found += [_Found(group, setting, one) for one in effects.rows]
            not_run += len(effects.not_run)
            problems += [f"{group.told}, {run_title(setting)}: {problem}." for problem in effects.problems]
    columns = (
        *who(among)[:3],
        Column("title", "Setting"),
        Column("switched", "Language of"),
        Column("variants", "Compared"),
        Column("language", "Variety", hidden=True),
        Column("name", "Varieties"),
        _EFFECT,
        Column("p", "p", "p"),
        Column("p_adjusted", "p adjusted", "p"),
    )
    rows = tuple(row for one in found for row in _rows(one, names))
    table = DataTable("wording", "Effect of the question’s own language", columns, rows)
    charts = tuple(_chart(one, among, names) for one in found)
    return Section(
        "wording",
        "Prompt and context language",
        _INTRO,
        charts,
        (table,) if rows else (),
        _missing(problems, not_run, bool(rows)),
    )


def _missing(problems: Sequence[str], not_run: int, some: bool) -> tuple[str, ...]:
    """What went wrong, and, counted, what was not run: hardly anybody runs every variant of every setting."""
    bring = "the variants enprompt, localctx and enprompt_localctx of a setting bring them"
    if not some and not problems:
        return (f"No setting was run in two variants that differ in the language of prompt or context: {bring}.",)
    further = f"{not_run} further comparisons need runs that are not there: {bring}."
    return (*problems, *((further,) if not_run else ()))


def _variants(group: Group) -> dict[str, dict[str, Columns]]:
    """Setting → variant → run, of the variants in which a setting is asked in the same way."""
    found: dict[str, dict[str, Columns]] = {}
    for name, columns in group.columns.items():
        run = group.runs[name]
        if run.variant in suite.VARIANTS:
            found.setdefault(run.setting, {})[run.variant] = columns
    return found


def _rows(found: _Found, names: Mapping[str, str]) -> Iterator[Row]:
    group, one = found.group, found.one
    compared = f"{one.local or 'plain'} − {one.english or 'plain'}"
    where = (group.model, group.where, found.setting, run_title(found.setting), one.switched, compared)
    yield _row(where, "", "all, macro", one.effect.overall, None)
    for resource, difference in _by_resource(one.effect):
        yield _row(where, "", f"{resource} resource, macro", difference, None)
    for row in one.effect.rows:
        yield _row(where, row.language, names.get(row.language, row.language), row.difference, row.adjusted_p)


def _by_resource(effect: ByLanguage) -> list[tuple[str, Difference]]:
    return [(name, effect.resources[name]) for name in sorted(effect.resources, key=resource_order)]


def _row(where: tuple[str, ...], language: str, name: str, one: Difference, adjusted: float | None) -> Row:
    return Row((*where, language, name, one.estimate, one.p_value, adjusted), language)


def _chart(found: _Found, among: Sequence[Group], names: Mapping[str, str]) -> Chart:
    effect = found.one.effect
    differences = [("all, macro", effect.overall.estimate)]
    differences += [(f"{name} resource", one.estimate) for name, one in _by_resource(effect)]
    differences += [(names.get(row.language, row.language), row.difference.estimate) for row in effect.rows]
    marks = tuple(
        Mark.of(name, estimate, "base" if place == 0 else "rag", f"{name}: {shown(_EFFECT, estimate)}")
        for place, (name, estimate) in enumerate(differences)
    )
    text = (
        f"{run_title(found.setting)}, language of the {found.one.switched} "
        f"({found.one.local or 'plain'} − {found.one.english or 'plain'}): own language minus English."
    )
    label = f"{text} {'; '.join(mark.tip for mark in marks)}"
    return Chart("rows", label, caption(text, found.group, among), "Effect, points", marks, rule=0.0)
