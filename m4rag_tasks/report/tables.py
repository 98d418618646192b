"""Runs → the tables of a report.

Averages are taken over complete language varieties only (see `completeness`), macro
over varieties and micro over their questions. Where a comparison has no
partner, or its questions do not pair, the row says so instead of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from m4rag_tasks import metrics
from m4rag_tasks.analysis import known_sizes
from m4rag_tasks.errors import RunError
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.breakdown import breakdowns, resource_order
from m4rag_tasks.report.caveats import caveats, lacking
from m4rag_tasks.report.checks import SCORES, Record
from m4rag_tasks.report.completeness import Faults, failed_requests, find_faults
from m4rag_tasks.report.examples import BASE_SETTING, ORACLE_SETTING, Example
from m4rag_tasks.report.findings import groups, sections
from m4rag_tasks.report.runs import Run, partner
from m4rag_tasks.report.table_rows import ChangeRow, GapRow, Report, RunRow, SettingRow
from m4rag_tasks.report.titles import dataset_title, names_of, run_name


def build_report(
    runs: Sequence[Run],
    notes: Sequence[str] = (),
    examples: Sequence[Example] = (),
    names: Mapping[str, str] | None = None,
    graded: bool = False,
    sizes: Mapping[str, str] | None = None,
) -> Report:
    """The report on runs of any number of models, data sets, settings and variants.

    `names` maps codes of language varieties to what people call them; `graded` says whether grades were given.
    `sizes` are those of models whose names do not tell ("7B"). Raises `UnknownNameError` for one that cannot be used.
    """
    given = known_sizes(dict.fromkeys(run.model for run in runs), sizes)
    faults = find_faults(runs)
    averaged = [_complete(run, incomplete) for run, incomplete in zip(runs, faults, strict=True)]
    pool = {(run.model, run.dataset, run.name): kept for run, kept in zip(runs, averaged, strict=True)}
    return Report(
        runs=tuple(map(_run_row, runs)),
        settings=tuple(map(_setting_row, runs, averaged, faults, lacking(runs, averaged))),
        breakdowns=tuple(breakdowns(runs, faults)),
        changes=tuple(_change(run, pool) for run in runs if run.setting != BASE_SETTING),
        gaps=tuple(_gap(run, pool) for run in runs if run.setting != ORACLE_SETTING),
        notes=(*notes, *caveats(runs, faults, averaged, names)),
        dataset_titles={run.dataset: dataset_title(run.dataset) for run in runs},
        names=names_of(_varieties(runs), names or {}),
        examples=tuple(examples),
        resources=_resources(runs),
        sections=tuple(sections(groups(runs, averaged), names or {}, graded, given)),
    )


def _resources(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """The varieties of each resource class, classes from high to low."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for record in run.records:
            if record.get("resource"):
                found.setdefault(str(record["resource"]), set()).add(record["language"])
    return {name: tuple(sorted(found[name])) for name in sorted(found, key=resource_order)}


def _varieties(runs: Sequence[Run]) -> set[tuple[str, str | None]]:
    """Every variety with its language, None where records do not say."""
    return {(record["language"], record.get("base_language")) for run in runs for record in run.records}


def _identity(run: Run) -> dict[str, Any]:
    return {key: getattr(run, key) for key in ("model", "dataset", "setting", "variant", "asking", "title")}


_ByLanguage = Mapping[str, Sequence[Record]]
_Pool = Mapping[tuple[str, str, str], _ByLanguage]


def _complete(run: Run, faults: Faults) -> _ByLanguage:
    return {language: records for language, records in run.languages.items() if language not in faults}


def _flat(by_language: _ByLanguage) -> list[Record]:
    return [record for records in by_language.values() for record in records]


def _all_have(records: Sequence[Record], key: str) -> bool:
    return bool(records) and all(record.get(key) is not None for record in records)


