"""Encoding passages and queries, with a check of all that an encoder gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from retrieval_cache.dense import shards
from retrieval_cache.encoders.base import Encoder
from retrieval_cache.files import remove_files
from retrieval_cache.records import CorpusError, Passage, Query
from retrieval_cache.store.passages import PassageTable


def embed_passages(
    passages: PassageTable | Sequence[Passage],
    encoder: Encoder,
    folder: Path,
    image_root: Path | None = None,
) -> list[str]:
    """Embed passages into shards, keeping those already there; returns the file names.

    Batches start anew with every shard, so a vector does not depend on where a
    build was stopped, also if the encoder's last bits depend on its batch.
    """
    names, total = [], len(passages)
    with tqdm(total=total, desc="embedding passages", delay=2, disable=None) as bar:
        for number, start in enumerate(range(0, total, shards.SHARD_ROWS)):
            rows = min(shards.SHARD_ROWS, total - start)
            path = folder / f"embeddings-{number:05d}.npy"
            names.append(path.name)
            if shards.is_shard(path, rows, encoder.dim):
                bar.update(rows)
            else:
                batch = _rows(passages, start, start + rows)
                shards.write_shard(path, _encode_passages(encoder, batch, image_root, bar))
    for path in folder.glob(shards.PATTERN):
        if path.name not in names:
            remove_files(folder, path.name)
    return names


def embed_queries(queries: Sequence[Query], encoder: Encoder) -> np.ndarray:
    """float32 [n, dim], in batches of the encoder's choice."""
    vectors = np.empty((len(queries), encoder.dim), np.float32)
    for start in range(0, len(queries), encoder.batch):
        batch = queries[start : start + encoder.batch]
        owners = [f"query {query.id!r}" for query in batch]
        vectors[start : start + len(batch)] = _checked(encoder, encoder.encode_queries(batch), owners)
    return vectors


def _encode_passages(encoder: Encoder, passages: list[Passage], image_root, bar: tqdm) -> np.ndarray:
    vectors = np.empty((len(passages), encoder.dim), np.float32)
    for start in range(0, len(passages), encoder.batch):
        batch = passages[start : start + encoder.batch]
        owners = [f"passage {passage.id!r}" for passage in batch]
        vectors[start : start + len(batch)] = _checked(encoder, encoder.encode_passages(batch, image_root), owners)
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
