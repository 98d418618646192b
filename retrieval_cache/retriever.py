"""What a retriever is: how passages are indexed and searched, and where its index lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from retrieval_cache.estimate import Needs
from retrieval_cache.records import Query, RetrieverSpec
from retrieval_cache.store.manifest import Manifest, index_key
from retrieval_cache.store.passages import PassageTable
from retrieval_cache.units import Unit


class Searcher(Protocol):
    """An opened index."""

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """rows int32 [n, k] and scores float32 [n, k]; row -1 with score NaN is no hit."""
        ...


@dataclass(frozen=True)
class IndexFolder:
    """Where the index of a retriever lies, and those of its components."""

    path: Path
    components: tuple[IndexFolder, ...] = ()


class Retriever(Protocol):
    """One way to index passages and search them.

    `components` are retrievers whose indexes this one searches beside, or instead of, its own; they are made
    before it and shared with whoever else needs them. `uses_images` says whether pictures of queries shape the
    result, `passage_images` whether those of passages do, too; `index_libraries` and `search_libraries` are the
    versions that shape the index and the hits. `embedder` is the key of what makes the vectors of passages, where
    indexes with the same may take them from each other, else None. `query_block` is how many queries a search
    should get at once; it never shapes the hits.
    """

    spec: RetrieverSpec
    components: Sequence[Retriever]
    uses_images: bool
    passage_images: bool
    index_libraries: Mapping[str, str]
    search_libraries: Mapping[str, str]
    embedder: str | None
    query_block: int

    def plan(self, passages: int) -> str:
        """What indexing so many passages will make and take, in a few words."""
        ...

    def needs(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Needs:
        """What making this index, or what is left of it, will take; measured on a few of the passages.

        Its components are left out. Writes nothing.
        """
        ...

    def search_seconds(self, queries: Sequence[Query], passages: int) -> float:
        """About how long searching for `queries` (at least one) will take; 0 where that cannot be said before."""
        ...

    def units(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Sequence[Unit]:
        """Index files that any process may make, in any order; none where the index is made in one piece."""
        ...

    def build(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> list[str]:
        """Write index files into `index.path`, going on from what is there; returns their names."""
        ...

    def open(self, index: IndexFolder) -> Searcher:
        """Open the index; equal texts with equal pictures must get equal hits."""
        ...

    def measure(self, index: IndexFolder, queries: Sequence[Query], k: int) -> dict[str, float]:
        """Figures about searching `queries` for the manifest; none where there is nothing to tell."""
        ...


def key_of_index(retriever: Retriever, manifest: Manifest) -> str:
    """Key of the index that a retriever, or a component of one, makes of the passages of a manifest."""
    images = manifest.images["passages"] if retriever.passage_images else None
    return index_key(manifest.passages_key, retriever.spec, images, retriever.index_libraries)


def all_retrievers(retriever: Retriever) -> list[Retriever]:
    """A retriever and its components, which come first."""
    return [*(each for part in retriever.components for each in all_retrievers(part)), retriever]


def index_keys(retriever: Retriever, manifest: Manifest) -> list[str]:
    """Keys of the index of a retriever and of those of its components, which come first."""
    return [key_of_index(each, manifest) for each in all_retrievers(retriever)]