def _setting_row(run: Run, averaged: _ByLanguage, faults: Faults, lacks: tuple[str, ...]) -> SettingRow:
    records, kind = _flat(averaged), run.records[0]["kind"]
    chances = [1 / record["choices"] for record in records if kind == "mcq"]
    return SettingRow(
        **_identity(run),
        kind=kind,
        macro=metrics.macro(averaged) if records else None,
        micro=metrics.micro(records) if records else None,
        strict=metrics.macro(averaged, "strict") if _all_have(records, "strict") else None,
        references={name: metrics.macro(averaged, name) for name in SCORES if _all_have(records, name)},
        invalid=metrics.invalid_rate(records) if records else None,
        chance=sum(chances) / len(chances) if chances else None,
        failed=failed_requests(run.records),
        questions=len(run.records),
        languages=len(run.languages),
        averaged=len(averaged),
        lacks=lacks,
        faults=dict(faults),
        limits=tuple(run.limits),
        retriever=", ".join(run.facts_of("retriever")) or None,
    )


def _change(run: Run, pool: _Pool) -> ChangeRow:
    base, pair, problem = _pair(run, BASE_SETTING, pool)
    row = ChangeRow(**_identity(run), partner=base, problem=problem)
    if pair is None:
        return row
    without, with_ = _flat(pair[0]), _flat(pair[1])
    try:
        # Macro, so that the difference is the one between the macro means of the settings table.
        difference = metrics.paired_difference(with_, without, by_language=True)
        return replace(
            row,
            retention=_or_none(metrics.retention, without, with_),
            correction=_or_none(metrics.correction, without, with_),
            difference=difference.estimate,
            p_value=difference.p_value,
            repaired=difference.only_a,
            broken=difference.only_b,
            mcnemar_p=difference.mcnemar_p,
            languages=len(pair[0]),
        )
    except RunError as error:
        return replace(row, problem=str(error))


def _gap(run: Run, pool: _Pool) -> GapRow:
    oracle, pair, problem = _pair(run, ORACLE_SETTING, pool)
    row = GapRow(**_identity(run), partner=oracle, problem=problem)
    if pair is None:
        return row
    try:
        gap = metrics.oracle_gap(_flat(pair[0]), _flat(pair[1]), by_language=True)
        return replace(row, gap=gap, languages=len(pair[0]))
    except RunError as error:
        return replace(row, problem=str(error))


def _pair(run: Run, base: str, pool: _Pool) -> tuple[str, tuple[_ByLanguage, _ByLanguage] | None, str | None]:
    """The run that `run` is measured against, both cut to the varieties complete in both."""
    beside = {name for model, dataset, name in pool if (model, dataset) == (run.model, run.dataset)}
    chosen = partner(run, base, beside)
    if chosen is None:
        missing = run_name(base, run.asking)
        return missing, None, f"no {missing} run"
    other, own = pool[run.model, run.dataset, chosen], pool[run.model, run.dataset, run.name]
    shared = [language for language in own if language in other]
    if not shared:
        return chosen, None, f"no variety is complete here and in {chosen}"
    return chosen, ({name: other[name] for name in shared}, {name: own[name] for name in shared}), None


def _or_none(
    metric: Callable[[Sequence[Record], Sequence[Record]], Estimate],
    without: Sequence[Record],
    with_: Sequence[Record],
) -> Estimate | None:
    """A conditional rate; None where its condition never holds (all right, or all wrong, without)."""
    try:
        return metric(without, with_)
    except metrics.NoRecordsError:
        return None


def _run_row(run: Run) -> RunRow:
    return RunRow(
        **_identity(run),
        retriever=", ".join(run.facts_of("retriever")) or None,
        contexts=tuple(run.facts_of("context")),
        images=tuple(run.facts_of("image")),
        versions=tuple(run.versions),
        dates=tuple(run.dates),
        limits=tuple(run.limits),
        templates=tuple(run.facts_of("template")),
        caches=tuple(run.facts_of("cache")),
        files=tuple(source.shown for source in run.sources),
    )
