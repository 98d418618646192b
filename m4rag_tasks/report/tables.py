"""Runs → the tables of a report, as plain data classes.

Averages are taken over complete languages only (see `completeness`), macro
over languages and micro over their questions. Where a comparison has no
partner, or its questions do not pair, the row says so instead of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from m4rag_tasks import metrics
from m4rag_tasks.errors import RunError
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.breakdown import Breakdown, breakdowns
from m4rag_tasks.report.caveats import caveats, lacking
from m4rag_tasks.report.completeness import Faults, failed_requests, find_faults
from m4rag_tasks.report.examples import BASE_SETTING, Example
from m4rag_tasks.report.runs import Run, partner
from m4rag_tasks.report.samples import Record
from m4rag_tasks.report.titles import dataset_title, setting_title

ORACLE_SETTING = "oracle"


@dataclass(frozen=True)
class SettingRow:
    """One model on one data set in one setting."""

    model: str
    dataset: str
    setting: str
    title: str
    macro: Estimate | None
    micro: Estimate | None
    strict: Estimate | None
    invalid: Estimate | None
    chance: float | None
    failed: int
    questions: int
    languages: int
    averaged: int
    lacks: tuple[str, ...]
    """Languages that this row's averages have not and those of another setting have."""
    faults: Mapping[str, str]
    limits: tuple[str, ...]
    retriever: str | None


@dataclass(frozen=True)
class ChangeRow:
    """What a setting changes against no retrieval, on the same questions."""

    model: str
    dataset: str
    setting: str
    title: str
    partner: str
    retention: Estimate | None = None
    correction: Estimate | None = None
    difference: Estimate | None = None
    p_value: float | None = None
    mended: int = 0
    """Questions that are right here and wrong without retrieval."""
    spoiled: int = 0
    """Questions that are wrong here and right without retrieval."""
    mcnemar_p: float | None = None
    languages: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class GapRow:
    """What is missing to the same model's accuracy with oracle context."""

    model: str
    dataset: str
    setting: str
    title: str
    partner: str
    gap: Estimate | None = None
    languages: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class RunRow:
    """Where the numbers of one run come from."""

    model: str
    dataset: str
    setting: str
    title: str
    retriever: str | None
    contexts: tuple[str, ...]
    images: tuple[str, ...]
    versions: tuple[str, ...]
    dates: tuple[str, ...]
    limits: tuple[str, ...]
    templates: tuple[str, ...]
    caches: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything a report shows, apart from how it looks."""

    runs: tuple[RunRow, ...]
    settings: tuple[SettingRow, ...]
    breakdowns: tuple[Breakdown, ...]
    changes: tuple[ChangeRow, ...]
    gaps: tuple[GapRow, ...]
    notes: tuple[str, ...]
    dataset_titles: Mapping[str, str]
    examples: tuple[Example, ...] = field(default=())

    @property
    def models(self) -> list[str]:
        """The models, each once, in the order of the tables."""
        return list(dict.fromkeys(row.model for row in self.settings))


def build_report(runs: Sequence[Run], notes: Sequence[str] = (), examples: Sequence[Example] = ()) -> Report:
    """The report on runs of any number of models, data sets and settings."""
    faults = find_faults(runs)
    averaged = [_complete(run, incomplete) for run, incomplete in zip(runs, faults, strict=True)]
    pool = {(run.model, run.dataset, run.setting): kept for run, kept in zip(runs, averaged, strict=True)}
    return Report(
        runs=tuple(map(_run_row, runs)),
        settings=tuple(map(_setting_row, runs, averaged, faults, lacking(runs, averaged))),
        breakdowns=tuple(breakdowns(runs, faults)),
        changes=tuple(_change(run, pool) for run in runs if run.family != BASE_SETTING),
        gaps=tuple(_gap(run, pool) for run in runs if run.family != ORACLE_SETTING),
        notes=(*notes, *caveats(runs, faults, averaged)),
        dataset_titles={run.dataset: dataset_title(run.dataset) for run in runs},
        examples=tuple(examples),
    )


_ByLanguage = Mapping[str, Sequence[Record]]
_Pool = Mapping[tuple[str, str, str], _ByLanguage]


def _complete(run: Run, faults: Faults) -> _ByLanguage:
    return {language: records for language, records in run.languages.items() if language not in faults}


def _flat(by_language: _ByLanguage) -> list[Record]:
    return [record for records in by_language.values() for record in records]


def _all_have(records: Sequence[Record], key: str) -> bool:
    return bool(records) and all(record.get(key) is not None for record in records)


def _setting_row(run: Run, averaged: _ByLanguage, faults: Faults, lacks: tuple[str, ...]) -> SettingRow:
    records = _flat(averaged)
    chances = [1 / record["choices"] for record in records]
    return SettingRow(
        model=run.model,
        dataset=run.dataset,
        setting=run.setting,
        title=setting_title(run.setting),
        macro=metrics.macro(averaged) if records else None,
        micro=metrics.micro(records) if records else None,
        strict=metrics.macro(averaged, "strict") if _all_have(records, "strict") else None,
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
    row = ChangeRow(run.model, run.dataset, run.setting, setting_title(run.setting), base, problem=problem)
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
            mended=difference.only_a,
            spoiled=difference.only_b,
            mcnemar_p=difference.mcnemar_p,
            languages=len(pair[0]),
        )
    except RunError as error:
        return replace(row, problem=str(error))


def _gap(run: Run, pool: _Pool) -> GapRow:
    oracle, pair, problem = _pair(run, ORACLE_SETTING, pool)
    names = (run.model, run.dataset, run.setting, setting_title(run.setting), oracle)
    if pair is None:
        return GapRow(*names, problem=problem)
    try:
        gap = metrics.oracle_gap(_flat(pair[0]), _flat(pair[1]), by_language=True)
        return GapRow(*names, gap=gap, languages=len(pair[0]))
    except RunError as error:
        return GapRow(*names, problem=str(error))


def _pair(run: Run, base: str, pool: _Pool) -> tuple[str, tuple[_ByLanguage, _ByLanguage] | None, str | None]:
    """The run that `run` is measured against, both cut to the languages complete in both."""
    beside = {setting for model, dataset, setting in pool if (model, dataset) == (run.model, run.dataset)}
    chosen = partner(run, base, beside)
    if chosen is None:
        return base, None, f"no {base} run"
    other, own = pool[run.model, run.dataset, chosen], pool[run.model, run.dataset, run.setting]
    shared = [language for language in own if language in other]
    if not shared:
        return chosen, None, f"no language is complete here and in {chosen}"
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
        model=run.model,
        dataset=run.dataset,
        setting=run.setting,
        title=setting_title(run.setting),
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
