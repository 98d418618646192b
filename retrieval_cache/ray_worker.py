"""What runs on the nodes of a Ray cluster: actors that make units, and what they are told."""

from __future__ import annotations

import functools
import socket
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval_cache.estimate import refuse_what_cannot_fit
from retrieval_cache.records import CacheError, RetrieverSpec
from retrieval_cache.retriever import IndexFolder, Retriever
from retrieval_cache.retrievers import Resources, make_retriever
from retrieval_cache.searches import Searches
from retrieval_cache.store.parts import Block
from retrieval_cache.store.passages import PassageTable
from retrieval_cache.units import Unit, make_unit

if TYPE_CHECKING:
    import numpy as np

TRIES = 4
"""How often a unit is begun: one that takes more memory than there is kills each of its workers."""


class ClusterError(CacheError):
    """Ray is not installed, or a node of the cluster cannot take part in a build."""


@dataclass(frozen=True)
class EmbeddingWork:
    """What an actor must know to embed shards of an index."""

    retriever: RetrieverSpec
    resources: Resources
    root: Path
    libraries: Mapping[str, str]
    index: IndexFolder
    passages: Path
    image_root: Path | None

    @property
    def seen(self) -> Path:
        """What the driver has made, so every node must see it."""
        return self.passages

    def units(self) -> Sequence[Unit]:
        retriever, passages = _same_retriever(self), PassageTable(self.passages)
        # The driver has looked at the disk.
        needs = replace(retriever.needs(passages, self.index, self.image_root), disk=0)
        what = f"embedding with {retriever.spec.name} on the node {socket.gethostname()}"
        refuse_what_cannot_fit(what, needs, self.index.path)
        return retriever.units(passages, self.index, self.image_root)


@dataclass(frozen=True)
class SearchWork:
    """What an actor must know to search blocks of queries."""

    retriever: RetrieverSpec
    resources: Resources
    root: Path
    libraries: Mapping[str, str]
    index: IndexFolder
    searches: Searches
    blocks: Sequence[Block]
    hits: Path

    @property
    def seen(self) -> Path:
        """What the driver has made, so every node must see it."""
        return self.index.path

    def units(self) -> Sequence[Unit]:
        retriever = _same_retriever(self)
        return self.searches.units(
            self.blocks, self.hits, self.hits, lambda: retriever.open(self.index), lambda line: None
        )


class Tries:
    """An actor: how often each unit was begun."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        """Count a try; returns which one it is, from 1."""
        self._begun[number] += 1
        return self._begun[number]


class Worker:
    """An actor: makes the units whose numbers it is given, and says on which node it did."""

    def __init__(self, work: Any, tries: Any) -> None:
        self._reference, self._tries = work, tries

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, list]:
        import ray

        (number,) = batch["unit"]
        kind = message = fix = ""
        try:
            unit = self._units[number]
            if ray.get(self._tries.begin.remote(number)) > TRIES:
                raise _kills(unit)
            make_unit(unit, self._work.root, lambda line: None)
        except CacheError as error:  # Ray would bury it in words of its own
            kind, message, fix = type(error).__name__, error.message, error.fix
        except Exception as error:  # torch's or the system's: just as well
            traceback.print_exc()
            kind = ClusterError.__name__
            message = f"the node {socket.gethostname()} failed with {type(error).__name__}: {error}."
            fix = "Ray's logs of that node have more. Build again when it is mended: what was made is kept."
        node = ray.get_runtime_context().get_node_id()
        return {"unit": [number], "node": [node], "error": [kind], "message": [message], "fix": [fix]}

    @functools.cached_property
    def _work(self) -> EmbeddingWork | SearchWork:
        import ray

        return ray.get(self._reference)

    @functools.cached_property
    def _units(self) -> Sequence[Unit]:
        # Not made in __init__: Ray reports what a call raises, and only that an actor could not be made.
        return self._work.units()


def _kills(unit: Unit) -> ClusterError:
    return ClusterError(
        f"{TRIES} workers were killed one after the other while they made {unit.path}.",
        "They lack memory as a rule: take nodes with more, or run less beside them. Build again then: what was made "
        "is kept.",
    )


def _same_retriever(work: EmbeddingWork | SearchWork) -> Retriever:
    """The retriever on this node. Raises ClusterError if the node cannot see the cache root or has other versions."""
    host = socket.gethostname()
    if not work.seen.exists():
        raise ClusterError(
            f"the node {host} does not see the cache folder {work.root}.",
            "Put it on storage that all nodes see under the same path.",
        )
    retriever = make_retriever(work.retriever, work.resources)
    here = libraries_of(retriever)
    other = [name for name in sorted({*here, *work.libraries}) if here.get(name) != work.libraries.get(name)]
    if other:
        versions = ", ".join(f"{name} {here.get(name)} (driver: {work.libraries.get(name)})" for name in other)
        raise ClusterError(
            f"the node {host} would give other vectors: it has {versions}.",
            "Install the same versions on all nodes, and start the build on a node like those that embed.",
        )
    return retriever


def libraries_of(retriever: Retriever) -> dict[str, str]:
    """Versions that shape the vectors and the hits of a retriever."""
    return {**retriever.index_libraries, **retriever.search_libraries}
