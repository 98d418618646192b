"""BM25 over passages, scores equal to rank_bm25's BM25Okapi bit for bit.

`rank_bm25` keeps one dict per passage and walks all of them for every query
term. Here its idf formula is used as it stands, and the same sums run over a
posting list per term, kept in Arrow files that are memory-mapped.

Files: `vocabulary.arrow` (term, idf, start, length; sorted by term),
`postings.arrow` (row, count; passage rows grow within a term) and
`lengths.arrow` (terms per passage).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rank_bm25 import BM25Okapi
from tqdm import tqdm

from retrieval_cache.ranking import NO_ROW, NO_SCORE, top_k
from retrieval_cache.records import CorpusError, Passage, Query
from retrieval_cache.sparse.analyser import analyser_libraries, terms
from retrieval_cache.specs import checked_params, passage_input
from retrieval_cache.store.arrow import read_table, write_table

FILES = ("vocabulary.arrow", "postings.arrow", "lengths.arrow")


class Bm25Index:
    """An opened index; `search` may be called from several threads."""

    def __init__(self, folder: Path, params: Mapping[str, Any] | None = None) -> None:
        """Open the index in `folder`; `params` are those it was built with."""
        params = checked_params("bm25", params or {})
        vocabulary, postings, lengths = (read_table(folder / name) for name in FILES)
        self._k1, b = params["k1"], params["b"]
        self._terms = vocabulary["term"].combine_chunks()
        self._idf = vocabulary["idf"].to_numpy()
        self._start = vocabulary["start"].to_numpy()
        self._length = vocabulary["length"].to_numpy()
        self._row = postings["row"].to_numpy()
        self._count = postings["count"].to_numpy()
        doc_len = lengths["terms"].to_numpy().astype(np.int64)
        self.passages = len(doc_len)
        average = int(doc_len.sum()) / max(1, self.passages)
        # The part of the denominator that depends on the passage only,
        # in rank_bm25's order of operations.
        self._norm = self._k1 * (1 - b + b * doc_len / (average or 1.0))

    @staticmethod
    def build(passages: Iterable[Passage], folder: Path, params: Mapping[str, Any] | None = None) -> None:
        """Analyse `passages` (rows 0, 1, … in the order given) and write the index files."""
        params = checked_params("bm25", params or {})
        ids: dict[str, int] = {}
        row, term, count = array("i"), array("i"), array("i")
        lengths = array("i")
        for number, passage in enumerate(tqdm(passages, "analysing", delay=2, disable=None)):
            found = terms(passage_input(params, passage.title, passage.text))
            lengths.append(len(found))
            counts: dict[int, int] = {}
            for text in found:
                index = ids.setdefault(text, len(ids))
                counts[index] = counts.get(index, 0) + 1
            row.extend([number] * len(counts))
            term.extend(counts.keys())
            count.extend(counts.values())
        if not ids:
            raise CorpusError("the corpus holds no word that BM25 could index.", "Check the corpus file.")
        _write(folder, ids, _array(row), _array(term), _array(count), _array(lengths), params)

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """The best `k` passages of each query: rows int32 [n, k], scores float32 [n, k].

        As in rank_bm25 every passage has a score, 0 where it shares no term with
        the query, and ties go to the lower row. Only a corpus of fewer than `k`
        passages leaves places empty: row -1 and score NaN, so that neither can
        be taken for a passage or a score. Equal texts are searched once.
        """
        texts = {query.text: None for query in queries}
        wanted = [terms(text) for text in texts]
        flat = pa.array([term for found in wanted for term in found], pa.string())
        known = iter(pc.index_in(flat, self._terms).to_pylist())
        results = {}
        for text, found in zip(texts, wanted, strict=True):
            ids = [next(known) for _ in found]
            results[text] = self._search_one([i for i in ids if i is not None], k)
        rows = np.full((len(queries), k), NO_ROW, np.int32)
        scores = np.full((len(queries), k), NO_SCORE, np.float32)
        for number, query in enumerate(queries):
            found_rows, found_scores = results[query.text]
            rows[number, : len(found_rows)] = found_rows
            scores[number, : len(found_rows)] = found_scores
        return rows, scores

    def _search_one(self, term_ids: list[int], k: int) -> tuple[np.ndarray, np.ndarray]:
        """Sum over the query's terms in order, a repeated term as often as it stands there."""
        total = np.zeros(self.passages)
        for term in term_ids:
            part = slice(self._start[term], self._start[term] + self._length[term])
            rows, count = self._row[part], self._count[part]
            total[rows] += self._idf[term] * (count * (self._k1 + 1) / (count + self._norm[rows]))
        candidates = np.flatnonzero(total > 0)
        if len(candidates) < k:
            candidates = np.arange(self.passages)
        return top_k(candidates, total[candidates], k)


def bm25_libraries() -> dict[str, str]:
    """Versions that shape the index, for the cache key."""
    return analyser_libraries() | {"rank-bm25": version("rank-bm25")}


def _write(folder: Path, ids: dict[str, int], row, term, count, lengths, params) -> None:
    """Group the postings by term, terms sorted, and write the three files."""
    frequency = np.bincount(term, minlength=len(ids))
    idf = _idf(dict(zip(ids, frequency.tolist(), strict=True)), len(lengths), params)
    order = np.argsort(term, kind="stable")  # rows of one term stay in growing order
    start = np.concatenate(([0], np.cumsum(frequency)[:-1]))
    names = sorted(ids)
    by_name = np.fromiter((ids[name] for name in names), np.int64, len(names))
    write_table(
        folder / "vocabulary.arrow",
        {
            "term": pa.array(names, pa.large_string()),
            "idf": idf[by_name],
            "start": start[by_name].astype(np.int64),
            "length": frequency[by_name].astype(np.int64),
        },
    )
    write_table(folder / "postings.arrow", {"row": row[order], "count": count[order]})
    write_table(folder / "lengths.arrow", {"terms": lengths})


def _idf(frequency: dict[str, int], passages: int, params: dict[str, Any]) -> np.ndarray:
    """float64 [terms], computed by rank_bm25 itself from document frequencies.

    Its constructor would ask for the whole corpus in memory, so only the step
    that computes idf is called. Order matters: the floor for negative values
    comes from a float sum in order of first occurrence.
    """
    okapi = object.__new__(BM25Okapi)
    okapi.corpus_size, okapi.epsilon, okapi.idf = passages, params["epsilon"], {}
    okapi._calc_idf(frequency)
    values = np.fromiter((okapi.idf[term] for term in frequency), np.float64, len(frequency))
    assert math.isfinite(float(values.sum()))
    return values


def _array(values: array) -> np.ndarray:
    return np.frombuffer(values, np.int32) if len(values) else np.zeros(0, np.int32)
