"""The functions that task YAMLs name.

A YAML can name a function but not bind an argument to it, so names carry the
axes: `!function m4rag_tasks.hooks.docs__mini__am` is `docs` for data set "mini"
and language "am" (module `__getattr__`, PEP 562). The plain variant is left out of
names. In the order the harness calls them:

    dataset_path__<dataset>, dataset_name__…, dataset_kwargs__…    where the rows are (values)
    metadata__<dataset>__<setting>[__<variant>]__<language>   provenance (a value); checks cache and template
    docs__<dataset>__<language>                      process_docs: the rows of one language
    prompt__<dataset>__<setting>[__<variant>]        doc_to_text: the whole prompt, passages included
    image__<dataset>                                 doc_to_visual
    target__<dataset>__<setting>[__<variant>]        doc_to_target
    score__<dataset>__<setting>[__<variant>]         process_results: the record
    mean_score, mean, total                          aggregations

The harness retries whatever raises an Exception here, for seconds, and then hides
it in a RetryError. So errors meant for people leave as SystemExit (`stop`), before
the first answer is generated; `score` must not raise at all.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from m4rag_tasks import contexts, datasets, images, prompts, records, retrieval, rows, sources
from m4rag_tasks.errors import M4ragError
from m4rag_tasks.records import Record
from m4rag_tasks.rows import Doc, Row
from m4rag_tasks.suite import DATASETS, SETTINGS, VARIANTS, Dataset, Setting, Task, Variant, language
from retrieval_cache import Cache, CacheError, RetrievedPassage

logger = logging.getLogger(__name__)

VERSION = 2
"""Version of the tasks: raised whenever the same answers would get other scores or prompts."""


def __getattr__(name: str) -> Any:
    kind, *axes = name.split("__")
    if kind not in _BINDINGS or not axes or "" in axes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _BINDINGS[kind](*axes)


def stop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors meant for people into SystemExit, which the harness lets through."""

    @functools.wraps(function)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (M4ragError, CacheError) as error:
            raise SystemExit(f"m4rag: {error}") from error

    return stopping


@dataclass(frozen=True)
class Cell:
    """What all leaves of one base share: a data set in a setting and a variant."""

    dataset: Dataset
    setting: Setting
    variant: Variant

    @classmethod
    def of(cls, dataset: str, setting: str, variant: str = "") -> Cell:
        return cls(DATASETS[dataset], SETTINGS[setting], VARIANTS[variant])

    def row(self, doc: Doc) -> Row:
        """The question as this variant asks it."""
        return rows.row(self.dataset, doc, self.variant.asked)

    def template(self, row: Row) -> str:
        """Whose words the prompt of a question is made of."""
        return Task(self.dataset, self.setting, self.variant, language(row.language)).template

    @property
    def context_kind(self) -> str | None:
        """Which context set is shown; None where none is."""
        if self.setting.context != "oracle":
            return None
        return "oracle_local" if self.variant.context == "local" else "oracle"

    @property
    def cache(self) -> Cache | None:
        """The opened retrieval cache; None where nothing is searched."""
        return retrieval.open_cache(self.dataset.key, self.setting.name) if self.setting.retriever else None

    def hits(self, row: Row) -> Sequence[RetrievedPassage]:
        """The passages found for a question; none where nothing is searched."""
        cache = self.cache
        return cache.hits(retrieval.query(self.dataset, self.setting, row)) if cache else []


# --- before generation ------------------------------------------------------


@stop
def _load(dataset: str) -> sources.Source:
    return sources.source(DATASETS[dataset])


@stop
def _metadata(dataset: str, setting: str, *variant_and_language: str) -> dict[str, Any]:
    """Provenance of a task, kept in its results; part of the harness's response-cache key."""
    *variant, code = variant_and_language
    cell = Cell.of(dataset, setting, *variant)
    task = Task(cell.dataset, cell.setting, cell.variant, language(code))
    check_task(task)
    manifest = cell.cache.manifest if cell.cache else None
    return {
        "version": VERSION,
        "dataset": dataset,
        "setting": setting,
        "variant": cell.variant.name,
        "language": code,
        "revision": sources.source(cell.dataset).kwargs.get("revision"),
        "rows": datasets.rows_digest(datasets.load_rows(cell.dataset, task.language), cell.dataset),
        "retriever": manifest.retriever.name if manifest else None,
        # The key says what the hits were made from, the checksum which bytes they are: vectors
        # may differ in their last digit from one kind of CPU to another.
        "cache": manifest.key if manifest else None,
        "hits": manifest.files["hits.arrow"]["sha256"] if manifest else None,
        "template": prompts.template_digest(cell.variant.kind, task.template),
        "versions": {package: importlib.metadata.version(package) for package in ("lmms-eval", "m4rag-tasks")},
    }


def check_task(task: Task) -> None:
    """Raise if a task cannot be run: data, template, context set or cache missing. Loads no rows."""
    cell = Cell(task.dataset, task.setting, task.variant)
    sources.source(task.dataset)
    prompts.template_digest(task.variant.kind, task.template)
    # What is searched with is compared with what the hits were made from, so it is needed too.
    for kind in {cell.context_kind, task.setting.query} & {"oracle", "oracle_local", "caption"}:
        contexts.check(task.dataset, kind)
    _ = cell.cache


