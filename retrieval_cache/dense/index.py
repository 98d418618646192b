"""Exact search over embeddings.

Embeddings lie in shards `embeddings-00000.npy`, …, each written atomically, so
a killed build loses one shard at most and an index may be larger than memory.
faiss.IndexFlatIP finds candidates shard by shard; their scores are then summed
again in float64 in a fixed order, because faiss's own sums depend on how many
queries it gets at once. So rankings are the same for every block size and
thread count, and ties go to the lower passage row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import faiss
import numpy as np
from tqdm import tqdm

from retrieval_cache.encoders.base import Encoder
from retrieval_cache.files import atomic_file, remove_files
from retrieval_cache.ranking import NO_ROW, NO_SCORE, top_k
from retrieval_cache.records import CacheCorrupt, CacheIncomplete, CorpusError, Passage, Query
from retrieval_cache.store.passages import PassageTable

SHARD_ROWS = 4096
_SPARE = 16  # candidates beyond k, room for faiss's rounding
_SLACK = 1e-4  # how far faiss's float32 sums may be off, relative to vector lengths


class DenseIndex:
    """An opened index; memory-mapped, `search` may be called from several threads."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        self.encoder = encoder
        paths = sorted(folder.glob("embeddings-*.npy"))
        if not paths:
            raise CacheIncomplete(f"{folder} holds no embeddings.", "Build it again.")
        self._shards = []
        for path in paths:
            shard = _read_shard(path)
            if shard is None or shard.shape[1] != encoder.dim:
                raise CacheCorrupt(
                    f"{path} does not hold float32 vectors of {encoder.dim} numbers.",
                    "Delete the folder it lies in and build again.",
                )
            self._shards.append(shard)

    @staticmethod
    def build(
        passages: PassageTable | Sequence[Passage],
        encoder: Encoder,
        folder: Path,
        image_root: Path | None = None,
    ) -> list[str]:
        """Embed passages into shards, keeping those already there; returns the file names."""
        names = []
        total = len(passages)
        bar = tqdm(total=total, desc="embedding passages", delay=2, disable=None)
        with bar:
            for number, start in enumerate(range(0, total, SHARD_ROWS)):
                rows = min(SHARD_ROWS, total - start)
                path = folder / f"embeddings-{number:05d}.npy"
                names.append(path.name)
                done = _read_shard(path) if path.exists() else None
                if done is None or done.shape != (rows, encoder.dim):
                    batch = _rows(passages, start, start + rows)
                    _write_shard(path, _encode(encoder, batch, image_root, bar))
                else:
                    bar.update(rows)
        for path in folder.glob("embeddings-*.npy"):
            if path.name not in names:
                remove_files(folder, path.name)
        return names

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best `k` passages of each query: rows int32 [n, k], scores float32 [n, k].

        Scores are inner products. Where the corpus holds fewer than k passages,
        the places left hold row -1 and score NaN.
        """
        vectors = self._query_vectors(queries)
        found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in queries]
        first_row = 0
        for shard in self._shards:
            for hits, (rows, scores) in zip(found, _search_shard(shard, vectors, k), strict=True):
                hits.append((rows + first_row, scores))
            first_row += len(shard)
        all_rows = np.full((len(queries), k), NO_ROW, np.int32)
        all_scores = np.full((len(queries), k), NO_SCORE, np.float32)
        for number, (vector, hits) in enumerate(zip(vectors, found, strict=True)):
            if not vector.any():
                continue  # nothing to search with: every passage would tie at zero
            rows, scores = (np.concatenate(part) for part in zip(*hits, strict=True))
            rows, scores = top_k(rows, scores, k)
            all_rows[number, : len(rows)] = rows
            all_scores[number, : len(rows)] = scores
        return all_rows, all_scores

    def _query_vectors(self, queries: Sequence[Query]) -> np.ndarray:
        """float32 [n, dim], in batches of the encoder's choice."""
        vectors = np.empty((len(queries), self.encoder.dim), np.float32)
        for start in range(0, len(queries), self.encoder.batch):
            batch = queries[start : start + self.encoder.batch]
            encoded = self.encoder.encode_queries(batch)
            owners = [f"query {query.id!r}" for query in batch]
            vectors[start : start + len(batch)] = _checked(self.encoder, encoded, owners)
        return vectors


