"""Texts that stand beside the questions: oracle contexts and captions.

A context set is a JSONL file of {"question_id", "text"}. The mini benchmark
bundles one for the oracle and one for the captions. For WorldCuisines the oracle
context is the dish's `Text Description` in the food knowledge base (paper,
section 3.3), so no file is needed.
"""

from __future__ import annotations

import functools
import json

from m4rag_tasks import datasets
from m4rag_tasks.datasets import Row
from m4rag_tasks.errors import ContextError
from m4rag_tasks.suite import Dataset

KB_COLUMN = "Text Description"


def context_name(dataset: Dataset, kind: str) -> str:
    """How records name the context set: where the text of this kind comes from."""
    return f"food-kb:{KB_COLUMN}" if _in_knowledge_base(dataset, kind) else f"{dataset.key}:{kind}"


def context(dataset: Dataset, kind: str, row: Row) -> str:
    """The text of one kind ("oracle" or "caption") for one question.

    Raises `ContextError` where there is none: a question without its context
    must never pass silently as one without retrieval.
    """
    if _in_knowledge_base(dataset, kind):
        entry = datasets.knowledge_base(dataset).get(row.subject_id)
        text = (entry or {}).get(KB_COLUMN) or ""
    else:
        text = _context_set(dataset, kind).get(row.question_id, "")
    text = " ".join(text.split())
    if not text:
        raise ContextError(
            f"{dataset.title}: question {row.question_id} has no {kind} context in {context_name(dataset, kind)}."
            f" The setting cannot be run without it."
        )
    return text


def _in_knowledge_base(dataset: Dataset, kind: str) -> bool:
    return dataset.key == "wc" and kind == "oracle"


@functools.cache
def _context_set(dataset: Dataset, kind: str) -> dict[str, str]:
    folder = datasets.data_folder(dataset)
    if folder is None:
        raise ContextError(f"{dataset.title} has no {kind} contexts on the hub.")
    path = folder / "contexts" / f"{kind}.jsonl"
    texts: dict[str, str] = {}
    try:
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
            if not line:
                continue
            entry = json.loads(line)
            if entry["question_id"] in texts:
                raise ContextError(f"{path}:{number}: question {entry['question_id']} has two contexts. Remove one.")
            texts[entry["question_id"]] = entry["text"]
    except (OSError, ValueError, KeyError) as error:
        raise ContextError(f"The context set {path} cannot be read: {error!r}.") from error
    return texts
