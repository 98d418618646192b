"""Retrieval caches: passages retrieved once for every question of a benchmark.

    from pathlib import Path
    from retrieval_cache import BuildSpec, Query, Wanted, build_cache, default_spec, find_cache

    spec = BuildSpec("mini", "textrag_question_bm25", Path("articles.jsonl"), default_spec("bm25"))
    query = Query("q1", "What is rendang made of?")
    build_cache(spec, [query], root=Path("caches"), progress=print)  # resumable; skips what is there

    wanted = Wanted("mini", "textrag_question_bm25", default_spec("bm25"))
    cache = find_cache(Path("caches"), wanted, fix="Build it first.")
    for passage in cache.hits(query):  # safe from several threads; never an empty list
        print(passage.rank, passage.title, passage.text)

The package stands alone. Errors are subclasses of `CacheError`. What belongs
where on disk: `retrieval_cache.store.caches`; what a key covers:
`retrieval_cache.store.manifest`; retrievers that can be named: `retriever_names()`.
Names are imported when first used, so `import retrieval_cache` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "build": ["build_cache", "estimate_build"],
    "estimate": ["DoesNotFit"],
    "encoders.weights": ["ModelError", "pinned", "resolve_weights"],
    "retrievers": ["Resources"],
    "ray_cluster": ["build_with_ray"],
    "shards": ["Shard", "build_shard", "merge_cache"],
    "store.cache": ["Cache"],
    "corpus.articles": ["read_articles"],
    "chunking.defaults": ["default_chunker"],
    "files": ["file_sha256"],
    "corpus.known": ["known_corpus_sha256"],
    "corpus.stats": ["CorpusStats", "corpus_stats"],
    "store.manifest": ["Manifest"],
    "store.parts": ["searched"],
    "records": [
        "Article", "BuildSpec", "CacheCorrupt", "CacheError", "CacheIncomplete", "CacheMismatch",
        "CacheMissing", "CacheWriteError", "ChunkerSpec", "CorpusError", "Hit", "Passage", "Query",
        "RemoteError", "RetrievedPassage", "RetrieverSpec", "Section", "Wanted",
    ],
    "specs": ["default_spec", "retriever_names", "with_instruction", "with_weights"],
    "store.caches": ["CacheEntry", "find_cache", "has_caches", "last_change", "list_caches", "open_cache"],
    "store.export": ["export_cache", "write_trec_run"],
    "store.remote": ["open_remote"],
    "push": ["push_caches"],
    "pull": ["pull_caches"],
    "evaluation": ["Evaluation", "evaluate"],
    "qrels": ["read_qrels"],
    "audit": ["search_again", "verify"],
}  # fmt: skip

_HOME = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605  computed, so that it cannot fall out of step


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
