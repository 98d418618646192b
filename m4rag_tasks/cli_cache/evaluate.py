"""`m4rag cache evaluate`: how good is what tasks read?"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from m4rag_tasks import suite
from m4rag_tasks.cli_cache.choose import read_caches, say

if TYPE_CHECKING:
    from retrieval_cache import Cache, Evaluation

DEEPEST = 10


def cache_evaluate(options: argparse.Namespace) -> int:
    from retrieval_cache import read_qrels
    from retrieval_cache.files import write_json

    qrels = read_qrels(options.qrels) if options.qrels else None
    found: list[dict[str, Any]] = []
    for dataset, setting, cache in read_caches(options):
        evaluation = _evaluated(dataset, cache, qrels)
        print(f"{dataset.key} {setting.name}, {cache.manifest.retriever.name}, key {cache.key[:16]}")
        print(_table(evaluation), end="\n\n")
        about = {"dataset": dataset.key, "setting": setting.name, "key": cache.key}
        found.append(about | {"retriever": cache.manifest.retriever.name, **evaluation.to_json()})
        if qrels is not None and evaluation.k < DEEPEST:
            say(f"note: this cache holds {evaluation.k} passages per question; nDCG@10 and RR@10 see no more.")
    if options.json:
        write_json(options.json, found)
    return 0


def _evaluated(dataset: suite.Dataset, cache: Cache, qrels: dict[str, dict[str, int]] | None) -> Evaluation:
    """By the gold answers of the data set, and by qrels if there are any."""
    from m4rag_tasks import datasets
    from retrieval_cache import evaluate

    languages, answers = {}, {}
    for row in datasets.all_rows(dataset):
        languages[row.question_id] = row.language
        answers[row.question_id] = [row.answer]
    return evaluate(cache, languages, qrels, answers)


def _table(evaluation: Evaluation) -> str:
    """A line per language, then the means over languages (macro) and over questions (micro)."""
    measures = list(evaluation.micro)
    lines = [["language", "questions", *measures]]
    for language, means in evaluation.languages.items():
        count = max(mean.queries for mean in means.values())
        lines.append([language, f"{count:,}", *(f"{means[m].value:.4f}" if m in means else "-" for m in measures)])
    asked = max(mean.queries for mean in evaluation.micro.values())
    lines.append(["macro", f"{asked:,}", *(f"{evaluation.macro[m]:.4f}" for m in measures)])
    lines.append(["micro", f"{asked:,}", *(f"{evaluation.micro[m].value:.4f}" for m in measures)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        f"{line[0]:<{widths[0]}}  " + "  ".join(f"{cell:>{w}}" for cell, w in zip(line[1:], widths[1:], strict=True))
        for line in lines
    )
