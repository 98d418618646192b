"""Opening a cache in a fresh process and looking questions up, against one JSON file with the texts inside.

    python -m benchmarks.cache_reading [--quick]

80,000 questions with five passages each, of 200,000 passages: articles of `corpus_sample` in nine
languages, cut as a build cuts them, each copy numbered so that no two are alike. The JSON file maps
question ids to lists of passages with text and score, as the paper's program keeps them: it is loaded whole.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import SHARED, Row, apart, save

QUESTIONS, PASSAGES, LOOKUPS, ROUNDS, K = 80_000, 200_000, 1_000, 5, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a few questions, one round; nothing is kept")
    quick = parser.parse_args().quick
    questions, passages, rounds = (800, 2_000, 1) if quick else (QUESTIONS, PASSAGES, ROUNDS)
    with tempfile.TemporaryDirectory() as folder:
        apart("benchmarks.cache_reading:write", folder, questions, passages)
        ids = [question_id(number) for number in random.Random(1).sample(range(questions), min(LOOKUPS, questions))]
        ours, other = [], []
        for _ in range(rounds):  # in turns, so that a busy machine is busy for both
            ours.append(apart("benchmarks.cache_reading:read_cache", folder, ids))
            other.append(apart("benchmarks.cache_reading:read_json", folder, ids))
        assert all(found["found"] == len(ids) * K for found in ours + other)
        sizes = _sizes(Path(folder))
    rows, notes = _rows(ours, other, sizes), _notes(ours, other, sizes)
    title = (
        f"Reading a cache of {questions:,} questions with {K} passages each: {len(ids):,} look-ups in a fresh process"
    )
    if quick:
        print("\n".join(map(str, rows)))
    else:
        save("cache_reading", title, rows, notes)


def question_id(number: int) -> str:
    """An id as CVQA's are: image, question on it, how it is asked."""
    return f"{5_865_939_234_276_171_441 + 7_919 * (number // 4)}_{number // 2 % 2}-{('local', 'en')[number % 2]}"


def question_text(number: int) -> str:
    return f"Which of these does the picture number {number} show?"


# --- each in a process of its own -------------------------------------------------


def write(folder: str, questions: int, passages: int) -> None:
    """Write a cache of one setting and the same hits as JSON."""
    import numpy as np

    from retrieval_cache import Query
    from retrieval_cache.store.cache import write_hits
    from retrieval_cache.store.caches import hits_folder, passages_folder
    from retrieval_cache.store.passages import PassageTable, write_passages

    root = Path(folder)
    chance = np.random.default_rng(0)
    rows = chance.integers(0, passages, (questions, K)).astype(np.int32)
    scores = -np.sort(-chance.uniform(5, 40, (questions, K)).astype(np.float32), axis=1)
    order = sorted(range(questions), key=question_id)
    queries = [Query(question_id(number), question_text(number)) for number in order]
    manifest = _manifest(questions, passages)
    path = passages_folder(root, manifest.passages_key) / "passages.arrow"
    write_passages(path, _passages(passages))
    hits = hits_folder(root, manifest.dataset, manifest.setting, manifest.key)
    write_hits(hits / "hits.arrow", queries, rows, scores)
    _finish(hits, path, manifest)
    table = PassageTable(path)
    with (root / "reference.json").open("w", encoding="utf-8") as file:
        found = {q.id: _as_json(table, *pair) for q, *pair in zip(queries, rows.tolist(), scores.tolist(), strict=True)}
        json.dump(found, file, ensure_ascii=False)


def _as_json(table: Any, rows: list[int], scores: list[float]) -> list[dict[str, Any]]:
    passages = [table[row] for row in rows]
    return [
        {"id": p.id, "title": p.title, "text": p.text, "score": score}
        for p, score in zip(passages, scores, strict=True)
    ]


def _passages(count: int) -> Iterator[Any]:
    from dataclasses import replace

    from retrieval_cache import ChunkerSpec, read_articles
    from retrieval_cache.chunking.chunker import Chunker
    from retrieval_cache.corpus.files import open_corpus

    chunker = Chunker(ChunkerSpec())
    articles = list(read_articles(open_corpus(SHARED / "corpus_sample" / "articles.jsonl.gz")))
    real = chunker.cut(articles)
    for number, passage in enumerate(itertools.islice(itertools.cycle(real), count)):
        copy = number // len(real)
        yield replace(passage, id=f"{passage.id}-{copy}", text=f"{copy} {passage.text}")


