"""Run folders of the harness → runs: one model on one data set in one setting and variant.

The harness writes one samples file per task, that is per language, and may be
started several times for one model. So files are found, one of each
(model, task) is kept, and the files of one setting and variant are put together.
Everything that was left out on the way is said in `notes`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from m4rag_tasks import suite
from m4rag_tasks.errors import RunError
from m4rag_tasks.report.checks import Record
from m4rag_tasks.report.files import Source, find_files
from m4rag_tasks.report.results_file import ModelIdentity, labels
from m4rag_tasks.report.samples import BrokenSamplesError, NotOursError, Samples, count_lines, read_samples
from m4rag_tasks.report.titles import run_name, run_title

_SETTING_ORDER = {name: number for number, name in enumerate(suite.SETTINGS)}
# Seconds after which a progress bar is worth its line.
_PATIENCE = 2
_DATASET_ORDER = {name: number for number, name in enumerate(suite.DATASETS)}
_VARIANT_ORDER = {name: number for number, name in enumerate(suite.VARIANTS)}


@dataclass(frozen=True)
class Place:
    """Where the line of one question is: file and byte offset."""

    path: Path
    offset: int


@dataclass
class Run:
    """One model on one data set in one setting and variant, over all the language varieties that were run.

    `variant` is the suite's, with whatever a task of one's own adds to its name ("oe_myprompt").
    """

    model: str
    dataset: str
    setting: str
    variant: str = ""
    sources: list[Source] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The setting with its variant: what tells the runs of one model and data set apart."""
        return run_name(self.setting, self.variant)

    @property
    def title(self) -> str:
        """The setting with its variant, for people."""
        recorded = str(self.records[0]["variant"])
        return run_title(self.setting, recorded, self.variant.removeprefix(recorded).lstrip("_"))

    @property
    def short_title(self) -> str:
        """The same where its way of asking is already said."""
        return run_title(self.setting) if self.variant == self.asking else self.title

    @property
    def asking(self) -> str:
        """How its questions are asked: the first variant with this wording and kind of answer.

        Only runs that ask alike are compared: a question in English is another question,
        and an open-ended score means another thing.
        """
        recorded, kind = self.records[0]["variant"], self.records[0]["kind"]
        asked = suite.VARIANTS[recorded].asked if recorded in suite.VARIANTS else "local"
        return next((name for name, one in suite.VARIANTS.items() if (one.asked, one.kind) == (asked, kind)), recorded)

    @property
    def languages(self) -> dict[str, list[Record]]:
        """The records by language variety, varieties in alphabetical order."""
        found: dict[str, list[Record]] = {}
        for record in self.records:
            found.setdefault(record["language"], []).append(record)
        return dict(sorted(found.items()))

    @property
    def versions(self) -> list[str]:
        """Versions of the harness that wrote the files."""
        return _distinct(source.facts.version for source in self.sources)

    @property
    def dates(self) -> list[str]:
        """When the harness was started, as its file names say."""
        return _distinct(source.date for source in self.sources)

    @property
    def limits(self) -> list[str]:
        """Limits under which questions were left out."""
        return _distinct(source.facts.limit for source in self.sources if source.limited)

    def facts_of(self, key: str) -> list[str]:
        """The distinct values of one key over all records, e.g. `retriever`, `template`, `cache`."""
        return _distinct(record.get(key) for record in self.records)


def load_runs(paths: Iterable[Path | str], notes: list[str] | None = None, rule: str | None = None) -> list[Run]:
    """The runs below output folders, model folders or samples files of the harness.

    With a `rule` (one of `answers.RULES`) the stored answers are scored again.
    What could not be used is left out and told in `notes`. Raises `RunError`
    where a path does not exist, and where nothing at all can be reported.
    """
    notes = [] if notes is None else notes
    by_task: dict[tuple[ModelIdentity, str], list[Source]] = {}
    for source in find_files(paths, notes):
        by_task.setdefault((source.facts.identity, source.task), []).append(source)
    files = tqdm(by_task.values(), desc="samples files", unit="file", delay=_PATIENCE, disable=None)
    read = [taken for group in files if (taken := _take(group, notes, rule))]
    if not read:
        told = "".join(f"\n- {note}" for note in notes)
        raise RunError(
            "There is no run to report. Name the folder that was given to lmms-eval as --output_path "
            f"(with --log_samples).{told}"
        )
    return _assemble(read, notes)


