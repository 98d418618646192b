"""`m4rag cache build` and `m4rag cache merge`: the verbs that fill the cache."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from m4rag_tasks import suite
from m4rag_tasks.cli_cache.choose import datasets_and_settings, progress, say
from m4rag_tasks.cli_cache.retriever import chosen_retriever, resources
from m4rag_tasks.errors import DataError, M4ragError
from retrieval_cache.device import rank

if TYPE_CHECKING:
    from retrieval_cache import BuildSpec, Cache, ChunkerSpec, Shard

Job = tuple[suite.Dataset, suite.Setting, "BuildSpec"]


def cache_build(options: argparse.Namespace) -> int:
    shard = _shard(options.shard)
    if shard and options.engine == "ray":
        raise DataError("--engine ray spreads the queries over the cluster by itself. Leave --shard out.")

    def build(job: Job) -> str:
        from m4rag_tasks import retrieval
        from retrieval_cache import build_cache, build_shard, build_with_ray, estimate_build

        dataset, setting, spec = job
        queries, root, here = retrieval.queries(dataset, setting), retrieval.cache_root(), resources(options)
        if options.estimate:
            estimate_build(spec, queries, root, progress, here)
            return "estimated, nothing is built"
        if options.engine == "ray":
            return _described(build_with_ray(spec, queries, root, progress, here))
        if shard is None:
            return _described(build_cache(spec, queries, root, progress, here))
        mine, of = build_shard(spec, queries, root, shard, progress, here)
        return f"shard {options.shard} done, {mine} of {of} searches. When all are: m4rag cache merge"

    return _each(options, build)


def cache_merge(options: argparse.Namespace) -> int:
    def merge(job: Job) -> str:
        from m4rag_tasks import retrieval
        from retrieval_cache import merge_cache

        dataset, setting, spec = job
        queries, root = retrieval.queries(dataset, setting), retrieval.cache_root()
        return _described(merge_cache(spec, queries, root, options.sources, progress, resources(options)))

    return _each(options, merge)


def _each(options: argparse.Namespace, do: Callable[[Job], str]) -> int:
    """Do it for every data set and setting that is named; what cannot be done is said and the rest is done."""
    from retrieval_cache import CacheIncomplete

    if options.k != suite.TOP_K and not rank():
        say(f"note: tasks read k = {suite.TOP_K} only; a cache with k = {options.k} is for measuring retrieval.")
    jobs, refused = _jobs(options)
    # What cannot be built must show at once, also where hours of building come first.
    for problem, names in refused.items() if not rank() else ():
        say(f"{', '.join(names)}: {problem}")
    failed = bool(refused)
    for job in jobs:
        name = f"{job[0].key} {job[1].name}"
        try:
            done = do(job)
            if not rank():
                print(f"{name}: {done}")
        except (
            M4ragError,
            CacheIncomplete,
        ) as error:  # a fault of this one: the others can be done. A full disk is none.
            say(f"{name}: {error}")
            failed = True
    return 1 if failed else 0


def _jobs(options: argparse.Namespace) -> tuple[list[Job], dict[str, list[str]]]:
    """What to build, and for what cannot be built the reason → the names it holds for."""
    from retrieval_cache import CacheError

    jobs: list[Job] = []
    refused: dict[str, list[str]] = {}
    for dataset, setting in datasets_and_settings(options):
        try:
            jobs.append((dataset, setting, _spec(dataset, setting, options)))
        except (M4ragError, CacheError) as error:
            refused.setdefault(str(error), []).append(f"{dataset.key} {setting.name}")
    return jobs, refused


def _spec(dataset: suite.Dataset, setting: suite.Setting, options: argparse.Namespace) -> BuildSpec:
    """What to build, after a look at all that is needed. Raises `M4ragError` or `CacheError`."""
    from m4rag_tasks import contexts, datasets, retrieval
    from retrieval_cache.chunking.tokenizers import tokenizer_libraries

    spec = retrieval.build_spec(
        dataset,
        setting,
        corpus=options.corpus,
        retriever=options.retriever,
        k=options.k,
        chunker=_chunker(dataset, setting, options),
        max_broken=options.max_broken,
    )
    spec = replace(spec, retriever=chosen_retriever(spec.retriever, options))
    tokenizer_libraries(spec.chunker.tokenizer)  # CacheError where it cannot be had
    _refuse_another_corpus(dataset, spec.corpus)
    if setting.query in ("oracle", "caption"):
        contexts.check(dataset, setting.query)
    # Asking the first question finds what else is missing: rows, or the knowledge base.
    for row in itertools.islice(datasets.all_rows(dataset), 1):
        retrieval.query(dataset, setting, row)
    return spec


def _chunker(dataset: suite.Dataset, setting: suite.Setting, options: argparse.Namespace) -> ChunkerSpec:
    """The retriever's way to cut, with the values that were given."""
    from retrieval_cache import default_chunker

    given = {name: getattr(options, name) for name in ("max_tokens", "overlap", "tokenizer")}
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return default_chunker(options.retriever or str(dataset.retriever(setting)), resources(options).model, **chosen)
    except ValueError as error:
        raise DataError(f"{error}. These are --max-tokens, --overlap and --tokenizer.") from error


def _refuse_another_corpus(dataset: suite.Dataset, corpus: Path | str) -> None:
    """Raise `DataError` for a corpus whose cache no task would read."""
    from m4rag_tasks import retrieval
    from retrieval_cache import known_corpus_sha256

    own, root = retrieval.corpus_path(dataset), retrieval.cache_root()
    if own is None or own == corpus or known_corpus_sha256(own, root) == known_corpus_sha256(corpus, root):
        return
    raise DataError(
        f"Tasks of {dataset.title} read caches of the corpus that lies with it, {own}, and would not read one of"
        f" {corpus}. Leave --corpus out, or move the corpus that lies there away."
    )


def _shard(text: str | None) -> Shard | None:
    """The shard that `I/N` names. Raises `DataError` if it names none."""
    from retrieval_cache import Shard

    if text is None:
        return None
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal()):
        raise DataError(f"--shard is {text!r}; write it as 2/8, the second of eight.")
    try:
        return Shard(int(number), int(count))
    except ValueError as error:
        raise DataError(f"--shard is {text!r}: {error}.") from error


def _described(cache: Cache) -> str:
    return f"{len(cache.query_ids())} queries, key {cache.key[:16]}"
