"""An opened cache: the passages retrieved for each query.

Reading needs no lock: everything is read-only after opening, and the passages
are memory-mapped, so worker threads and processes share one copy.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from retrieval_cache.images import picture_sha256
from retrieval_cache.records import CacheCorrupt, CacheMismatch, Hit, Passage, Query, RetrievedPassage
from retrieval_cache.store.arrow import fixed_lists, from_fixed_lists, read_table, write_batches
from retrieval_cache.store.manifest import Manifest
from retrieval_cache.store.passages import PassageTable

HITS_FILE = "hits.arrow"
_COLUMNS = ["query_id", "query_digest", "rows", "scores"]
_PICTURE = "picture"  # only where pictures were searched with: sha256, null for a query without one
_DIGEST = pa.binary(16)  # the first half of a sha256: it tells what belongs together, and is most of a line


def write_hits(
    path: Path,
    queries: list[Query],
    rows: np.ndarray,
    scores: np.ndarray,
    pictures: Mapping[str, str | None] | None = None,
) -> None:
    """Write hits: rows int32 [n, k] (-1: none), scores float32 [n, k] (NaN: none).

    `queries` are in the order of their ids, which readers check. `pictures`
    maps their ids to the sha256 of the pictures searched with; None if the
    retriever does not look at pictures.
    """
    arrays = [
        pa.array([query.id for query in queries], pa.string()),
        pa.array([_short(query.digest()) for query in queries], _DIGEST),
        fixed_lists(rows.astype(np.int32)),
        fixed_lists(scores.astype(np.float32)),
    ]
    columns = dict(zip(_COLUMNS, arrays, strict=True))
    if pictures is not None:
        columns[_PICTURE] = pa.array([_short(pictures[query.id]) for query in queries], _DIGEST)
    batch = pa.record_batch(columns)
    write_batches(path, batch.schema, [batch])


def _short(sha256: str | None) -> bytes | None:
    return bytes.fromhex(sha256)[: _DIGEST.byte_width] if sha256 is not None else None


class Cache:
    """Hits and passages of one dataset and setting; made by `open_cache` or `find_cache`."""

    def __init__(self, manifest: Manifest, hits: Path, passages: Path, fix: str = "") -> None:
        self.manifest = manifest
        self.folder = hits.parent
        self.passages = PassageTable(passages)
        self._fix = fix
        table = read_table(hits)
        seen = manifest.images["queries"] is not None
        if table.schema.names != _COLUMNS + [_PICTURE] * seen:
            raise CacheCorrupt(f"{hits} does not have the columns of a hits file.", fix)
        self._ids = table["query_id"].combine_chunks()
        self._digests = table["query_digest"]
        self._pictures = table[_PICTURE] if seen else None
        # Threads share it without a lock: at worst two hash the same picture.
        self._picture_now: dict[Path, bytes | None] = {}
        self._rows = from_fixed_lists(table["rows"], manifest.k)
        self._scores = from_fixed_lists(table["scores"], manifest.k)
        self._check_counts(hits)

    @property
    def key(self) -> str:
        """The full content key, for reports."""
        return self.manifest.key

    def query_ids(self) -> list[str]:
        """The ids of all queries, sorted."""
        return self._ids.to_pylist()

    def hits(self, query: Query) -> list[RetrievedPassage]:
        """The passages retrieved for `query`, best first: at least one, at most k.

        Raises CacheMismatch if the cache has no such query id or was made for
        another text, image id or picture; never returns an empty list. The
        picture itself is compared where it was searched with and the query
        brings it; each file is read once.
        """
        place = self.place(query.id)
        if self._digests[place].as_py() != _short(query.digest()):
            raise CacheMismatch(
                f"the retrieval cache {self.folder} was made for other data: the question text "
                f"or the image of query {query.id!r} changed.",
                self._fix,
            )
        self._check_picture(place, query)
        found = []
        for rank, (row, score) in enumerate(self._ranked(place), start=1):
            p = self.passages[row]
            found.append(RetrievedPassage(p.id, p.article_id, p.title, p.text, p.language, rank, score))
        return found

    def passages_of(self, query_id: str) -> list[Passage]:
        """The passages retrieved for a query, best first, for measuring retrieval; the text is not compared."""
        return [self.passages[row] for row, _ in self._ranked(self.place(query_id))]

    def rows(self) -> np.ndarray:
        """Rows int32 [queries, k] of the passages retrieved, in the order of `query_ids`; -1 where there is none."""
        return self._rows

    def scores(self) -> np.ndarray:
        """Scores float32 [queries, k] beside `rows`; NaN where there is none."""
        return self._scores

    def ranking(self, query_id: str) -> list[Hit]:
        """Ids and scores only, for measuring retrieval; the text is not compared."""
        ranked = enumerate(self._ranked(self.place(query_id)), start=1)
        return [Hit(self.passages[row].id, rank, score) for rank, (row, score) in ranked]

    def problems(self) -> Iterator[str]:
        """What is wrong inside the hits, in sentences; opening has checked the rest."""
        ids = self.query_ids()
        if any(first >= second for first, second in pairwise(ids)):
            yield f"{self.folder}: query ids are not in order, each once."
        empty = self._rows < 0
        if (empty != np.isnan(self._scores)).any():
            yield f"{self.folder}: a place without a passage has a score, or the other way round."
        if empty[:, 0].any():
            yield f"{self.folder}: {int(empty[:, 0].sum())} queries have no hits."
        if (empty[:, :-1] & ~empty[:, 1:]).any():
            yield f"{self.folder}: a hit stands behind an empty place."
        if (self._scores[:, :-1] < self._scores[:, 1:]).any():
            yield f"{self.folder}: scores grow within a ranking."
        ordered = np.sort(self._rows, axis=1)
        if ((ordered[:, :-1] == ordered[:, 1:]) & (ordered[:, 1:] >= 0)).any():
            yield f"{self.folder}: a passage stands twice in one ranking."

    def _check_picture(self, place: int, query: Query) -> None:
        """Refuse hits that another picture under the same image id was searched with for."""
        searched = self._pictures[place].as_py() if self._pictures is not None else None
        path = query.image_path
        if searched is None or path is None or not path.is_file():
            return
        if path not in self._picture_now:
            self._picture_now[path] = _short(picture_sha256(path))
        if self._picture_now[path] != searched:
            raise CacheMismatch(
                f"the picture {path} of query {query.id!r} has changed since the retrieval cache "
                f"{self.folder} was made.",
                self._fix,
            )

    def place(self, query_id: str) -> int:
        """Where a query stands in `query_ids`, `rows` and `scores`. Raises CacheMismatch if it does not."""
        # Sorted ids are searched where they lie: a dict of them would be most of what a reader loads.
        place = bisect.bisect_left(range(len(self._ids)), query_id, key=self._id)
        if place == len(self._ids) or self._id(place) != query_id:
            example = f"such as {self._id(0)!r}" if len(self._ids) else "none at all"
            raise CacheMismatch(
                f"the retrieval cache {self.folder} does not know query {query_id!r} "
                f"({len(self._ids):,} queries, {example}).",
                self._fix,
            )
        return place

    def _id(self, place: int) -> str:
        return self._ids[place].as_py()

    def _ranked(self, place: int) -> list[tuple[int, float]]:
        pairs = zip(self._rows[place].tolist(), self._scores[place].tolist(), strict=True)
        found = [(row, score) for row, score in pairs if row >= 0]
        if not found:
            raise CacheCorrupt(
                f"the retrieval cache {self.folder} has no hits for query {self._id(place)!r}.",
                self._fix,
            )
        return found

    def _check_counts(self, hits: Path) -> None:
        """Refuse files that do not fit together before anything is read from them."""
        queries, passages = self.manifest.queries["count"], self.manifest.passages_here
        if len(self._ids) != queries:
            raise CacheCorrupt(
                f"{hits} has {len(self._ids):,} queries where its manifest says {queries:,}.",
                self._fix,
            )
        if len(self.passages) != passages:
            raise CacheCorrupt(
                f"{self.passages.path} has {len(self.passages):,} passages where the manifest "
                f"of {self.folder} says {passages:,}.",
                self._fix,
            )
        if self._rows.size and not -1 <= self._rows.min() <= self._rows.max() < passages:
            raise CacheCorrupt(f"{hits} points at passages that do not exist.", self._fix)
