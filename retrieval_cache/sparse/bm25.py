"""BM25 over passages, scores equal to rank_bm25's BM25Okapi bit for bit.

`rank_bm25` keeps one dict per passage and walks all of them for every query
term. Here postings lie in memory-mapped files (`layout`), are built block by
block (`runs`, `merge`) and searched by compiled code that leaves out what
cannot reach the top k (`scoring`). No library does that: bm25s needs the whole
matrix in memory to build and scores every posting, tantivy rounds lengths and
so gives other scores.

Results do not depend on threads, on how queries are batched, or on how many
processes built the index. On Linux, pages of the postings are given back once
more than RESIDENT_BYTES of files are in memory.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from retrieval_cache.files import remove_files
from retrieval_cache.parallel import ordered_map
from retrieval_cache.ranking import NO_ROW, NO_SCORE, top_k
from retrieval_cache.records import CorpusError, Passage, Query
from retrieval_cache.sparse.analyser import analyser_libraries
from retrieval_cache.sparse.hashing import find_hashes
from retrieval_cache.sparse.layout import BLOCK, FILES, IndexFiles
from retrieval_cache.sparse.merge import merge
from retrieval_cache.sparse.okapi import Okapi
from retrieval_cache.sparse.runs import RUNS, Run, analyse, in_order, kept_run
from retrieval_cache.sparse.scoring import Formula, Postings, Terms, search_queries
from retrieval_cache.sparse.workers import make_runs_in_processes
from retrieval_cache.specs import checked_params, passage_input
from retrieval_cache.store.passages import PassageTable

__all__ = ["FILES", "Bm25Index", "bm25_libraries"]

RESIDENT_BYTES = 1 << 30
"""Pages of mapped files that stay in memory between searches, at most."""

_QUERIES_AT_ONCE = 32
_LEVELS = 255


class Bm25Index:
    """An opened index; `search` may be called from several threads."""

    def __init__(self, folder: Path, params: Mapping[str, Any] | None = None) -> None:
        """Open the index in `folder`; `params` are those it was built with. Raises CacheCorrupt."""
        params = _checked(params)
        self._files = IndexFiles(folder)
        header, arrays = self._files.header, self._files.arrays
        self.passages: int = header["passages"]
        average_idf = header["idf_sum"] / max(1, header["terms"])
        self._okapi = Okapi(self.passages, header["tokens"], params["k1"], params["b"], params["epsilon"], average_idf)
        self._idf_of: dict[int, float] = {}  # by frequency, as far as asked for
        level, part = _bounds_table(arrays["length"], self._okapi)
        rest = {name: arrays[name] for name in Postings._fields if name in arrays}
        self._postings = Postings(level=level, part=part, **rest)
        self._formula = Formula(float(params["k1"]), float(params["b"]), self._okapi.average_length)
        # Memory is looked at between batches; those of a large index read more of it each.
        share = RESIDENT_BYTES / max(1, 2 * sum(array.nbytes for array in arrays.values()))
        self._at_once = max(1, int(_QUERIES_AT_ONCE * min(1, share)))

    @staticmethod
    def build(passages: Iterable[Passage], folder: Path, params: Mapping[str, Any] | None = None) -> None:
        """Index `passages` (rows 0, 1, … in the order given) into `folder`; goes on from the runs there.

        Memory holds one block of 65,536 passages at a time; a `PassageTable` of
        several blocks is analysed by a process per core, each with a block of
        its own. For a while the disk holds the postings twice.
        """
        params = _checked(params)
        if isinstance(passages, PassageTable):
            make_runs_in_processes(passages, folder, params)
        texts = (passage_input(params, passage.title, passage.text) for passage in passages)
        runs: list[Run] = []
        with tqdm(desc="analysing", unit=" passages", delay=2, disable=None) as bar:
            while block := list(islice(texts, BLOCK)):
                runs.append(kept_run(folder, len(runs), block))
                bar.update(len(block))
        if not any(len(run.hash) for run in runs):
            raise CorpusError("the corpus holds no word that BM25 could index.", "Check the corpus file.")
        merge(runs, folder, params["k1"], params["b"])
        remove_files(folder, RUNS)

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best `k` passages of each query: rows int32 [n, k], scores float32 [n, k].

        As in rank_bm25 every passage has a score, 0 where it shares no term with
        the query, and ties go to the lower row. Only a corpus of fewer than `k`
        passages leaves places empty: row -1 and score NaN, so that neither can
        be taken for a passage or a score. Equal texts are searched once.
        """
        texts = list({query.text: None for query in queries})
        parts = [texts[i : i + self._at_once] for i in range(0, len(texts), self._at_once)]
        found = list(ordered_map(lambda part: self._search_texts(part, k), parts))
        place = {text: number for number, text in enumerate(texts)}
        order = [place[query.text] for query in queries]
        if not found:
            return np.full((0, k), NO_ROW, np.int32), np.full((0, k), NO_SCORE, np.float32)
        rows, scores = (np.concatenate(arrays)[order] for arrays in zip(*found, strict=True))
        return rows, scores

    def _search_texts(self, texts: Sequence[str], k: int) -> tuple[np.ndarray, np.ndarray]:
        asked = self._terms(texts)
        rows = np.full((len(texts), k), NO_ROW, np.int32)
        scores = np.full((len(texts), k), NO_SCORE, np.float32)
        if (asked.idf < 0).any():  # a corpus where the average idf is negative, which bounds do not allow for
            for i in range(len(texts)):
                self._search_exhaustively(asked, i, rows[i], scores[i])
        elif not search_queries(asked, self._postings, self._formula, rows, scores):
            raise self._files.corrupt("segment_start")
        if _resident_file_bytes() > RESIDENT_BYTES:
            self._files.forget()
        return rows, scores

    def _terms(self, texts: Sequence[str]) -> Terms:
        """The known terms of queries, ready to be searched for."""
        found = analyse(texts)
        numbers, query = in_order(found)
        numbers = find_hashes(self._files.arrays["hash"], found.hash)[numbers]
        query, numbers = query[numbers >= 0], numbers[numbers >= 0]
        pairs, which = np.unique(query * len(self._files.arrays["hash"]) + numbers, return_inverse=True)
        owner, number = np.divmod(pairs, len(self._files.arrays["hash"]))
        queries = np.arange(len(texts) + 1)
        first_term = np.searchsorted(owner, queries)
        place = which - first_term[query]
        return Terms(first_term, number, self._idf(number), np.searchsorted(query, queries), place)

    def _idf(self, numbers: np.ndarray) -> np.ndarray:
        """float64 [n]; raises CacheCorrupt where positions cannot be right."""
        first, start = self._postings.first_segment, self._postings.segment_start
        ends = np.stack([first[numbers], first[numbers + 1]]).astype(np.int64)
        if ends.size and not 0 <= ends.min() <= ends.max() < len(start):
            raise self._files.corrupt("first_segment")
        frequency = np.diff(start[ends].astype(np.int64), axis=0)[0]
        if frequency.size and not 1 <= frequency.min() <= frequency.max() <= self.passages:
            raise self._files.corrupt("segment_start")
        values = frequency.tolist()
        for value in set(values).difference(self._idf_of):
            self._idf_of[value] = self._okapi.idf(value)
        return np.array([self._idf_of[value] for value in values], np.float64)

    def _search_exhaustively(self, asked: Terms, query: int, rows: np.ndarray, scores: np.ndarray) -> None:
        """Score every passage, for one query; fills rows [k] and scores [k]."""
        postings = self._postings
        norm = self._okapi.norm(postings.length)
        total = np.zeros(self.passages)
        for place in asked.place[asked.first_place[query] : asked.first_place[query + 1]]:
            term = asked.first_term[query] + place
            number, weight = asked.number[term], asked.idf[term]
            for segment in range(int(postings.first_segment[number]), int(postings.first_segment[number + 1])):
                part = slice(int(postings.segment_start[segment]), int(postings.segment_start[segment + 1]))
                row = int(postings.segment_block[segment]) * BLOCK + postings.offset[part].astype(np.int64)
                if row.max(initial=-1) >= self.passages:
                    raise self._files.corrupt("segment_block")
                total[row] += weight * self._okapi.part(self._counts(part), norm[row])
        best_rows, best_scores = top_k(np.arange(self.passages), total, len(rows))
        rows[: len(best_rows)], scores[: len(best_rows)] = best_rows, best_scores

    def _counts(self, part: slice) -> np.ndarray:
        counts = self._postings.count[part].astype(np.float64)
        low, high = np.searchsorted(self._postings.overflow_at, (part.start, part.stop))
        at = self._postings.overflow_at[low:high] - part.start
        if ((at < 0) | (at >= len(counts))).any():
            raise self._files.corrupt("overflow_at")
        counts[at] = self._postings.overflow_count[low:high]
        return counts


