"""rank_bm25 itself over the same terms: the retriever `bm25_reference`.

For checking `bm25` and for small corpora: everything lies in memory (some
10 kB a passage) and a query visits every passage once per term.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from rank_bm25 import BM25Okapi
from tqdm import tqdm

from retrieval_cache.ranking import NO_ROW, NO_SCORE, top_k
from retrieval_cache.records import CacheCorrupt, CorpusError, Passage, Query
from retrieval_cache.sparse.analyser import analyser_libraries, terms
from retrieval_cache.specs import checked_params, passage_input
from retrieval_cache.store.arrow import read_table, write_batches

FILES = ("terms.arrow",)

_SCHEMA = pa.schema([pa.field("terms", pa.list_(pa.string()), nullable=False)])
_ROWS_AT_ONCE = 1024


class ReferenceIndex:
    """The terms of all passages, given to BM25Okapi when opened."""

    def __init__(self, folder: Path, params: Mapping[str, Any] | None = None) -> None:
        params = checked_params("bm25_reference", params or {})
        table = read_table(folder / FILES[0])
        if not table.schema.equals(_SCHEMA):
            raise CacheCorrupt(f"{folder / FILES[0]} does not hold terms.", "Delete its folder and build it again.")
        rows = (row for batch in table.to_batches() for row in batch["terms"].to_pylist())
        self._okapi = BM25Okapi(rows, k1=params["k1"], b=params["b"], epsilon=params["epsilon"])

    @staticmethod
    def build(passages: Iterable[Passage], folder: Path, params: Mapping[str, Any] | None = None) -> None:
        """Write the terms of `passages`, rows 0, 1, … in the order given."""
        params = checked_params("bm25_reference", params or {})
        texts = (passage_input(params, passage.title, passage.text) for passage in passages)
        found = _Batches(terms(text) for text in tqdm(texts, "analysing", delay=2, disable=None))
        write_batches(folder / FILES[0], _SCHEMA, found)
        if not found.any:
            raise CorpusError("the corpus holds no word that BM25 could index.", "Check the corpus file.")

    def search(self, queries: Sequence[Query], k: int) -> tuple[np.ndarray, np.ndarray]:
        """As `Bm25Index.search`: rows int32 [n, k] and scores float32 [n, k]."""
        rows = np.full((len(queries), k), NO_ROW, np.int32)
        scores = np.full((len(queries), k), NO_SCORE, np.float32)
        every = np.arange(self._okapi.corpus_size)
        for number, query in enumerate(queries):
            best_rows, best_scores = top_k(every, self._okapi.get_scores(terms(query.text)), k)
            rows[number, : len(best_rows)], scores[number, : len(best_rows)] = best_rows, best_scores
        return rows, scores


class _Batches:
    """Record batches of term lists; `any` says afterwards whether there was a term at all."""

    def __init__(self, found: Iterator[list[str]]) -> None:
        self._found, self.any = found, False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        while rows := list(islice(self._found, _ROWS_AT_ONCE)):
            self.any = self.any or any(rows)
            yield pa.record_batch([pa.array(rows, _SCHEMA.field(0).type)], schema=_SCHEMA)


def reference_libraries() -> dict[str, str]:
    """Versions that shape the index and the scores, for the cache key."""
    return analyser_libraries() | {"rank-bm25": version("rank-bm25")}
