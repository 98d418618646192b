"""The functions that task YAMLs name.

A YAML can name a function but not bind an argument to it, so names carry the
axes: `!function m4rag_tasks.hooks.docs__mini__am` is `docs` for data set "mini"
and language "am" (module `__getattr__`, PEP 562). In the order the harness calls them:

    dataset_path__<dataset>, dataset_name__…, dataset_kwargs__…   where the rows are (values)
    metadata__<dataset>__<setting>__<language>   provenance (a value); checks cache and template
    docs__<dataset>__<language>           process_docs: the rows of one language
    prompt__<dataset>__<setting>          doc_to_text: the whole prompt, passages included
    image__<dataset>                      doc_to_visual
    target__<dataset>                     doc_to_target
    score__<dataset>__<setting>           process_results: the record
    mean_score, mean, total               aggregations

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

from m4rag_tasks import contexts, datasets, prompts, retrieval
from m4rag_tasks.answers import parse
from m4rag_tasks.datasets import Row
from m4rag_tasks.errors import M4ragError
from m4rag_tasks.suite import DATASETS, SETTINGS, Dataset, Setting, Task, all_tasks, group_name, languages
from retrieval_cache import Cache, CacheError, RetrievedPassage

logger = logging.getLogger(__name__)

VERSION = 1
"""Version of the tasks: raised whenever the same answers would get other scores or prompts."""

Doc = Mapping[str, Any]
Record = dict[str, Any]


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


# --- before generation ------------------------------------------------------


@stop
def _load(dataset: str) -> datasets.Source:
    return datasets.source(DATASETS[dataset])


@stop
def _metadata(dataset: str, setting: str, language: str) -> dict[str, Any]:
    """Provenance of a task, kept in its results; part of the harness's response-cache key."""
    task = all_tasks()[f"{group_name(dataset, setting)}_{language}"]
    check_task(task)
    cache = _cache(task.dataset, task.setting)
    return {
        "version": VERSION,
        "dataset": dataset,
        "setting": setting,
        "language": language,
        "retriever": task.setting.retriever,
        # The key says what the hits were made from, the checksum which bytes they are: vectors
        # may differ in their last digit from one kind of CPU to another.
        "cache": cache.manifest.key if cache else None,
        "hits": cache.manifest.files["hits.arrow"]["sha256"] if cache else None,
        "template": prompts.template_digest("mcq", task.language.template),
        "versions": {package: importlib.metadata.version(package) for package in ("lmms-eval", "m4rag-tasks")},
    }


def check_task(task: Task) -> None:
    """Raise if a task cannot be run: data, template or cache missing. Loads no rows."""
    datasets.source(task.dataset)
    prompts.template_digest("mcq", task.language.template)
    _cache(task.dataset, task.setting)


def _cache(dataset: Dataset, setting: Setting) -> Cache | None:
    return retrieval.open_cache(dataset.key, setting.name) if setting.retriever else None


def _docs(dataset: str, language: str) -> Callable[[Any], Any]:
    @stop
    def docs(table: Any) -> Any:
        rows = datasets.rows_of_language(table, DATASETS[dataset], languages()[language])
        datasets.check_images(DATASETS[dataset], rows)
        datasets.knowledge_base(DATASETS[dataset])  # records name the origin; a missing file must show now
        return rows

    return docs


# --- the prompt -------------------------------------------------------------


def _prompt(dataset: str, setting: str) -> Callable[..., str]:
    @stop
    def prompt(doc: Doc, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
        row = datasets.row(DATASETS[dataset], doc)
        return render(DATASETS[dataset], SETTINGS[setting], row)

    return prompt


def render(dataset: Dataset, setting: Setting, row: Row) -> str:
    """The prompt of one question in one setting. Raises `M4ragError` or `CacheError`."""
    return prompts.render(
        "mcq",
        languages()[row.language].template,
        question=row.question,
        options=row.options,
        passages=[prompts.ShownPassage(hit.title, hit.text) for hit in _hits(dataset, setting, row)],
        context=contexts.context(dataset, "oracle", row) if setting.context == "oracle" else None,
    )


def _hits(dataset: Dataset, setting: Setting, row: Row) -> Sequence[RetrievedPassage]:
    cache = _cache(dataset, setting)
    return cache.hits(retrieval.query(dataset, setting, row)) if cache else []


def _image(dataset: str) -> Callable[[Doc], list[Any]]:
    @stop
    def image(doc: Doc) -> list[Any]:
        return [datasets.load_image(DATASETS[dataset], doc)]

    return image


def _target(dataset: str) -> Callable[[Doc], str]:
    @stop
    def target(doc: Doc) -> str:
        return str(datasets.row(DATASETS[dataset], doc).gold)

    return target


# --- scoring ----------------------------------------------------------------


def _score(dataset: str, setting: str) -> Callable[[Doc, Sequence[str]], dict[str, Any]]:
    def score(doc: Doc, results: Sequence[str]) -> dict[str, Any]:
        answer = results[0] if results and isinstance(results[0], str) else ""
        try:
            record = make_record(DATASETS[dataset], SETTINGS[setting], doc, answer)
        except Exception as error:
            # Whatever changed under the run's feet (a picture, the cache): raising here would make the
            # harness drop every answer. The question goes unscored, and the task visibly incomplete.
            logger.exception("question %s-%s cannot be scored", doc.get("qa_id"), doc.get("lang"))
            record = {"question_id": f"{doc.get('qa_id')}-{doc.get('lang')}", "parse": "unscored", "fault": str(error)}
        failed = "score" not in record
        return {
            "accuracy": record,
            "micro": record.get("score", math.nan),
            "strict": record.get("strict", math.nan),
            "invalid": float(record["parse"] == "invalid"),
            "failed": float(failed),
        }

    return score


def make_record(dataset: Dataset, setting: Setting, doc: Doc, answer: str) -> Record:
    """Everything a report needs to know of one answered question.

    `score` and `strict` are absent when the request failed: a dead server is not a wrong answer.
    """
    row = datasets.row(dataset, doc)
    parsed = parse(answer, row.options)
    cache = _cache(dataset, setting)
    record: Record = {
        "question_id": row.question_id,
        "qa_id": row.qa_id,
        "dataset": dataset.key,
        "setting": setting.name,
        "language": row.language,
        "prompt_type": row.prompt_type,
        **datasets.origin(dataset, row),
        "image_id": row.image_id,
        "image": datasets.image_status(dataset, doc),
        "question": row.question,
        "options": list(row.options),
        "gold": row.gold,
        "prediction": parsed.choice,
        "parse": parsed.rule,
        "passages": [
            {"id": hit.id, "title": hit.title, "rank": hit.rank, "score": hit.score}
            for hit in _hits(dataset, setting, row)
        ],
        "retriever": setting.retriever,
        "context": contexts.context_name(dataset, "oracle") if setting.context == "oracle" else None,
        "template": prompts.template_digest("mcq", languages()[row.language].template),
        "cache": cache.manifest.key if cache else None,
    }
    if parsed.rule != "failed_request":
        record["score"] = float(parsed.choice == row.gold)
        record["strict"] = float(parse(answer, row.options, "reference").choice == row.gold)
    return record


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
