"""Relevance judgements (qrels) from files: TREC, BEIR's tsv, or JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retrieval_cache.records import CorpusError

Qrels = dict[str, dict[str, int]]
"""Query id → id of a passage or article → relevance, where 0 and below is not relevant."""

_QUERY = ("query_id", "query-id", "qid")
_DOCUMENT = ("passage_id", "article_id", "doc_id", "corpus-id", "docid")
_RELEVANCE = ("relevance", "score", "rel")


def read_qrels(path: Path) -> Qrels:
    """Read judgements; what kind of file it is shows in its name and first line.

    `.jsonl`: objects with query_id, passage_id or article_id (or doc_id, corpus-id),
    and relevance or score (1 if there is neither). Else lines of four fields between
    spaces (TREC: query, iteration, document, relevance) or three between tabs (BEIR,
    with a header or without). Raises CorpusError with the line for anything else.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"the qrels {path} cannot be read ({error}).", "Check the path.") from error
    found: Qrels = {}
    for number, line in _lines(text):
        triple = _from_json(line) if path.suffix == ".jsonl" else _from_fields(line)
        if triple is None:
            if number == 1 and path.suffix != ".jsonl" and _is_header(line):
                continue
            raise CorpusError(
                f"{path}:{number}: not a judgement: {line[:80]!r}.",
                "A line holds query, document and relevance: TREC (four fields), tsv (three) or .jsonl.",
            )
        query, document, relevance = triple
        if found.setdefault(query, {}).setdefault(document, relevance) != relevance:
            raise CorpusError(f"{path}:{number}: {query!r} and {document!r} are judged twice, and otherwise.")
    if not found:
        raise CorpusError(f"the qrels {path} hold no judgement.", "Check that it is the right file.")
    return found


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Not splitlines(): ids may hold characters that it takes for line ends.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.rstrip("\r")


def _from_fields(line: str) -> tuple[str, str, int] | None:
    fields = line.split("\t") if line.count("\t") == 2 else line.split()
    if len(fields) == 4:
        fields = [fields[0], *fields[2:]]
    if len(fields) != 3 or not all(fields):
        return None
    relevance = _whole(fields[2])
    return None if relevance is None else (fields[0], fields[1], relevance)


def _from_json(line: str) -> tuple[str, str, int] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    query, document = (next((row[name] for name in names if name in row), None) for names in (_QUERY, _DOCUMENT))
    relevance = _whole(next((row[name] for name in _RELEVANCE if name in row), 1))
    if not (isinstance(query, str) and query and isinstance(document, str) and document) or relevance is None:
        return None
    return query, document, relevance


def _is_header(line: str) -> bool:
    fields = line.replace("\t", " ").split()
    return fields[0].lower() in _QUERY


def _whole(value: Any) -> int | None:
    """A whole number, from text or JSON; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if number.is_integer() else None
