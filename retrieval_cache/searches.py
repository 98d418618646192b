"""Searching block by block: equal searches are made once, finished blocks outlive a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from retrieval_cache.records import CacheCorrupt, Query, content_key, short_key
from retrieval_cache.retrievers import Searcher
from retrieval_cache.store.arrow import fixed_lists, from_fixed_lists, read_table, write_table

PARTS = "part-*.arrow"
"""Matches the partial files, which are removed once the hits are written."""

_Part = tuple[np.ndarray, np.ndarray]


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

    def run(self, folder: Path, k: int, block: int, open_index: Callable[[], Searcher]) -> _Part:
        """Rows int32 [n, k] and scores float32 [n, k], a row for each query of the list.

        `block` searches go into one partial file: what a killed build may lose.
        Blocks that an earlier try finished are read from `folder`; the index is
        opened only if one is left to search.
        """
        parts = list(self._parts(folder, k, block, open_index))
        rows, scores = (np.concatenate(arrays)[self.place] for arrays in zip(*parts, strict=True))
        return rows, scores

    def _parts(self, folder: Path, k: int, block: int, open_index: Callable[[], Searcher]) -> Iterator[_Part]:
        searcher = None
        starts = range(0, len(self.queries), block)
        for start in tqdm(starts, "searching", delay=2, disable=None):
            asked = slice(start, start + block)
            path = folder / self._part_name(asked)
            part = _read_part(path, len(self.queries[asked]), k)
            if part is None:
                searcher = searcher or open_index()
                part = searcher.search(self.queries[asked], k)
                write_table(path, {"rows": fixed_lists(part[0]), "scores": fixed_lists(part[1])})
            yield part

    def _part_name(self, block: slice) -> str:
        """Named by what is searched for, so that no other block can be taken for this one."""
        asked = zip(self.queries[block], self.pictures[block], strict=True)
        key = content_key("part", {"searches": [[q.id, q.digest(), picture] for q, picture in asked]})
        return PARTS.replace("*", short_key(key))


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


def _read_part(path: Path, count: int, k: int) -> _Part | None:
    """A block that an earlier try finished, or None."""
    try:
        table = read_table(path)
        rows, scores = (from_fixed_lists(table[name], k) for name in ("rows", "scores"))
    except (FileNotFoundError, CacheCorrupt, KeyError):
        return None
    return (rows, scores) if len(rows) == count else None
