"""Open-ended answers: what a text answers, and how it is compared with the golds. Pure.

Three rules read an answer, as for multiple choice (`answers`):

- `m4rag` (default): reasoning and special tokens are dropped; then `answer` of the last JSON
  object; else what follows the last `answer:`; else the whole text.
- `reference`: the M4-RAG program's (`published_rules.reference_open_ended`).
- `worldcuisines`: the raw text, as WorldCuisines scores it.

The comparison is that of WorldCuisines (worldcuisines/worldcuisines,
evaluation/score/score.py): the gold, lower-cased, is contained in the answer,
lower-cased. Lower case is Python's `str.lower`: one that folds "İ" otherwise moves
published Azerbaijani cells by 2 points. Exact match, which is ours, compares the
texts after `option_text.normal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from m4rag_tasks import published_rules
from m4rag_tasks.answers import RULES, final_text, is_failed, is_placeholder, last_json_answer, tagged
from m4rag_tasks.option_text import DECORATION, normal


@dataclass(frozen=True)
class Read:
    """What was read: a text, or None, and the step that decided."""

    text: str | None
    rule: str


@dataclass(frozen=True)
class Gold:
    """The golds of a question: its own; with the English one; those of all varieties of the question."""

    single: str
    dual: tuple[str, ...]
    multi: tuple[str, ...]


def read(answer: str, rule: str = "m4rag") -> Read:
    """Read `answer` by one of `answers.RULES`. Never raises on any text; an unknown rule is a ValueError."""
    if rule not in RULES:
        raise ValueError(f"unknown answer rule {rule!r}; the rules are: {', '.join(RULES)}")
    if is_failed(answer):
        return Read(None, "failed_request")
    if rule == "reference":
        return _said(*published_rules.reference_open_ended(answer))
    if rule == "worldcuisines":
        return _said(answer, "whole_text")
    return _m4rag(final_text(answer))


def scores(text: str | None, gold: Gold) -> dict[str, float]:
    """1.0 or 0.0 under `single`, `dual`, `multi` (contained) and `exact_single`, … (equal); 0.0 for None."""
    found: dict[str, float] = {}
    for name, golds in (("single", (gold.single,)), ("dual", gold.dual), ("multi", gold.multi)):
        found[name] = float(text is not None and _contains(text, golds))
        found[f"exact_{name}"] = float(text is not None and _equals(text, golds))
    return found


def _m4rag(text: str) -> Read:
    stated = last_json_answer(text, _plain)
    if stated is not None:
        return _said(stated, "json")
    for rest, _ in tagged(text):
        if rest.strip(DECORATION):
            return _said(rest, "answer_tag")
    return _said(text, "whole_text")


def _said(text: str | None, rule: str) -> Read:
    """What was read, unless it says nothing."""
    return Read(None, "invalid") if text is None or is_placeholder(text) else Read(text.strip(), rule)


def _plain(value: Any) -> str:
    """A JSON value as text: the strings of a list are one answer; objects and booleans are none."""
    if isinstance(value, list):
        return ", ".join(filter(None, map(_plain, value)))
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    # A value cut out of broken JSON still has its quotes.
    return str(value).strip().strip("\"'").strip()


def _contains(text: str, golds: Sequence[str]) -> bool:
    return any(gold.strip() and gold.lower() in text.lower() for gold in golds)


def _equals(text: str, golds: Sequence[str]) -> bool:
    return any(normal(gold) and normal(gold) == normal(text) for gold in golds)
