"""What is refused, or said, about queries and about what was found for them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from retrieval_cache.files import Progress
from retrieval_cache.ranking import NO_ROW
from retrieval_cache.records import CorpusError, Query


def checked_queries(queries: Iterable[Query], with_images: bool) -> list[Query]:
    """The queries sorted by id; duplicates and those with nothing to search by are refused."""
    by_id: dict[str, Query] = {}
    for query in queries:
        if query.id in by_id:
            raise CorpusError(f"two queries have the id {query.id!r}.", "Give each its own id.")
        has_image = query.image_id is not None or query.image_path is not None
        if not query.text.strip() and not (with_images and has_image):
            what = "no text and no image" if with_images else "no text, and no image is looked at"
            raise CorpusError(
                f"query {query.id!r} is empty: {what}.",
                "Leave it out, or find out where its text was lost.",
            )
        by_id[query.id] = query
    if not by_id:
        raise CorpusError("there are no queries to search for.", "Check the dataset.")
    return [by_id[query_id] for query_id in sorted(by_id)]


def refuse_empty(rows: np.ndarray, queries: list[Query], retriever: str) -> None:
    """A query without hits must never reach a model as a prompt without context."""
    empty = np.flatnonzero(rows[:, 0] == NO_ROW)
    if len(empty):
        ids = ", ".join(repr(queries[i].id) for i in empty[:5])
        raise CorpusError(
            f"{retriever} finds no passage at all for {len(empty):,} of "
            f"{len(queries):,} queries: {ids}{', …' if len(empty) > 5 else ''}.",
            "Add articles in their language to the corpus, or use a dense retriever.",
        )


def count_unmatched(scores: np.ndarray, queries: list[Query], say: Progress) -> int:
    """How many queries got passages that no term speaks for: their best score is 0."""
    unmatched = np.flatnonzero(scores[:, 0] == 0)
    if len(unmatched):
        say(
            f"note: the best score is 0 for {len(unmatched):,} of {len(queries):,} queries, "
            f"e.g. {queries[unmatched[0]].id!r}: they have no term in common with any passage, or "
            "only terms without weight. Their passages are arbitrary. Are there articles in their language?"
        )
    return len(unmatched)
