"""A dense index: embeddings of passages, and the encoder for queries to search them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval_cache.dense.donors import Lender
from retrieval_cache.dense.embed import embed_passages, embed_queries, embedding_shards
from retrieval_cache.dense.exact import exact_search
from retrieval_cache.dense.ivf import IvfIndex
from retrieval_cache.dense.shards import Shards
from retrieval_cache.device import best_device
from retrieval_cache.encoders.base import Encoder
from retrieval_cache.records import Passage, Query
from retrieval_cache.store.passages import PassageTable

__all__ = ["ApproximateIndex", "DenseIndex", "embedding_bytes", "embedding_shards"]


class DenseIndex:
    """An opened index for exact search; `search` may be called from several threads."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self.encoder = encoder
        self.shards = Shards(folder, encoder.dim)
        self.device = best_device()

    @staticmethod
    def build(
        passages: PassageTable | Sequence[Passage],
        encoder: Encoder,
        folder: Path,
        image_root: Path | None = None,
        lender: Lender | None = None,
    ) -> list[str]:
        """Embed passages into shards, keeping those already there; returns the file names."""
        return embed_passages(passages, encoder, folder, image_root, lender)

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best `k` passages of each query: rows int32 [n, k], scores float32 [n, k].

        Scores are inner products. Where the corpus holds fewer than k passages,
        the places left hold row -1 and score NaN; so do all of a query whose
        vector is zero.
        """
        return exact_search(self.shards, embed_queries(queries, self.encoder), k, self.device)


class ApproximateIndex:
    """An opened index for approximate search beside the exact one; `search` may be called from several threads."""

    def __init__(self, path: Path, exact: DenseIndex, params: Mapping[str, Any]) -> None:
        self._exact = exact
        self._lists = IvfIndex(path, exact.shards, params)

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `DenseIndex.search`; passages in lists that are not looked at are not found."""
        return self._lists.search(embed_queries(queries, self._exact.encoder), k)

    def recall(self, queries: Sequence[Query], k: int) -> float:
        """Share of each query's true best `k` that are found."""
        return self._lists.recall(embed_queries(queries, self._exact.encoder), k, self._exact.device)


def embedding_bytes(passages: int, dim: int) -> int:
    """Bytes that the embeddings of an index take on disk."""
    return passages * (dim + 1) * 2
