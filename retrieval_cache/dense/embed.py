"""Encoding passages and queries, with a check of all that an encoder gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval_cache.dense import shards
from retrieval_cache.dense.donors import Lender
from retrieval_cache.encoders.base import Encoder
from retrieval_cache.files import remove_files
from retrieval_cache.records import CorpusError, Passage, Query
from retrieval_cache.store.passages import PassageTable
from retrieval_cache.units import Advance, make_units

EMBEDDING = "embedding passages"


@dataclass(frozen=True)
class EmbeddingShard:
    """The embeddings of passages start … stop-1 of an index: a unit that any process may make.

    Batches start anew with every shard, so a vector depends neither on where a
    build was stopped nor on who made the shard, also if the encoder's last
    bits depend on its batch. What `lender` has is not embedded again, nor is a passage that stands in the shard twice.
    """

    path: Path
    start: int
    stop: int
    passages: PassageTable | Sequence[Passage]
    encoder: Encoder
    image_root: Path | None
    lender: Lender | None = None

    @property
    def items(self) -> int:
        return self.stop - self.start

    def is_done(self) -> bool:
        return shards.is_shard(self.path, self.items, self.encoder.dim)

    def make(self, advance: Advance) -> None:
        passages = _rows(self.passages, self.start, self.stop)
        packed = np.empty((len(passages), self.encoder.dim + 1), np.int16)
        lent = self.lender.vectors(passages, self.encoder.dim + 1) if self.lender else {}
        for number, vector in lent.items():
            packed[number] = vector
        left = [number for number in range(len(passages)) if number not in lent]
        first: dict[object, int] = {}
        for number in left:
            first.setdefault(_seen(passages[number]), number)
        once = list(first.values())
        advance(len(passages) - len(once))
        packed[once] = shards.pack(
            _encode_passages(self.encoder, [passages[number] for number in once], self.image_root, advance)
        )
        packed[left] = packed[[first[_seen(passages[number])] for number in left]]
        shards.write_shard(self.path, packed)


def embedding_shards(
    passages: PassageTable | Sequence[Passage],
    encoder: Encoder,
    folder: Path,
    image_root: Path | None = None,
    lender: Lender | None = None,
) -> list[EmbeddingShard]:
    """The shards that an index of these passages is made of, in order."""
    starts = range(0, len(passages), shards.SHARD_ROWS)
    return [
        EmbeddingShard(
            shards.shard_path(folder, number),
            start,
            min(start + shards.SHARD_ROWS, len(passages)),
            passages,
            encoder,
            image_root,
            lender,
        )
        for number, start in enumerate(starts)
    ]


def embed_passages(
    passages: PassageTable | Sequence[Passage],
    encoder: Encoder,
    folder: Path,
    image_root: Path | None = None,
    lender: Lender | None = None,
) -> list[str]:
    """Embed passages into shards, keeping those already there; returns the file names."""
    units = embedding_shards(passages, encoder, folder, image_root, lender)
    make_units(units, EMBEDDING, "passages")
    names = [unit.path.name for unit in units]
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


def _encode_passages(encoder: Encoder, passages: list[Passage], image_root, advance: Advance) -> np.ndarray:
    vectors = np.empty((len(passages), encoder.dim), np.float32)
    for start in range(0, len(passages), encoder.batch):
        batch = passages[start : start + encoder.batch]
        owners = [f"passage {passage.id!r}" for passage in batch]
        vectors[start : start + len(batch)] = _checked(encoder, encoder.encode_passages(batch, image_root), owners)
        advance(len(batch))
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


def _seen(passage: Passage) -> tuple[str, str, str | None]:
    """All that an encoder may see of a passage."""
    return passage.title, passage.text, passage.image


def _rows(passages: PassageTable | Sequence[Passage], start: int, stop: int) -> list[Passage]:
    if isinstance(passages, PassageTable):
        return passages.slice(start, stop)
    return list(passages[start:stop])
