"""Searching block by block: equal searches are made once, finished blocks outlive a kill."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval_cache.files import Progress
from retrieval_cache.records import CacheCorrupt, Query, content_key
from retrieval_cache.retriever import Searcher
from retrieval_cache.store.caches import MANIFEST_FILE
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.parts import Block, Found, part_paths, read_part, write_part
from retrieval_cache.units import Advance, make_units

SEARCHING = "searching"


@dataclass(frozen=True)
class Searches:
    """The distinct searches of a list of queries.

    `queries` holds one query per search, `pictures` the sha256 of each one's
    picture (None: no picture), `place` for every query of the list the number
    of its search.
    """

    queries: list[Query]
    pictures: list[str | None]
    place: np.ndarray

    def blocks(self, manifest: Manifest, size: int) -> list[Block]:
        """The searches in blocks of `size`, which is what a killed build may lose."""
        total = len(self.queries)
        passages = manifest.corpus["passages"]
        return [
            Block(manifest.key, start, stop, total, self._asked(start, stop), manifest.k, passages)
            for start in range(0, total, size)
            for stop in [min(start + size, total)]
        ]

    def run(
        self, blocks: Sequence[Block], hits: Path, into: Path, open_index: Callable[[], Searcher], say: Progress
    ) -> list[Found]:
        """What is found for each block; what was searched is kept as parts in `into`.

        Blocks of which the hits folder `hits` or one of its query shards holds a
        part are not searched again; the index is opened only if one is left.
        """
        units = self.units(blocks, hits, into, open_index, say)
        make_units(units, SEARCHING, "queries")
        return [unit.found() for unit in units]

    def units(
        self, blocks: Sequence[Block], hits: Path, into: Path, open_index: Callable[[], Searcher], say: Progress
    ) -> list[PartOfHits]:
        """The parts of the blocks, as units that any process may make; see `run`."""
        once = functools.lru_cache(maxsize=None)(say)  # a damaged part is looked at several times
        opened = functools.lru_cache(maxsize=None)(open_index)
        return [PartOfHits(self, block, hits, into, opened, once) for block in blocks]

    def spread(self, parts: Sequence[Found]) -> Found:
        """Rows int32 [n, k] and scores float32 [n, k], a row for each query of the list, from all blocks' parts."""
        rows, scores = (np.concatenate(arrays)[self.place] for arrays in zip(*parts, strict=True))
        return rows, scores

    def _asked(self, start: int, stop: int) -> str:
        """A key of what is searched for, so that no other block can be taken for this one."""
        asked = zip(self.queries[start:stop], self.pictures[start:stop], strict=True)
        return content_key("part", {"searches": [[q.id, q.digest(), picture] for q, picture in asked]})


@dataclass(frozen=True)
class PartOfHits:
    """What the searches of one block find: a unit that any process may make."""

    searches: Searches
    block: Block
    hits: Path
    into: Path
    open_index: Callable[[], Searcher]
    say: Progress

    @property
    def path(self) -> Path:
        return self.into / self.block.name

    @property
    def items(self) -> int:
        return self.block.stop - self.block.start

    def is_done(self) -> bool:
        # Whoever finishes the hits removes their parts.
        return (self.hits / MANIFEST_FILE).exists() or load(self.block, self.hits, self.say) is not None

    def make(self, advance: Advance) -> None:
        asked = self.searches.queries[self.block.start : self.block.stop]
        write_part(self.path, self.block, self.open_index().search(asked, self.block.k))
        advance(self.items)

    def found(self) -> Found:
        """What was found; CacheCorrupt if it cannot be read back."""
        found = load(self.block, self.hits, self.say)
        if found is None:
            raise CacheCorrupt(f"{self.path} cannot be read back.", "Check the disk that holds this path.")
        return found


def distinct(queries: list[Query], pictures: Mapping[str, str | None]) -> Searches:
    """The searches of `queries`: equal text and equal picture are one search.

    `pictures` maps query ids to the sha256 of their pictures; empty for a
    retriever that does not look at them. Where a picture lies has no influence.
    """
    numbers: dict[tuple[str, str | None], int] = {}
    chosen: list[Query] = []
    place = []
    for query in queries:
        wanted = (query.text, pictures.get(query.id))
        if wanted not in numbers:
            numbers[wanted] = len(chosen)
            chosen.append(query)
        place.append(numbers[wanted])
    return Searches(chosen, [pictures.get(query.id) for query in chosen], np.asarray(place))


def load(block: Block, hits: Path, say: Progress) -> Found | None:
    """What was found for a block, from a part in the hits folder or one of its query shards; None if there is none.

    Damaged parts are said and passed over.
    """
    for path in part_paths(hits, block.name):
        try:
            found = read_part(path, block)
        except CacheCorrupt as error:
            say(f"searching again, because {error.message}")
        else:
            if found is not None:
                return found
    return None
