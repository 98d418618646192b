"""Runs → the tables of a report.

Averages are taken over complete language varieties only (see `completeness`), macro
over varieties and micro over their questions. Where a comparison has no
partner, or its questions do not pair, the row says so instead of a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from m4rag_tasks import analysis
from m4rag_tasks.analysis import Columns
from m4rag_tasks.errors import RunError
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.breakdown import breakdowns, resource_order
from m4rag_tasks.report.caveats import caveats, lacking
from m4rag_tasks.report.checks import SCORES
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
    given = analysis.known_sizes(dict.fromkeys(run.model for run in runs), sizes)
    faults = find_faults(runs)
    whole = [analysis.columns(run.records) for run in runs]
    complete = [_complete(run, incomplete) for run, incomplete in zip(whole, faults, strict=True)]
    averaged = [kept.varieties if kept else () for kept in complete]
    pool = {(run.model, run.dataset, run.name): kept for run, kept in zip(runs, complete, strict=True)}
    return Report(
        runs=tuple(map(_run_row, runs)),
        settings=tuple(map(_setting_row, runs, whole, complete, faults, lacking(runs, averaged))),
        breakdowns=tuple(breakdowns(runs, whole, faults)),
        changes=tuple(_change(run, pool) for run in runs if run.setting != BASE_SETTING),
        gaps=tuple(_gap(run, pool) for run in runs if run.setting != ORACLE_SETTING),
        notes=(*notes, *caveats(runs, faults, averaged, names)),
        dataset_titles={run.dataset: dataset_title(run.dataset) for run in runs},
        names=names_of(_varieties(whole), names or {}),
        examples=tuple(examples),
        resources=_resources(whole),
        sections=tuple(sections(groups(runs, complete), names or {}, graded, given)),
    )


def _resources(runs: Sequence[Columns]) -> dict[str, tuple[str, ...]]:
    """The varieties of each resource class, classes from high to low."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for name, variety in run.varieties.items():
            if variety.resource:
                found.setdefault(variety.resource, set()).add(name)
    return {name: tuple(sorted(found[name])) for name in sorted(found, key=resource_order)}


def _varieties(runs: Sequence[Columns]) -> set[tuple[str, str | None]]:
    """Every variety with its language, None where records do not say."""
    return {(name, variety.base_language) for run in runs for name, variety in run.varieties.items()}


def _identity(run: Run) -> dict[str, Any]:
    return {key: getattr(run, key) for key in ("model", "dataset", "setting", "variant", "asking", "title")}


_Pair = tuple[Columns, Columns]
_Pool = Mapping[tuple[str, str, str], Columns | None]


def _complete(run: Columns, faults: Faults) -> Columns | None:
    """The complete varieties of a run; None where it has none."""
    kept = run.varieties.keys() - faults.keys()
    return run.of_languages(kept) if kept else None


def _setting_row(
    run: Run, whole: Columns, complete: Columns | None, faults: Faults, lacks: tuple[str, ...]
) -> SettingRow:
    kind = run.records[0]["kind"]
    return SettingRow(
        **_identity(run),
        kind=kind,
        **(_averages(complete, kind) if complete else _NO_AVERAGES),
        failed=failed_requests(run.records),
        questions=len(run.records),
        languages=len(whole.varieties),
        averaged=len(complete.varieties) if complete else 0,
        lacks=lacks,
        faults=dict(faults),
        limits=tuple(run.limits),
        retriever=", ".join(run.facts_of("retriever")) or None,
    )


_NO_AVERAGES = {**dict.fromkeys(("macro", "micro", "strict", "invalid", "chance")), "references": {}}


def _averages(run: Columns, kind: str) -> dict[str, Any]:
    scores = SCORES if kind == "open_ended" else ()
    references = {name: estimate for name in scores if (estimate := _further(run, name))}
    return {
        "macro": analysis.macro(run),
        "micro": analysis.micro(run),
        "strict": _further(run, "strict") if kind == "mcq" else None,
        "references": references,
        "invalid": analysis.micro(run, analysis.invalid(run)),
        "chance": float((1 / run.choices).mean()) if kind == "mcq" else None,
    }


def _further(run: Columns, score: str) -> Estimate | None:
    """The average of a further score; None where an answer lacks it."""
    values = run.told(score)
    return None if None in values else analysis.macro(run, np.array(values, dtype=float))


def _change(run: Run, pool: _Pool) -> ChangeRow:
    base, pair, problem = _pair(run, BASE_SETTING, pool)
    row = ChangeRow(**_identity(run), partner=base, problem=problem)
    if pair is None:
        return row
    without, with_ = pair
    try:
        # Macro, so that the difference is the one between the macro means of the settings table.
        difference = analysis.difference(with_, without)
        return replace(
            row,
            retention=analysis.retention(without, with_),
            correction=analysis.correction(without, with_),
            difference=difference.estimate,
            p_value=difference.p_value,
            repaired=difference.only_a,
            broken=difference.only_b,
            mcnemar_p=difference.mcnemar_p,
            languages=_shared(pair),
        )
    except RunError as error:
        return replace(row, problem=str(error))


def _gap(run: Run, pool: _Pool) -> GapRow:
    oracle, pair, problem = _pair(run, ORACLE_SETTING, pool)
    row = GapRow(**_identity(run), partner=oracle, problem=problem)
    if pair is None:
        return row
    try:
        return replace(row, gap=analysis.difference(*pair).estimate, languages=_shared(pair))
    except RunError as error:
        return replace(row, problem=str(error))


def _pair(run: Run, base: str, pool: _Pool) -> tuple[str, _Pair | None, str | None]:
    """The run that `run` is measured against, and both: what is complete in them."""
    beside = {name for model, dataset, name in pool if (model, dataset) == (run.model, run.dataset)}
    chosen = partner(run, base, beside)
    if chosen is None:
        missing = run_name(base, run.asking)
        return missing, None, f"no {missing} run"
    other, own = pool[run.model, run.dataset, chosen], pool[run.model, run.dataset, run.name]
    if other is None or own is None or not _shared((other, own)):
        return chosen, None, f"no variety is complete here and in {chosen}"
    return chosen, (other, own), None


def _shared(pair: _Pair) -> int:
    """How many varieties both runs hold."""
    return len(pair[0].varieties.keys() & pair[1].varieties.keys())


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
