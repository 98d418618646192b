"""The functions that task YAMLs name.

A YAML can name a function but not bind an argument to it, so names carry the
axes: `!function m4rag_tasks.hooks.docs__mini__am` is `docs` for data set "mini"
and language "am" (module `__getattr__`, PEP 562). The plain variant is left out of
names; in the place of a setting may stand what is written or judged. In the order the harness calls them:

    dataset_path__<dataset>, dataset_name__…, dataset_kwargs__…    where the rows are (values)
    metadata__<dataset>__<setting>[__<variant>]__<language>   provenance (a value); checks cache and template
    docs__<dataset>__<language>                      process_docs: the rows of one language
    docs__<dataset>__<setting>[__<variant>]__<language>       the same, for judging (a row for each passage) and
                                                     for what is written without a look at the picture
    prompt__<dataset>__<setting>[__<variant>]        doc_to_text: the whole prompt, passages included
    image__<dataset>                                 doc_to_visual
    target__<dataset>__<setting>[__<variant>]        doc_to_target
    score__<dataset>__<setting>[__<variant>]         process_results: the record
    mean_score, mean_grade, share_written, mean, total           aggregations

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
from typing import Any

from m4rag_tasks import contexts, datasets, images, sources
from m4rag_tasks.cells import cell as cell_named
from m4rag_tasks.errors import M4ragError, UnknownNameError
from m4rag_tasks.records import Record
from m4rag_tasks.rows import Doc
from m4rag_tasks.suite import DATASETS, language
from retrieval_cache import CacheError

logger = logging.getLogger(__name__)

VERSION = 2
"""Version of the tasks: raised whenever the same answers would get other scores or prompts."""


def __getattr__(name: str) -> Any:
    kind, *axes = name.split("__")
    if kind not in _BINDINGS or not axes or "" in axes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _bound(name, kind, axes)


def stop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors meant for people into SystemExit, which the harness lets through."""

    @functools.wraps(function)
    def stopping(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (M4ragError, CacheError) as error:
            raise SystemExit(f"m4rag: {error}") from error

    return stopping


@stop
def _bound(name: str, kind: str, axes: Sequence[str]) -> Any:
    """What a YAML names; an axis that does not exist would else show as a failed import."""
    try:
        return _BINDINGS[kind](*axes)
    except (KeyError, TypeError) as error:
        raise UnknownNameError(
            f"hooks.{name} names no task: {error}. Compare it with the same line of a task YAML of ours."
        ) from error


# --- before generation ------------------------------------------------------


@stop
def _load(dataset: str) -> sources.Source:
    return sources.source(DATASETS[dataset])


@stop
def _metadata(dataset: str, setting: str, *variant_and_language: str) -> dict[str, Any]:
    """Provenance of a task, kept in its results; part of the harness's response-cache key."""
    *variant, code = variant_and_language
    cell = cell_named(dataset, setting, *variant)
    variety = language(code)
    cell.check(variety)
    manifest = cell.cache.manifest if cell.cache else None
    found, kind = datasets.load_rows(cell.dataset, variety), cell.context_kind
    return {
        "version": VERSION,
        "dataset": dataset,
        "setting": setting,
        "variant": cell.variant.name,
        "language": code,
        "revision": sources.source(cell.dataset).kwargs.get("revision"),
        "rows": datasets.rows_digest(found, cell.dataset),
        # Neither the pictures nor whether they are blanks shows in a prompt.
        "images": images.summary(cell.dataset, found) if cell.setting.pictured else "not shown",
        "context": contexts.context_digest(cell.dataset, kind) if kind else None,
        "contexts": {
            kind: {
                "name": contexts.context_name(cell.dataset, kind),
                "sha256": contexts.context_digest(cell.dataset, kind),
            }
            for kind in cell.context_kinds
        },
        "retriever": manifest.retriever.name if manifest else None,
        # The key says what the hits were made from, the checksum which bytes they are: vectors
        # may differ in their last digit from one kind of CPU to another.
        "cache": manifest.key if manifest else None,
        "hits": manifest.files["hits.arrow"]["sha256"] if manifest else None,
        "template": cell.template_digest(variety),
        "versions": {package: importlib.metadata.version(package) for package in ("lmms-eval", "m4rag-tasks")},
    }


def _docs(dataset: str, *axes_and_language: str) -> Callable[[Any], Any]:
    *axes, code = axes_and_language
    asked, variety = DATASETS[dataset], language(code)
    cell = cell_named(dataset, *axes) if axes else None

    @stop
    def docs(table: Any) -> Any:
        found = datasets.rows_of_language(table, asked, variety)
        if cell is None or cell.setting.pictured:
            images.check_images(asked, found)
        if "food_id" in found.column_names:
            datasets.knowledge_base(asked)  # records name the origin; a missing file must show now
        return cell.docs(found) if cell else found

    return docs


# --- the prompt -------------------------------------------------------------


def _prompt(*axes: str) -> Callable[..., str]:
    cell = cell_named(*axes)

    @stop
    def prompt(doc: Doc, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
        return cell.prompt(cell.row(doc))

    return prompt


def _image(dataset: str) -> Callable[[Doc], list[Any]]:
    asked = DATASETS[dataset]

    @stop
    def image(doc: Doc) -> list[Any]:
        return [images.load_image(asked, doc)]

    return image


def no_image(doc: Doc) -> list[Any]:
    """`doc_to_visual` of tasks that look at no picture."""
    return []


def _target(*axes: str) -> Callable[[Doc], str]:
    return stop(cell_named(*axes).target)


# --- scoring ----------------------------------------------------------------


def _score(*axes: str) -> Callable[[Doc, Sequence[str]], dict[str, Any]]:
    cell = cell_named(*axes)

    def score(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
        answer = results[0] if results and isinstance(results[0], str) else ""
        try:
            record = cell.record(doc, answer)
        except Exception as error:
            # Whatever changed under the run's feet (a picture, the cache): raising here would make the
            # harness drop every answer. The question goes unscored, and the task visibly incomplete.
            name = cell.record_id(doc)
            logger.exception("question %s cannot be scored", name)
            record = {"question_id": name, "parse": "unscored", "fault": str(error)}
        return cell.metrics_of(record)

    return score


# --- aggregations -----------------------------------------------------------


def mean_score(answered: Sequence[Record]) -> float:
    """Accuracy of a task; NaN (visibly incomplete) if any request failed or a question came twice."""
    failed = [record["question_id"] for record in answered if "score" not in record]
    if failed:
        logger.error(
            "%d of %d questions have no answer or no score, e.g. %s: the task is incomplete and has no accuracy."
            " Run it again; with --use_cache remove that cache first, for it keeps failed requests.",
            len(failed),
            len(answered),
            failed[0],
        )
    repeated = len(answered) - len({record["question_id"] for record in answered})
    if repeated:
        logger.error("%d questions were answered more than once: the task has no accuracy.", repeated)
    return math.nan if failed or repeated else mean([record["score"] for record in answered])


def mean_grade(judged: Sequence[Record]) -> float:
    """Mean grade of the passages that got one; NaN if any request failed or a passage came twice."""
    failed = [record["item"] for record in judged if "grade" not in record]
    if failed:
        logger.error(
            "%d of %d passages have no answer of the judge, e.g. %s: the task is incomplete and has no mean grade."
            " Run it again; with --use_cache remove that cache first, for it keeps failed requests.",
            len(failed),
            len(judged),
            failed[0],
        )
    repeated = len(judged) - len({record["item"] for record in judged})
    if repeated:
        logger.error("%d passages were judged more than once: the task has no mean grade.", repeated)
    return math.nan if failed or repeated else mean([r["grade"] for r in judged if r["grade"] is not None])


def share_written(written: Sequence[Record]) -> float:
    """Share of the questions whose text is there and looks whole; those of failed requests count among the rest."""
    return mean([float(record.get("finish") == "ended") for record in written])


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
