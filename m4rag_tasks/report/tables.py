"""Runs → the tables of a report, as plain data classes.

Averages are taken over complete languages only (see `completeness`), macro
over languages and micro over their questions. Where a comparison has no
partner, or its questions do not pair, the row says so instead of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from m4rag_tasks import metrics, suite
from m4rag_tasks.errors import RunError
from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.breakdown import Breakdown, breakdowns
from m4rag_tasks.report.completeness import Faults, failed_requests, find_faults
from m4rag_tasks.report.examples import BASE_SETTING, Example
from m4rag_tasks.report.runs import Run
from m4rag_tasks.report.samples import Record

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
        settings=tuple(map(_setting_row, runs, averaged, faults)),
        breakdowns=tuple(breakdowns(runs, faults)),
        changes=tuple(_change(run, pool) for run in runs if not _is(run, BASE_SETTING)),
        gaps=tuple(_gap(run, pool) for run in runs if not _is(run, ORACLE_SETTING)),
        notes=(*notes, *_warnings(runs, faults)),
        dataset_titles={run.dataset: dataset_title(run.dataset) for run in runs},
        examples=tuple(examples),
    )


def setting_title(setting: str) -> str:
    """A setting's name for people; a variant keeps its own name behind it."""
    if setting in suite.SETTINGS:
        return suite.SETTINGS[setting].title
    bases = [name for name in suite.SETTINGS if setting.startswith(f"{name}_")]
    if not bases:
        return setting
    base = max(bases, key=len)
    return f"{suite.SETTINGS[base].title} ({setting[len(base) + 1 :]})"


def dataset_title(dataset: str) -> str:
    """A data set's name for people."""
    return suite.DATASETS[dataset].title if dataset in suite.DATASETS else dataset


_ByLanguage = Mapping[str, Sequence[Record]]
_Pool = Mapping[tuple[str, str, str], _ByLanguage]


def _complete(run: Run, faults: Faults) -> _ByLanguage:
    return {language: records for language, records in run.languages.items() if language not in faults}


def _flat(by_language: _ByLanguage) -> list[Record]:
    return [record for records in by_language.values() for record in records]


def _all_have(records: Sequence[Record], key: str) -> bool:
    return bool(records) and all(record.get(key) is not None for record in records)


def _is(run: Run, setting: str) -> bool:
    return run.setting == setting or run.setting.startswith(f"{setting}_")


def _setting_row(run: Run, averaged: _ByLanguage, faults: Faults) -> SettingRow:
    records = _flat(averaged)
    chances = [1 / len(record["options"]) for record in records if record["options"]]
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
        faults=dict(faults),
        limits=tuple(run.limits),
        retriever=", ".join(run.facts_of("retriever")) or None,
    )


def _change(run: Run, pool: _Pool) -> ChangeRow:
    partner, pair, problem = _pair(run, BASE_SETTING, pool)
    row = ChangeRow(run.model, run.dataset, run.setting, setting_title(run.setting), partner, problem=problem)
    if pair is None:
        return row
    without, with_ = _flat(pair[0]), _flat(pair[1])
    try:
        # Macro, so that the difference is the one between the macro means of the settings table.
        difference = metrics.paired_difference(with_, without, by_language=True)
        return ChangeRow(
            row.model,
            row.dataset,
            row.setting,
            row.title,
            partner,
            retention=_or_none(metrics.retention, without, with_),
            correction=_or_none(metrics.correction, without, with_),
            difference=difference.estimate,
            p_value=difference.p_value,
            languages=len(pair[0]),
        )
    except RunError as error:
        return ChangeRow(row.model, row.dataset, row.setting, row.title, partner, problem=str(error))


def _gap(run: Run, pool: _Pool) -> GapRow:
    partner, pair, problem = _pair(run, ORACLE_SETTING, pool)
    names = (run.model, run.dataset, run.setting, setting_title(run.setting), partner)
    if pair is None:
        return GapRow(*names, problem=problem)
    try:
        gap = metrics.oracle_gap(_flat(pair[0]), _flat(pair[1]), by_language=True)
        return GapRow(*names, gap=gap, languages=len(pair[0]))
    except RunError as error:
        return GapRow(*names, problem=str(error))


def _pair(run: Run, base: str, pool: _Pool) -> tuple[str, tuple[_ByLanguage, _ByLanguage] | None, str | None]:
    """The run that `run` is measured against, both cut to the languages complete in both."""
    variant = run.setting.removeprefix(run.records[0]["setting"])
    partner = next((name for name in (base + variant, base) if (run.model, run.dataset, name) in pool), None)
    if partner is None:
        return base, None, f"no {base} run"
    other, own = pool[run.model, run.dataset, partner], pool[run.model, run.dataset, run.setting]
    shared = [language for language in own if language in other]
    if not shared:
        return partner, None, f"no language is complete here and in {partner}"
    return partner, ({name: other[name] for name in shared}, {name: own[name] for name in shared}), None


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


def _warnings(runs: Sequence[Run], faults: Sequence[Faults]) -> list[str]:
    """What a reader must know before comparing numbers."""
    told = []
    for run, incomplete in zip(runs, faults, strict=True):
        name = f"{run.model}, {dataset_title(run.dataset)}, {setting_title(run.setting)}"
        if incomplete:
            listed = "; ".join(f"{language}: {why}" for language, why in incomplete.items())
            told.append(f"{name}: incomplete, shown but left out of averages and comparisons ({listed}).")
        if run.limits:
            told.append(f"{name}: only a part of the questions was asked ({'; '.join(run.limits)}).")
        retrievers = run.facts_of("retriever")
        if len(retrievers) > 1:
            told.append(f"{name}: its languages were run with different retrievers ({', '.join(retrievers)}).")
    versions = sorted({version for run in runs for version in run.versions})
    if len(versions) > 1:
        told.append(f"The runs were made with different versions of lmms-eval ({', '.join(versions)}).")
    return told