def partner(run: Run, base: str, names: Collection[str]) -> str | None:
    """The one of `names` that `run` is measured against, or None where it is not there.

    That is `base` in the same variant, else in the one with the same prompt, else in the plain
    one that asks alike: where only retrieval settings were asked with another prompt, the
    comparison is still of use.
    """
    return next((name for variant in _nearest(run) if (name := run_name(base, variant)) in names), None)


def _nearest(run: Run) -> Iterator[str]:
    yield run.variant
    if known := suite.VARIANTS.get(run.variant):
        for name, other in suite.VARIANTS.items():
            if replace(known, name=name, title=other.title, context="given") == other:
                yield name
    yield run.asking


_Read = tuple[Source, Samples]


def _take(group: Sequence[Source], notes: list[str], rule: str | None) -> _Read | None:
    """Of the files of one (model, task) the newest of those with the most questions that can be read.

    The number comes first, so that trying one question out does not hide a full run.
    """
    sizes = {source.path: count_lines(source.path) for source in group} if len(group) > 1 else {}
    fullest_first = sorted(
        group, key=lambda source: (sizes.get(source.path, 0), source.date, source.shown), reverse=True
    )
    for source in fullest_first:
        samples = _usable(source, notes, rule)
        if samples is None:
            continue
        others = ", ".join(f"{other.shown} ({sizes[other.path]})" for other in fullest_first if other is not source)
        if others:
            notes.append(
                f"{source.facts.identity.name} ran {source.task} {len(group)} times: took {source.shown}, "
                f"the newest of those with the most questions ({sizes[source.path]}), not {others}."
            )
        return source, samples
    return None


def _usable(source: Source, notes: list[str], rule: str | None) -> Samples | None:
    """The file's content, or None and a note that says what is wrong with it."""
    try:
        return read_samples(source.path, source.shown, rule, source.task)
    except NotOursError as error:
        notes.append(str(error))
    except BrokenSamplesError as error:
        notes.append(f"Left out: {error}")
    except OSError as error:
        notes.append(f"Left out: {source.shown} cannot be read ({error.strerror}).")
    return None


def _assemble(read: Sequence[_Read], notes: list[str]) -> list[Run]:
    named = labels(list(dict.fromkeys(source.facts.identity for source, _ in read)))
    runs: dict[tuple[str, str, str, str], Run] = {}
    # As in `_take`: of two files with the same questions the smaller or else the older one is left out.
    for source, samples in sorted(
        read, key=lambda pair: (len(pair[1].records), pair[0].date, pair[0].shown), reverse=True
    ):
        first = samples.records[0]
        key = (named[source.facts.identity], first["dataset"], first["setting"], _variant(source.task, first))
        run = runs.setdefault(key, Run(*key))
        if not run.places.keys().isdisjoint(samples.offsets):
            notes.append(
                f"Left out: {source.shown} answers questions that another file of the same setting and variant answers."
            )
            continue
        run.sources.append(replace(source, language=first["language"]))
        run.records.extend(samples.records)
        run.places.update({id_: Place(source.path, offset) for id_, offset in samples.offsets.items()})
    for run in runs.values():
        run.sources.sort(key=lambda source: (source.language, source.shown))
        run.records.sort(key=lambda record: (record["language"], record["question_id"]))
    return sorted(runs.values(), key=_run_order)


def _variant(task: str, record: Record) -> str:
    """The variant of a record, with what its task's name says between that and the language."""
    head = suite.family_name(record["dataset"], record["setting"], record["variant"]) + "_"
    extra = task.removeprefix(head).removesuffix(f"_{record['language']}")
    return "_".join(filter(None, (record["variant"], extra if task == f"{head}{extra}_{record['language']}" else "")))


def _run_order(run: Run) -> tuple[object, ...]:
    return (
        *(_DATASET_ORDER.get(run.dataset, len(_DATASET_ORDER)), run.dataset, *_by_numbers(run.model)),
        *(_VARIANT_ORDER.get(run.asking, len(_VARIANT_ORDER)), run.asking),
        *(_SETTING_ORDER.get(run.setting, len(_SETTING_ORDER)), run.setting),
        *(_VARIANT_ORDER.get(run.variant, len(_VARIANT_ORDER)), run.variant),
    )


def _by_numbers(name: str) -> tuple[list[str | int], str]:
    """Puts model-7B before model-32B."""
    # Texts and numbers take turns, so two names never compare one with the other.
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name


def _distinct(values: Iterable[object]) -> list[str]:
    return sorted({str(value) for value in values if value is not None})
