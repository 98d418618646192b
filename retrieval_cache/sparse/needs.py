"""What making a BM25 index takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrieval_cache.estimate import Needs, sample, seconds_of
from retrieval_cache.sparse.runs import make_run
from retrieval_cache.sparse.workers import MEMORY, MEMORY_EACH, processes
from retrieval_cache.specs import passage_input
from retrieval_cache.store.passages import PassageTable

_PER_POSTING = 8  # bytes: three in the index, its terms and segments, and the runs that it is merged from


def needs(passages: PassageTable, params: Mapping[str, Any]) -> Needs:
    """By the distinct terms of a few passages."""
    texts = [passage_input(params, p.title, p.text) for p in sample(passages)] * 8
    postings = len(make_run(texts).offset) / len(texts) * len(passages)
    count = processes(len(passages))

    def seconds() -> float:
        return seconds_of(lambda: make_run(texts)) / len(texts) * len(passages) / count

    return Needs(int(_PER_POSTING * postings), MEMORY + MEMORY_EACH * count, seconds)
