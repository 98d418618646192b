"""Approximate search: inverted lists of quantised vectors (faiss IVF), asked for by `index="ivf"`.

The vectors are those of an exact index, which stays beside it: what the lists
give is scored again with them, so scores are exact and only which passages are
found is not. How many of the true best k are found is measured on a sample of
the real queries with every build.

Sivic and Zisserman, "Video Google", ICCV 2003; Jégou et al., "Product
quantization for nearest neighbor search", TPAMI 2011.

Training takes a seeded sample. Queries are searched in groups of GROUP from the
start of a block, because faiss's rounding depends on what is searched together;
so hits are the same wherever a build was stopped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from retrieval_cache.dense.exact import best, block_rows, exact_search, float_blocks, pair_scores
from retrieval_cache.dense.shards import Shards
from retrieval_cache.files import atomic_file
from retrieval_cache.ranking import NO_ROW, NO_SCORE
from retrieval_cache.records import CacheCorrupt

FILE = "ivf.faiss"
GROUP = 256
SAMPLE_QUERIES = 500
"""Queries that recall is measured on, at most."""

_TRAINED_PER_LIST = 40  # faiss wants 39 at least
_QUANTIZER = re.compile(r"SQ8|PQ([1-9][0-9]*)")


class IvfIndex:
    """An opened index; `search` may be called from several threads."""

    def __init__(self, path: Path, shards: Shards, params: Mapping[str, Any]) -> None:
        """Open the index at `path`, which must have been compared with its checksum: faiss's reader trusts its file."""
        self._shards = shards
        try:
            self._index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise _corrupt(path, "faiss cannot read it") from error
        if not isinstance(self._index, faiss.IndexIVF) or self._index.d != shards.dim:
            raise _corrupt(path, f"it is no inverted index of {shards.dim} numbers a vector")
        if self._index.ntotal != len(shards) or self._index.metric_type != faiss.METRIC_INNER_PRODUCT:
            raise _corrupt(path, f"it does not hold {len(shards):,} passages by inner product")
        self.nlist, self.nprobe = sizes(len(shards), params)
        self._index.nprobe = self.nprobe

    def search(self, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """rows int32 [n, k] and scores float32 [n, k] for vectors float32 [n, dim]; as `exact_search`."""
        rows = np.full((len(vectors), k), NO_ROW, np.int32)
        scores = np.full((len(vectors), k), NO_SCORE, np.float32)
        count = min(len(self._shards), 2 * k + 16)
        found = [
            self._index.search(vectors[start : start + GROUP], count)[1] for start in range(0, len(vectors), GROUP)
        ]
        near = np.concatenate(found)
        near[~vectors.any(axis=1)] = NO_ROW  # nothing to search with
        best_rows, best_scores = best(near, pair_scores(self._shards, vectors, near), k)
        rows[:, : best_rows.shape[1]] = best_rows
        scores[:, : best_rows.shape[1]] = np.where(best_rows == NO_ROW, NO_SCORE, best_scores)
        return rows, scores

    def recall(self, vectors: np.ndarray, k: int, device: str) -> float:
        """Share of the true best k of each vector that are found."""
        true, _ = exact_search(self._shards, vectors, k, device)
        found, _ = self.search(vectors, k)
        same = (true[:, :, None] == found[:, None, :]) & (true[:, :, None] != NO_ROW)
        return float(same.sum() / max(1, (true != NO_ROW).sum()))


def build_ivf(shards: Shards, path: Path, params: Mapping[str, Any]) -> None:
    """Train on a sample of the vectors, add them all block by block, and write the index."""
    nlist, _ = sizes(len(shards), params)
    index = faiss.index_factory(shards.dim, f"IVF{nlist},{quantizer(params, shards.dim)}", faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = params["seed"]
    random = np.random.default_rng(params["seed"])
    chosen = random.choice(len(shards), min(len(shards), trained(nlist)), replace=False)
    index.train(shards.take(np.sort(chosen), block_rows(shards.dim)))
    for _, block in float_blocks(shards):
        index.add(block)
    with atomic_file(path) as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))


def sizes(passages: int, params: Mapping[str, Any]) -> tuple[int, int]:
    """Lists, and lists that a search looks at: as `params` say, or by the number of passages.

    Four times the square root of the passages, to a power of two, as faiss's
    guidelines advise; a thirty-second of these are looked at, at least eight.
    """
    by_size = 2 ** round(np.log2(4 * np.sqrt(max(1, passages))))
    nlist = params["nlist"] or max(1, min(by_size, passages // _TRAINED_PER_LIST))
    nprobe = params["nprobe"] or max(8, nlist // 32)
    return nlist, min(nprobe, nlist)


def trained(nlist: int) -> int:
    """Vectors that so many lists are trained on: enough for the lists, and for the 256 codes of PQ."""
    return _TRAINED_PER_LIST * max(nlist, 256)


def quantizer(params: Mapping[str, Any], dim: int) -> str:
    """The quantizer's name, checked: SQ8, a byte a number, or PQ<m>, m bytes a vector (m divides `dim`)."""
    named = _QUANTIZER.fullmatch(str(params["quantizer"]))
    if not named or (named[1] and dim % int(named[1])):
        raise ValueError(
            f"quantizer is {params['quantizer']!r}; it is 'SQ8', or 'PQ8' and the like where 8 divides {dim}"
        )
    return named[0]


def index_bytes(passages: int, dim: int, params: Mapping[str, Any]) -> int:
    """Bytes of the index, on disk and in memory: codes, ids, centroids and what the codes mean."""
    code, meaning = (dim, 2) if quantizer(params, dim) == "SQ8" else (int(params["quantizer"][2:]), 256)
    return passages * (code + 8) + (sizes(passages, params)[0] + meaning) * dim * 4


def _corrupt(path: Path, problem: str) -> CacheCorrupt:
    return CacheCorrupt(f"{path} is not this index: {problem}.", "Delete the folder it lies in and build again.")