def embedding_bytes(passages: int, dim: int) -> int:
    """Bytes that the embeddings of an index take, on disk and when searched at once."""
    return passages * dim * 4


def _search_shard(shard: np.ndarray, vectors: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each vector: rows within the shard (int64) and scores (float64) of candidates.

    They hold the shard's true best k. If faiss's last candidate is too near to
    the k-th, many passages (almost) tie and more candidates are taken.
    """
    index = faiss.IndexFlatIP(shard.shape[1])
    index.add(np.ascontiguousarray(shard))
    count = min(len(shard), k + _SPARE)
    near, rows = index.search(vectors, count)
    for vector, first_near, first_rows in zip(vectors, near, rows, strict=True):
        yield _settle(index, shard, vector, k, first_near, first_rows)


def _settle(index: faiss.Index, shard: np.ndarray, vector: np.ndarray, k: int, near, rows):
    """Score candidates exactly, taking more until none left out can be among the best k."""
    scores = _exact(shard, rows, vector)
    slack = _SLACK * max(1.0, float(np.abs(near).max()))
    while len(rows) < len(shard) and near[-1] >= np.partition(scores, -k)[-k] - slack:
        more = min(len(shard), 4 * len(rows))
        near, rows = (part[0] for part in index.search(vector[None], more))
        scores = _exact(shard, rows, vector)
    return rows, scores


def _exact(shard: np.ndarray, rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Inner products summed in float64 along each row, rounded to float32: float64 [n].

    Rounding makes what is stored and what is sorted the same, so that a
    difference in the sixteenth digit cannot order two passages.
    """
    products = shard[rows].astype(np.float64) * vector.astype(np.float64)
    return products.sum(axis=1).astype(np.float32).astype(np.float64)


def _encode(encoder: Encoder, passages: list[Passage], image_root, bar: tqdm) -> np.ndarray:
    vectors = np.empty((len(passages), encoder.dim), np.float32)
    for start in range(0, len(passages), encoder.batch):
        batch = passages[start : start + encoder.batch]
        encoded = encoder.encode_passages(batch, image_root)
        owners = [f"passage {passage.id!r}" for passage in batch]
        vectors[start : start + len(batch)] = _checked(encoder, encoded, owners)
        bar.update(len(batch))
    return vectors


def _checked(encoder: Encoder, vectors: np.ndarray, owners: list[str]) -> np.ndarray:
    """Refuse what would poison the index: wrong shape, NaN, infinity."""
    if vectors.shape != (len(owners), encoder.dim):
        raise CorpusError(
            f"encoder {encoder.name!r} gave an array of shape {vectors.shape} "
            f"where {(len(owners), encoder.dim)} is wanted.",
            "This is a fault of the encoder.",
        )
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise CorpusError(
            f"encoder {encoder.name!r} gave NaN or infinity for {owners[bad[0]]}.",
            "Look at its text and image; a half-precision encoder may overflow on it.",
        )
    return vectors


def _rows(passages: PassageTable | Sequence[Passage], start: int, stop: int) -> list[Passage]:
    if isinstance(passages, PassageTable):
        return passages.slice(start, stop)
    return list(passages[start:stop])


def _write_shard(path: Path, vectors: np.ndarray) -> None:
    with atomic_file(path) as file:
        np.save(file, vectors, allow_pickle=False)


def _read_shard(path: Path) -> np.ndarray | None:
    """The shard, memory-mapped; None if it is no float32 matrix of full length."""
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError):
        return None
    return shard if shard.ndim == 2 and shard.dtype == np.float32 else None