def _manifest(questions: int, passages: int) -> Any:
    from dataclasses import replace

    from retrieval_cache import ChunkerSpec, Manifest, default_spec

    nothing = {"sha256": "0" * 64, "size": 0}
    manifest = Manifest(
        key="", dataset="bench", setting="reading", k=K, retriever=default_spec("bm25"), chunker=ChunkerSpec(),
        corpus={"sha256": "0" * 64, "articles": 543, "skipped": 0, "broken": 0, "passages": passages, "source": None},
        queries={"sha256": "0" * 64, "count": questions, "unmatched": 0},
        images={"passages": None, "queries": None},
        libraries={"passages": {}, "index": {}, "search": {}},
        files={"hits.arrow": nothing, "passages.arrow": nothing},
    )  # fmt: skip
    return replace(manifest, key=manifest.derived_key())


def _finish(hits: Path, passages: Path, manifest: Any) -> None:
    from dataclasses import replace

    from retrieval_cache.files import describe_file, write_json

    files = {path.name: describe_file(path) for path in (hits / "hits.arrow", passages)}
    write_json(hits / "manifest.json", replace(manifest, files=files).to_json())


def read_cache(folder: str, ids: list[str]) -> dict[str, Any]:
    """Seconds to import, to open, to look up; what was found."""
    began = time.perf_counter()
    from retrieval_cache import Query, open_cache

    imported = time.perf_counter()
    (place,) = Path(folder).glob("hits/bench/reading/*")
    cache = open_cache(place, Path(folder))
    numbers = _numbers(ids)
    opened = time.perf_counter()
    found = sum(len(cache.hits(Query(name, question_text(number)))) for name, number in zip(ids, numbers, strict=True))
    done = time.perf_counter()
    return {"import": imported - began, "open": opened - imported, "look_up": done - opened, "found": found}


def read_json(folder: str, ids: list[str]) -> dict[str, Any]:
    """The same of the JSON file."""
    began = time.perf_counter()
    with (Path(folder) / "reference.json").open(encoding="utf-8") as file:
        cache = json.load(file)
    opened = time.perf_counter()
    found = sum(len([(p["text"], p["score"]) for p in cache[name]]) for name in ids)
    return {"import": 0.0, "open": opened - began, "look_up": time.perf_counter() - opened, "found": found}


def _numbers(ids: list[str]) -> list[int]:
    """The numbers that the ids were made from."""
    numbers = []
    for name in ids:
        image, rest = name.split("_")
        question, asked = rest.split("-")
        group = (int(image) - 5_865_939_234_276_171_441) // 7_919
        numbers.append(4 * group + 2 * int(question) + (asked == "en"))
    return numbers


# --- the table --------------------------------------------------------------------


def _sizes(folder: Path) -> dict[str, int]:
    (place,) = folder.glob("hits/bench/reading/*")
    return {
        "setting": sum(path.stat().st_size for path in place.iterdir()),
        "passages": next(folder.glob("passages/*/passages.arrow")).stat().st_size,
        "json": (folder / "reference.json").stat().st_size,
    }


def _median(runs: list[dict[str, Any]], *names: str) -> float:
    return statistics.median(sum(run[name] for name in names) for run in runs)


def _rows(ours: list[dict[str, Any]], other: list[dict[str, Any]], sizes: dict[str, int]) -> list[Row]:
    json_name = "one JSON file, loaded whole"
    fast, slow = _median(ours, "open", "look_up"), _median(other, "open", "look_up")
    whole = fast + _median(ours, "import")
    small, large = _median(ours, "peak_bytes"), _median(other, "peak_bytes")
    added = sizes["setting"] / sizes["json"]
    return [
        Row("open and look up (s)", f"{fast:.3f}", json_name, f"{slow:.2f}", f"{slow / fast:.0f} × faster",
            "≥ 10 ×", slow / fast >= 10),
        Row("the same with all imports (s)", f"{whole:.2f}", json_name, f"{slow:.2f}", f"{slow / whole:.1f} × faster"),
        Row("peak memory (MB)", f"{small / 1e6:.0f}", json_name, f"{large / 1e6:.0f}", f"1/{large / small:.1f}",
            "≤ 1/3", small / large <= 1 / 3),
        Row("bytes of a further setting", f"{sizes['setting']:,}", json_name, f"{sizes['json']:,}",
            f"1/{1 / added:.0f}", "≤ 1/50", added <= 1 / 50),
    ]  # fmt: skip


def _notes(ours: list[dict[str, Any]], other: list[dict[str, Any]], sizes: dict[str, int]) -> list[str]:
    parts = ", ".join(f"{name.replace('_', ' ')} {_median(ours, name):.3f} s" for name in ("import", "open", "look_up"))
    return [
        f"Ours: {parts}; JSON: load {_median(other, 'open'):.2f} s, look up {_median(other, 'look_up'):.4f} s. "
        f"Medians of {len(ours)} processes, files in the page cache.",
        f"The passages, {sizes['passages']:,} bytes, lie there once for all settings.",
    ]


if __name__ == "__main__":
    main()