def _docs(dataset: str, code: str) -> Callable[[Any], Any]:
    @stop
    def docs(table: Any) -> Any:
        found = datasets.rows_of_language(table, DATASETS[dataset], language(code))
        images.check_images(DATASETS[dataset], found)
        if "food_id" in found.column_names:
            datasets.knowledge_base(DATASETS[dataset])  # records name the origin; a missing file must show now
        return found

    return docs


# --- the prompt -------------------------------------------------------------


def _prompt(*axes: str) -> Callable[..., str]:
    cell = Cell.of(*axes)

    @stop
    def prompt(doc: Doc, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
        return render(cell, cell.row(doc))

    return prompt


def render(cell: Cell, row: Row) -> str:
    """The prompt of one question. Raises `M4ragError` or `CacheError`."""
    kind = cell.context_kind
    return prompts.render(
        cell.variant.kind,
        cell.template(row),
        question=row.question,
        options=row.options,
        passages=[prompts.ShownPassage(hit.title, hit.text) for hit in cell.hits(row)],
        context=contexts.context(cell.dataset, kind, row) if kind else None,
    )


def _image(dataset: str) -> Callable[[Doc], list[Any]]:
    @stop
    def image(doc: Doc) -> list[Any]:
        return [images.load_image(DATASETS[dataset], doc)]

    return image


def _target(*axes: str) -> Callable[[Doc], str]:
    cell = Cell.of(*axes)

    @stop
    def target(doc: Doc) -> str:
        row = cell.row(doc)
        return row.answer if cell.variant.kind == "open_ended" else str(row.gold)

    return target


# --- scoring ----------------------------------------------------------------


def _score(*axes: str) -> Callable[[Doc, Sequence[str]], dict[str, Any]]:
    cell = Cell.of(*axes)

    def score(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
        answer = results[0] if results and isinstance(results[0], str) else ""
        try:
            record = make_record(cell, doc, answer)
        except Exception as error:
            # Whatever changed under the run's feet (a picture, the cache): raising here would make the
            # harness drop every answer. The question goes unscored, and the task visibly incomplete.
            name = rows.question_id(cell.dataset, doc, cell.variant.asked)
            logger.exception("question %s cannot be scored", name)
            record = {"question_id": name, "parse": "unscored", "fault": str(error)}
        return records.metrics_of(record, cell.variant.kind)

    return score


def make_record(cell: Cell, doc: Doc, answer: str) -> Record:
    """Everything a report needs to know of one answered question; see `records`."""
    row, cache = cell.row(doc), cell.cache
    variety = language(row.language)
    record: Record = {
        "question_id": row.question_id,
        "qa_id": row.qa_id,
        "dataset": cell.dataset.key,
        "setting": cell.setting.name,
        "variant": cell.variant.name,
        "kind": cell.variant.kind,
        "language": row.language,
        "base_language": "en" if row.asked == "en" else variety.language,
        "register": variety.register,
        "resource": variety.resource,
        "prompt_type": row.prompt_type,
        **datasets.origin(cell.dataset, row),
        "image_id": row.image_id,
        "image": images.image_status(cell.dataset, doc),
        "question": row.question,
        "options": list(row.options),
        "gold": row.gold,
        "faults": rows.faults(row),
        "passages": [
            {"id": hit.id, "title": hit.title, "rank": hit.rank, "score": hit.score} for hit in cell.hits(row)
        ],
        "retriever": cache.manifest.retriever.name if cache else None,
        "context": contexts.context_name(cell.dataset, cell.context_kind) if cell.context_kind else None,
        "template": prompts.template_digest(cell.variant.kind, cell.template(row)),
        "cache": cache.manifest.key if cache else None,
    }
    if cell.variant.kind == "open_ended":
        everywhere = datasets.answers_in_all_languages(cell.dataset, row.qa_id)
        record["references"] = records.references(row.answer, everywhere)
    return {**record, **records.scored(record, answer)}


# --- aggregations -----------------------------------------------------------


def mean_score(records: Sequence[Record]) -> float:
    """Accuracy of a task; NaN (visibly incomplete) if any request failed or a question came twice."""
    failed = [record["question_id"] for record in records if "score" not in record]
    if failed:
        logger.error(
            "%d of %d questions have no answer or no score, e.g. %s: the task is incomplete and has no accuracy."
            " Run it again; with --use_cache remove that cache first, for it keeps failed requests.",
            len(failed),
            len(records),
            failed[0],
        )
    repeated = len(records) - len({record["question_id"] for record in records})
    if repeated:
        logger.error("%d questions were answered more than once: the task has no accuracy.", repeated)
    return math.nan if failed or repeated else mean([record["score"] for record in records])


def mean(values: Sequence[float]) -> float:
    """Plain mean of a task's values; NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def total(values: Sequence[float]) -> float:
    """Sum of a task's values."""
    return math.fsum(values)


def _source_field(field: str) -> Callable[[str], Any]:
    return lambda dataset: getattr(_load(dataset), field)


_BINDINGS: dict[str, Callable[..., Any]] = {
    "dataset_path": _source_field("path"),
    "dataset_name": _source_field("name"),
    "dataset_kwargs": _source_field("kwargs"),
    "metadata": _metadata,
    "docs": _docs,
    "prompt": _prompt,
    "image": _image,
    "target": _target,
    "score": _score,
}
