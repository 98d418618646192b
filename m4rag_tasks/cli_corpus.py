"""`m4rag corpus …`: what a corpus holds, and what is wrong with it."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrieval_cache import CorpusStats

CORPUS_HELP = (
    "articles: a JSONL file, plain or compressed (gz, bz2, xz, zst), a Parquet file, a folder of such files, or"
    " hf://datasets/OWNER/NAME[@REVISION]/CONFIGURATION"
)
_COLUMNS = ("language", "articles", "share", "sections", "paragraphs", "images", "characters", "share", "MB", "median")


def add_corpus_verbs(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `corpus` and its actions to the command's verbs."""
    group = verbs.add_parser("corpus", help="the corpus that passages are cut from: stats")
    actions = group.add_subparsers(required=True, metavar="ACTION")
    action = actions.add_parser("stats", help="count articles, text and images by language; list broken lines")
    action.add_argument("corpus", metavar="CORPUS", help=CORPUS_HELP)
    action.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file too")
    action.set_defaults(verb=corpus_stats)


def corpus_stats(options: argparse.Namespace) -> int:
    """Print the figures of a corpus; 1 if a line of it is broken."""
    import retrieval_cache
    from retrieval_cache.files import write_json

    stats = retrieval_cache.corpus_stats(options.corpus, functools.partial(print, file=sys.stderr))
    for line in lines(stats):
        print(line)
    if options.json:
        write_json(options.json, stats.to_json())
    return 1 if stats.broken else 0


def lines(stats: CorpusStats) -> list[str]:
    """The figures for people: the whole corpus, then a table of its languages."""
    total, broken = stats.total, stats.broken
    kinds = f"  ({', '.join(f'{count:,} {kind}' for kind, count in broken.items())})" if broken else ""
    examples = f"  ({'; '.join(stats.same_title_examples)})" if stats.same_title else ""
    files = f"{stats.files:,} file{'s' if stats.files != 1 else ''}, {_mb(stats.stored_bytes)} MB as stored"
    return [
        f"{stats.name}: {files}, sha256 {stats.sha256[:12]}",
        "",
        *_aligned(
            [
                ["articles", f"{total.articles:,}", ""],
                ["skipped", f"{stats.skipped:,}", "  pages without content"],
                ["broken", f"{sum(broken.values()):,}", kinds],
                ["same title", f"{stats.same_title:,}", examples],
                ["sections", f"{total.sections:,}", ""],
                ["paragraphs", f"{total.paragraphs:,}", ""],
                ["images", f"{total.images:,}", ""],
                ["characters", f"{total.characters:,}", f"  {_mb(total.bytes)} MB of UTF-8"],
            ],
            left=(0, 2),
        ),
        *_lengths(stats),
        *(["", *_aligned([list(_COLUMNS), *_rows(stats)], left=(0,))] if stats.languages else []),
    ]


def _lengths(stats: CorpusStats) -> list[str]:
    from retrieval_cache.corpus.stats import QUANTILES

    if not stats.total.lengths:
        return []
    names = {0.0: "shortest", 0.5: "median", 1.0: "longest"}
    shown = [f"{names.get(q, f'{q:.0%}')} {n:,}" for q, n in zip(QUANTILES, stats.total.lengths, strict=True)]
    return ["", f"characters of an article: {', '.join(shown)}"]


def _rows(stats: CorpusStats) -> list[list[str]]:
    whole = stats.total
    return [
        [
            language,
            f"{counts.articles:,}",
            _share(counts.articles, whole.articles),
            f"{counts.sections:,}",
            f"{counts.paragraphs:,}",
            f"{counts.images:,}",
            f"{counts.characters:,}",
            _share(counts.characters, whole.characters),
            _mb(counts.bytes),
            f"{counts.lengths[len(counts.lengths) // 2]:,}",
        ]
        for language, counts in stats.languages.items()
    ]


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Rows as lines with aligned columns: those of `left` to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = (
        [f"{cell:<{width}}" if place in left else f"{cell:>{width}}" for place, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(row, widths, strict=True)) for row in rows)
    )
    return ["  ".join(cells).rstrip() for cells in aligned]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f}"
