"""`m4rag cache export`, `push` and `pull`: caches for and from other places."""

from __future__ import annotations

import argparse

from m4rag_tasks.cli_cache.choose import named_pairs, progress, read_caches
from m4rag_tasks.errors import UnknownNameError


def cache_export(options: argparse.Namespace) -> int:
    from retrieval_cache import export_cache, write_trec_run

    caches = read_caches(options)
    if options.trec:
        if len(caches) > 1:
            names = ", ".join(f"{dataset.key} {setting.name}" for dataset, setting, _ in caches)
            raise UnknownNameError(f"A TREC run holds the rankings of one cache; these are several: {names}.")
        lines = write_trec_run(caches[0][2], options.trec)
        print(f"{options.trec}: {lines} lines")
        return 0
    for dataset, setting, cache in caches:
        found = export_cache(cache, options.output, progress)
        size = sum(entry["size"] for entry in found.manifest.files.values())
        print(f"{dataset.key} {setting.name}: {found.manifest.passages_here} passages, {size:,} bytes")
    print(f"Read it with: M4RAG_CACHE={options.output} lmms-eval …")
    return 0


def cache_push(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import open_remote, push_caches

    caches = [cache for _, _, cache in read_caches(options)]
    remote = open_remote(options.remote)
    sent = push_caches(remote, caches, retrieval.cache_root(), options.with_index, progress)
    print(f"{sent} of {len(caches)} caches were sent to {remote.address}; the others were there.")
    return 0


def cache_pull(options: argparse.Namespace) -> int:
    from m4rag_tasks import retrieval
    from retrieval_cache import open_remote, pull_caches

    named = {(dataset.key, setting.name) for dataset, setting in named_pairs(options)}

    def chosen(dataset: str, setting: str) -> bool:
        return not named or (dataset, setting) in named

    root = retrieval.cache_root()
    caches = pull_caches(open_remote(options.remote), root, chosen, options.with_index, progress)
    for cache in caches:
        print(
            f"{cache.manifest.dataset} {cache.manifest.setting}: {len(cache.query_ids())} queries, key {cache.key[:16]}"
        )
    print(f"{len(caches)} caches are in {root}.")
    return 0