def bm25_libraries() -> dict[str, str]:
    """Versions that shape the index, for the cache key."""
    return analyser_libraries()


def _checked(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of "bm25", refused where the formula makes no sense."""
    checked = checked_params("bm25", params or {})
    k1, b, epsilon = (checked[name] for name in ("k1", "b", "epsilon"))
    if not (0 < k1 < math.inf and 0 <= b <= 1 and math.isfinite(epsilon)):
        raise ValueError(f"bm25: k1 is {k1}, b {b}, epsilon {epsilon}; k1 must be above 0, b from 0 to 1")
    return checked


def _bounds_table(length: np.ndarray, okapi: Okapi) -> tuple[np.ndarray, np.ndarray]:
    """Level of each passage uint8 [blocks · 65536] and the bounds float32 [256, levels], see `Postings`.

    Lengths of one level lie within some percent of each other.
    """
    longest = math.log(max(1, int(length.max(initial=1))))
    scaled = np.log(np.maximum(length, 1)) * ((_LEVELS - 1) / max(longest, 1e-9))
    level = np.zeros(-(-len(length) // BLOCK) * BLOCK, np.uint8)
    level[: len(length)] = np.minimum(scaled, _LEVELS - 1)
    shortest = np.full(_LEVELS, np.iinfo(np.uint32).max, np.uint32)
    np.minimum.at(shortest, level[: len(length)], length)
    count = np.arange(256, dtype=np.float64)[:, None]
    part = okapi.part(count, okapi.norm(shortest)[None, :])
    part[255] = okapi.k1 + 1  # 255 or more
    return level, (part * (1 + 1e-6)).astype(np.float32)


def _resident_file_bytes() -> int:
    """How much of mapped files is in the memory of this process; 0 where the system does not say."""
    try:
        shared = int(Path("/proc/self/statm").read_bytes().split()[2])
    except OSError:
        return 0
    return shared * os.sysconf("SC_PAGE_SIZE")
