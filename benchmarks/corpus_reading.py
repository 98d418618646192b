"""How fast and in how little memory a corpus is read, beside plain `json.loads` of each line.

    python -m benchmarks.corpus_reading [--quick]

The corpus is made of the real sample articles (../shared/data), over and over
with other ids. Reading is decompressing, hashing, parsing and checking every
field; `json.loads` only parses.
"""

from __future__ import annotations

import gzip
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import SHARED, Row, apart, save

SAMPLE = SHARED / "corpus_sample" / "articles.jsonl.gz"
REPEATS = 5
NOTES = (
    "MB are those of the uncompressed JSON; one process, one core.",
    "The articles repeat the titles of the sample; where each has its own, stats takes 77 bytes more an article.",
)


def main(arguments: list[str]) -> int:
    """Measure, print and save; with --quick on tiny corpora, and nothing is saved."""
    quick = "--quick" in arguments
    small, large = (500, 2_000) if quick else (30_000, 300_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_corpus(folder / "small.jsonl", small)
        write_corpus(folder / "small.jsonl.gz", small)
        large_size = write_corpus(folder / "large.jsonl.gz", large)
        rows = [
            _speed("JSON lines, plain", folder / "small.jsonl", small, size, quick),
            _speed("JSON lines, gzip", folder / "small.jsonl.gz", small, size, quick),
            *_memory(folder, small, large, size, large_size),
        ]
    if quick:
        print(*rows, sep="\n")
    else:
        save("corpus_reading", "Reading a corpus", rows, NOTES)
    return 0


def write_corpus(path: Path, articles: int) -> int:
    """Write so many articles; returns the bytes of JSON."""
    size = 0
    with gzip.open(path, "wb", compresslevel=1) if path.suffix == ".gz" else path.open("wb") as file:
        for line in itertools.islice(_lines(), articles):
            size += file.write(line)
    return size


def _lines() -> Iterator[bytes]:
    with gzip.open(SAMPLE, "rb") as file:
        sample = file.read().splitlines(keepends=True)
    head = b'{"id": "'
    if not all(line.startswith(head) for line in sample):
        raise ValueError(f"{SAMPLE} does not begin its lines with the id")
    for number in itertools.count():
        yield head + b"%08x" % number + sample[number % len(sample)][len(head) + 8 :]


def _speed(what: str, path: Path, articles: int, size: int, quick: bool) -> Row:
    """Ours and `json.loads` in turn, so that both meet the same machine."""
    repeats = 1 if quick else REPEATS
    pairs = [
        [apart(f"benchmarks.corpus_reading:{name}", str(path))["seconds"] for name in ("read", "parse")]
        for _ in range(repeats)
    ]
    ours, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Row(
        f"{what}: {articles:,} articles, {size / 1e6:,.0f} MB",
        f"{size / 1e6 / ours:,.0f} MB/s",
        "json.loads of each line",
        f"{size / 1e6 / other:,.0f} MB/s",
        f"{other / ours:.2f}",
    )


def _memory(folder: Path, small: int, large: int, size: int, large_size: int) -> list[Row]:
    peaks = {
        (name, articles): apart(f"benchmarks.corpus_reading:{name}", str(folder / file))["peak_bytes"] / 1e6
        for name, articles, file in (
            ("idle", 0, "small.jsonl.gz"),
            ("read", small, "small.jsonl.gz"),
            ("hold", small, "small.jsonl.gz"),
            ("read", large, "large.jsonl.gz"),
            ("stats", large, "large.jsonl.gz"),
        )
    }
    idle = peaks["idle", 0]
    of_large = f"{large:,} articles, {large_size / 1e9:.1f} GB of JSON"
    grown = (peaks["read", large] - peaks["read", small]) * 1e6 / (large - small)
    return [
        Row(
            f"Peak memory of reading {small:,} articles, {size / 1e9:.2f} GB of JSON",
            f"{peaks['read', small]:,.0f} MB",
            "all held, json.loads",
            f"{peaks['hold', small]:,.0f} MB",
            f"{peaks['read', small] / peaks['hold', small]:.3f}",
        ),
        Row(
            f"Peak memory of reading {of_large}",
            f"{peaks['read', large]:,.0f} MB ({grown:,.0f} bytes more an article)",
            "the process before it reads",
            f"{idle:,.0f} MB",
            f"{peaks['read', large] / idle:.2f}",
        ),
        Row(
            f"Peak memory of m4rag corpus stats, {of_large}",
            f"{peaks['stats', large]:,.0f} MB",
            "the process before it reads",
            f"{idle:,.0f} MB",
            f"{peaks['stats', large] / idle:.2f}",
        ),
    ]


# --- called in a process of their own -----------------------------------------


def read(path: str) -> dict[str, Any]:
    """Read and check all articles."""
    from retrieval_cache import read_articles

    return _timed(lambda: sum(1 for _ in read_articles(path)))


def parse(path: str) -> dict[str, Any]:
    """Parse all lines."""
    return _timed(lambda: sum(1 for _ in _parsed(path)))


def hold(path: str) -> dict[str, Any]:
    """Parse all lines and keep what comes out."""
    return _timed(lambda: len(list(_parsed(path))))


def stats(path: str) -> dict[str, Any]:
    """Count all that the command counts."""
    from retrieval_cache import corpus_stats

    return _timed(lambda: corpus_stats(path).total.articles)


def idle(path: str) -> dict[str, Any]:
    """Import what reading imports, and read nothing."""
    from retrieval_cache import corpus_stats  # noqa: F401

    return {}


def _parsed(path: str) -> Iterator[Any]:
    with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as file:  # noqa: PTH123
        for line in file:
            yield json.loads(line)


def _timed(action: Callable[[], int]) -> dict[str, Any]:
    start = time.perf_counter()
    articles = action()
    return {"seconds": time.perf_counter() - start, "articles": articles}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
