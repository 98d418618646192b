"""Which of a question's texts stand in what its model is shown. Pure.

By the rule of Answer@n (`retrieval_cache.evaluation`): a text stands in another where it is a part of it, both
normalised; a passage is its title and text. An empty answer stands nowhere.
"""

from __future__ import annotations

from typing import Any

from m4rag_tasks.rows import Row
from retrieval_cache.matching import normalised
from retrieval_cache.records import RetrievedPassage


def holds_answer(text: str, row: Row) -> bool:
    """Whether the right answer stands in a text."""
    return _stands(row.answer, normalised(text))


def of_passage(hit: RetrievedPassage, row: Row) -> dict[str, Any]:
    """What records say of one passage: which it is, and whether the answer and which options stand in it.

    `has_options` are option numbers, from 1. An option may be part of another, or of any text, by chance.
    """
    text = normalised(f"{hit.title}\n{hit.text}")
    return {
        "id": hit.id,
        "title": hit.title,
        "rank": hit.rank,
        "score": hit.score,
        "has_answer": _stands(row.answer, text),
        "has_options": [number for number, option in enumerate(row.options, start=1) if _stands(option, text)],
    }


def _stands(wanted: str, text: str) -> bool:
    sought = normalised(wanted)
    return bool(sought) and sought in text
