"""What makes a record of a samples file usable. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from m4rag_tasks.records import FAILED

Record = Mapping[str, Any]

UNSCORED = "unscored"
"""How a record says that scoring broke down: it then has only `question_id` and `fault`."""

SCORES = ("dual", "multi", "exact_single", "exact_dual", "exact_multi")
"""The scores of an open-ended answer beside the one by its own reference, which is `score`."""

DEFAULTS: Record = {"variant": "", "kind": "mcq"}
"""What records of earlier versions do not say."""

_TYPES: dict[str, type | tuple[type, ...]] = {
    "question_id": str,
    "qa_id": str,
    "dataset": str,
    "setting": str,
    "variant": str,
    "kind": str,
    "language": str,
    "image_id": str,
    "question": str,
    "options": list,
    "gold": int,
    "prediction": (int, str, type(None)),
    "parse": str,
    "passages": list,
}

_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(
        ("base_language", "register", "resource", "retriever", "context", "template", "cache"), (str, type(None))
    ),
    **dict.fromkeys(("context_has_answer", "query_has_answer"), (bool, type(None))),
    "context_chars": (int, float, type(None)),
}
"""What a record may lack, or have as null."""


def is_failed(record: Record) -> bool:
    """Whether there is nothing to score: the request failed, or scoring broke down."""
    return record["parse"] in (FAILED, UNSCORED)


def is_unscored(record: Record) -> bool:
    """Whether this is the stub that scoring left behind when it broke down."""
    return record.get("parse") == UNSCORED and isinstance(record.get("question_id"), str)


def fault(record: Record) -> str | None:
    """What is wrong with a record, or None."""
    for key, types in _TYPES.items():
        if key not in record:
            return f"has no {key!r}"
        if not isinstance(record[key], types):
            return f"has a value for {key!r} that cannot be used"
    for key, types in _OPTIONAL.items():
        if not isinstance(record.get(key), types):
            return f"has a value for {key!r} that cannot be used"
    if not _is_finite(record.get("context_chars")):
        return "has a value for 'context_chars' that cannot be used"
    return _fault_of_lists(record) or _fault_of_kind(record) or _fault_of_scores(record)


def _fault_of_lists(record: Record) -> str | None:
    if not _all_are(str, record["options"]):
        return "has options that are not text"
    # True is an int too, but names no option.
    if record["gold"] is True or not 1 <= record["gold"] <= len(record["options"]):
        return "has a right answer that is none of its options"
    if not _all_are(dict, record["passages"]):
        return "has passages that cannot be used"
    if not _are_texts(record.get("faults", [])):
        return "has a value for 'faults' that cannot be used"
    return None


def _fault_of_kind(record: Record) -> str | None:
    if record["kind"] == "mcq":
        return None if record.get("references") is None else "has references though it is multiple choice"
    if record["kind"] != "open_ended":
        return f"is of the unknown kind {record['kind']!r}"
    golds = record.get("references")
    if not isinstance(golds, dict) or not isinstance(golds.get("single"), str):
        return "has no references"
    return None if all(_are_texts(golds.get(key)) for key in ("dual", "multi")) else "has references that are not text"


def _fault_of_scores(record: Record) -> str | None:
    if record.get("strict", 0) not in (0, 1, None):
        return "has a strict score other than 0 and 1"
    # A request that failed was never answered, so it has no score; nothing else may lack one.
    if record["parse"] == FAILED:
        return None
    if record.get("score") not in (0, 1):
        return "has no score" if record.get("score") is None else "has a score other than 0 and 1"
    if record["kind"] == "open_ended":
        scores = record.get("scores")
        if not isinstance(scores, dict) or any(scores.get(key) not in (0, 1) for key in SCORES):
            return "lacks a score by one of its references"
    return None


def _is_finite(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and _all_are(str, value)


def _all_are(kind: type, values: Iterable[object]) -> bool:
    # JSON has no subclasses.
    return {kind}.issuperset(map(type, values))
