"""BM25: ours beside rank-bm25 and bm25s, over the same passages and terms.

    python -m benchmarks.bm25 [100k] [english] [1m] [4m] [--quick]

Without a size all of them, some 40 minutes. The rows of sizes not asked for
stay as they were. At one million passages both engines index words only,
because rank-bm25 does not fit into 16 GB with grams. Every engine runs in a
process of its own. Times of building start from the text; before searching, one query
loads (or compiles) what is compiled. Queries per second are the median of three passes.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import bm25_corpus
from benchmarks.common import RESULTS, Row, apart, memory_together, save
from retrieval_cache.parallel import cores
from retrieval_cache.records import Query
from retrieval_cache.sparse import analyser, bm25, runs
from retrieval_cache.specs import default_spec, passage_input
from retrieval_cache.store.passages import PassageTable, write_passages

K = 5
PARAMS = default_spec("bm25").params
# name: passages, languages, words only, queries of ours, of rank-bm25, how many times its speed is wanted
SIZES: dict[str, tuple[int, str, bool, int, int, int | None]] = {
    "100k": (100_000, "all", False, 500, 50, 3500),
    "english": (100_000, "en", False, 500, 50, None),
    "1m": (1_000_000, "all", True, 500, 12, 4000),
    "4m": (4_000_000, "all", False, 500, 0, None),
    "quick": (2_000, "all", False, 20, 5, None),
}
TITLE = "BM25, top 5, 2 cores, one process for searching"


def main(arguments: Sequence[str]) -> None:
    if "--quick" in arguments:
        for row in measure("quick"):
            print(row)
        return
    for name in [name for name in arguments if name in SIZES] or [name for name in SIZES if name != "quick"]:
        rows = measure(name)
        label = _label(name)
        old = RESULTS / "bm25.json"
        kept = [Row(**row) for row in json.loads(old.read_text())["rows"]] if old.exists() else []
        every = [row for row in kept if not row.what.startswith(label)] + rows
        order = [_label(size) for size in SIZES]
        every.sort(key=lambda row: next(i for i, known in enumerate(order) if row.what.startswith(known)))
        save("bm25", TITLE, every, NOTES)


NOTES = (
    "Passages of some 70 words (about 120 tokens of XLM-R) made of phrases of real text in 18 languages with a Zipf "
    "tail of rare words, queries of some 15 words: benchmarks/bm25_corpus.py. Building starts from the text, "
    "analysis included; ours uses a process per core for that except at 1,000,000.",
)


def _label(name: str) -> str:
    size, languages, words_only, *_ = SIZES[name]
    return f"{size:,} passages{', English' if languages == 'en' else ''}{', words only' if words_only else ''}: "


def measure(name: str) -> list[Row]:
    """All figures of one size."""
    size, languages, words_only, asked, asked_slow, aim = SIZES[name]
    with tempfile.TemporaryDirectory(prefix="bm25-") as folder:
        apart("benchmarks.bm25:prepare", folder, size, languages)
        built = apart("benchmarks.bm25:build", folder, words_only)
        found = apart("benchmarks.bm25:search", folder, size, languages, words_only, asked, asked_slow or asked)
        label = _label(name)
        memory = max(built["peak_bytes"], built["together_bytes"])
        rows = [
            Row(f"{label}opening", f"{found['open_s']:.3f} s", wanted="≤ 0.5 s", met=found["open_s"] <= 0.5),
            Row(f"{label}index on disk", f"{built['index_bytes'] / 1e9:.2f} GB"),
        ]
        own = {
            "build": f"{built['seconds']:,.0f} s, {memory / 1e9:.1f} GB",
            "search": f"{found['per_second']:,.0f} queries/s, {found['peak_bytes'] / 1e9:.2f} GB",
        }
        if not asked_slow:
            within = [memory < 8e9, found["peak_bytes"] < 4e9]
            aims = ["≤ 8 GB", "≤ 4 GB"]
            return rows + [
                Row(f"{label}{what}", own[what], wanted=limit, met=met)
                for what, limit, met in zip(own, aims, within, strict=True)
            ]
        slow = apart("benchmarks.bm25:rank_bm25", folder, size, languages, words_only, asked_slow)
        rows += _beside(label, own, built, found, slow, aim)
        if not words_only:
            library = apart("benchmarks.bm25:bm25s", folder, size, languages, asked)
            rows.append(_bm25s_row(label, own, found, library))
        return rows


def _beside(label: str, own: dict[str, str], built: Any, found: Any, slow: Any, aim: int | None) -> list[Row]:
    """Ours beside rank-bm25: hits, speed, building."""
    equal = sum(mine == theirs for mine, theirs in zip(found["rows"], slow["rows"], strict=True))
    apart_by = np.abs(np.array(found["scores"]) / np.maximum(np.array(slow["scores"]), 1e-30) - 1).max()
    queries, ratio = len(slow["rows"]), found["per_second"] / slow["per_second"]
    longer = built["seconds"] / slow["seconds"]
    gigabytes = slow["peak_bytes"] / 1e9
    return [
        Row(
            f"{label}same top 5 as rank-bm25", f"{equal} of {queries} queries, scores within {apart_by:.0e}",
            wanted="all, 1e-6", met=equal == queries and bool(apart_by <= 1e-6),
        ),
        Row(
            f"{label}search", own["search"], "rank-bm25", f"{slow['per_second']:.3g} queries/s, {gigabytes:.1f} GB",
            f"{ratio:,.0f} ×", f"≥ {aim:,} ×" if aim else "", ratio >= aim if aim else None,
        ),
        Row(
            f"{label}build", own["build"], "rank-bm25", f"{slow['seconds']:,.0f} s, {gigabytes:.1f} GB",
            f"{longer:.2f} × the time", "≤ 1.2 ×", longer <= 1.2,
        ),
    ]  # fmt: skip


def _bm25s_row(label: str, own: dict[str, str], found: Any, library: Any) -> Row:
    speed, gigabytes = library["per_second"], library["peak_bytes"] / 1e9
    return Row(
        f"{label}search", own["search"], "bm25s (numba)",
        f"{speed:,.0f} queries/s, {gigabytes:.2f} GB; build {library['seconds']:.0f} s",
        f"{found['per_second'] / speed:.1f} ×",
    )  # fmt: skip


def prepare(folder: str, size: int, languages: str) -> dict[str, Any]:
    """Write the passages."""
    return {"passages": write_passages(Path(folder) / "passages.arrow", bm25_corpus.passages(size, languages))}


def build(folder: str, words_only: bool) -> dict[str, Any]:
    """Build our index; "together_bytes" is the highest resident memory of its processes, added up."""
    _set_terms(words_only)
    table = PassageTable(Path(folder) / "passages.arrow")
    # The processes do not know of words only, and a plain iterator does without them.
    passages = iter(table) if words_only else table
    warm = Path(folder) / "warm"
    bm25.Bm25Index.build(table.slice(0, 3), warm, PARAMS)
    start = time.perf_counter()
    with memory_together() as together:
        bm25.Bm25Index.build(passages, Path(folder) / "index", PARAMS)
    seconds = time.perf_counter() - start
    size = sum(path.stat().st_size for path in (Path(folder) / "index").iterdir())
    return {"seconds": seconds, "together_bytes": max(together), "index_bytes": size}


def search(folder: str, size: int, languages: str, words_only: bool, asked: int, compared: int) -> dict[str, Any]:
    """Search our index; rows and scores of the first queries as rank-bm25 will get them."""
    _set_terms(words_only)
    bm25.Bm25Index(Path(folder) / "warm", PARAMS).search([Query("", "warm")], K)
    start = time.perf_counter()
    index = bm25.Bm25Index(Path(folder) / "index", PARAMS)
    opened = time.perf_counter() - start
    queries = bm25_corpus.queries(asked, size, languages)
    speed = _per_second(lambda: index.search(queries, K), asked)
    rows, scores = index.search(queries[:: asked // compared][:compared], K)
    return {"open_s": opened, "per_second": speed, "rows": rows.tolist(), "scores": scores.tolist()}


def rank_bm25(folder: str, size: int, languages: str, words_only: bool, asked: int) -> dict[str, Any]:
    """The same through rank_bm25; equal terms are one string object, without which memory would double."""
    from rank_bm25 import BM25Okapi

    _set_terms(words_only)
    start = time.perf_counter()
    okapi = BM25Okapi(_terms(folder), k1=PARAMS["k1"], b=PARAMS["b"], epsilon=PARAMS["epsilon"])
    seconds = time.perf_counter() - start
    most = SIZES[next(name for name, values in SIZES.items() if values[:3] == (size, languages, words_only))][3]
    queries = bm25_corpus.queries(most, size, languages)[:: most // asked][:asked]
    rows, scores, times = [], [], []
    for query in queries:
        start = time.perf_counter()
        every = okapi.get_scores(analyser.terms(query.text))
        best = np.argpartition(-every, K)[:K]
        times.append(time.perf_counter() - start)
        order = np.flatnonzero(every >= every[best].min())
        order = order[np.lexsort((order, -every[order]))][:K]
        rows.append(order.tolist())
        scores.append(every[order].tolist())
    return {"seconds": seconds, "per_second": 1 / statistics.mean(times), "rows": rows, "scores": scores}


def bm25s(folder: str, size: int, languages: str, asked: int) -> dict[str, Any]:
    """The same through bm25s, whose scores are those of rank_bm25 only without frequent terms."""
    import bm25s as library

    start = time.perf_counter()
    retriever = library.BM25(k1=PARAMS["k1"], b=PARAMS["b"], method="atire", idf_method="robertson", backend="numba")
    retriever.index(list(_terms(folder)), show_progress=False)
    seconds = time.perf_counter() - start
    queries = bm25_corpus.queries(asked, size, languages)

    def ask() -> None:
        tokens = [analyser.terms(query.text) for query in queries]
        retriever.retrieve(tokens, k=K, show_progress=False, n_threads=cores())

    ask()
    return {"seconds": seconds, "per_second": _per_second(ask, asked)}


def _terms(folder: str) -> Iterator[list[str]]:
    for passage in PassageTable(Path(folder) / "passages.arrow"):
        yield [sys.intern(term) for term in analyser.terms(passage_input(PARAMS, passage.title, passage.text))]


def _set_terms(words_only: bool) -> None:
    """Leave grams and pairs out, in this process."""
    if words_only:
        analyser.terms = analyser.word_forms
        runs.GRAM, runs.PAIR_CHARACTERS = 1 << 30, 0


def _per_second(ask: Callable[[], object], queries: int) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return queries / statistics.median(times)


if __name__ == "__main__":
    main(sys.argv[1:])
