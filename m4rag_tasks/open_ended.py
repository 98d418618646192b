"""Open-ended answers: what a text answers, and how it is compared with the golds. Pure.

Three rules read an answer, as for multiple choice (`answers`):

`m4rag` (default), the first step that finds something decides:

1. failed_request  the harness's marker for a request that got no answer
2. (reasoning blocks, special tokens and the prompt's own form, echoed, are dropped)
3. json            `answer` of the last JSON object, broken or cut-off objects included;
                   the strings of a list are one answer
4. answer_tag      what follows the last `answer:`, `Answer is`, `<answer>` on its line
5. whole_text      all of it
6. invalid         nothing is said: no text, only reasoning, only a placeholder like `<answer>`

`reference` is `extract_answer` of the M4-RAG program (`published_rules`), `worldcuisines`
the raw text. Both keep 1 and 6, which move no score: an answer that says nothing holds no gold.

Scores. `single`, `dual` and `multi` are those of WorldCuisines (worldcuisines/worldcuisines,
evaluation/score/score.py, `score_oe`, run on three lists of golds): right is an answer that
contains a gold, both lower-cased by `str.lower`. `single` takes the question's own
gold, `dual` the English one as well, `multi` those of all varieties of the question. The
lower case matters: `"İ".lower()` is an i and a combining dot, two characters, so the gold
"İtaliya" is not found in "italiya". A library that writes a plain i instead (Arrow does)
finds it, and the published Azerbaijani cell of task 2 comes out 2 points too high.

`exact_single`, `exact_dual` and `exact_multi` are ours: a gold equals the answer after
`option_text.normal`. The M4-RAG program's own scores (equal, or contained either way, to a gold
of any variety) are not computed: under them an answer of one letter is contained in most golds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from m4rag_tasks import published_rules
from m4rag_tasks.answer_text import TAG, final_text, is_failed, last_json_answer, tagged
from m4rag_tasks.answers import RULES
from m4rag_tasks.option_text import DECORATION, normal

# Where no answer was filled in. "None" is not among them: it may be meant.
_PLACEHOLDER = re.compile(r"<[^<>]*>|null", re.I)
_ECHO = re.compile(r"(?:```(?:json)?\s*)?\{\s*\"answer\"\s*:\s*\"?<[^<>{}\"]*>\"?\s*\}(?:\s*```)?", re.I)
_PAIRS = {'""', "''", "“”", "‘’", "«»", "「」", "『』"}


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
    if rule == "m4rag":
        text, step = _m4rag(_ECHO.sub(" ", final_text(answer)).strip())
    else:
        text, step = (answer, "whole_text") if rule == "worldcuisines" else published_rules.reference_open_ended(answer)
    return Read(None, "invalid") if text is None or _says_nothing(text) else Read(text, step)


def scores(text: str | None, gold: Gold) -> dict[str, float]:
    """1.0 or 0.0 for each of single, dual, multi (a gold is contained) and exact_single, … (a gold is equal).

    A text of None scores 0 everywhere, and an empty gold never matches. A wider list
    holds the narrower one, given so or not.
    """
    dual = (gold.single, *gold.dual)
    lists = {"single": (gold.single,), "dual": dual, "multi": (*dual, *gold.multi)}
    answer = text or ""
    contained = {name: float(_contains(answer, golds)) for name, golds in lists.items()}
    exact = {f"exact_{name}": float(_equals(answer, golds)) for name, golds in lists.items()}
    return {**contained, **exact}


def _m4rag(text: str) -> tuple[str, str]:
    stated = last_json_answer(text, _plain)
    if stated is not None:
        return stated.strip(), "json"
    for rest, _ in tagged(text):
        value = _tidy(rest)
        if value.strip(DECORATION) and not _says_nothing(value):
            return value, "answer_tag"
    # A tag that nothing follows, or only a placeholder, is no answer.
    untagged = TAG.sub(" ", text).strip()
    said = untagged == text or (untagged.strip(DECORATION) and not _says_nothing(untagged))
    return (text if said else ""), "whole_text"


def _plain(value: Any) -> str:
    """A JSON value as text: what a list or object holds is one answer, joined by commas."""
    parts, left = [], [value]
    while left:
        item = left.pop()
        if isinstance(item, list | dict):
            left += reversed(item if isinstance(item, list) else list(item.values()))
        elif item is not None:
            whole_number = isinstance(item, float) and item.is_integer()
            parts.append(str(int(item) if whole_number else item))
    return ", ".join(parts)


def _tidy(text: str) -> str:
    """The text without the markdown or quotes that enclose it, or the brace that closed a `\\boxed{`."""
    text = text.strip().rstrip("*`").rstrip().removeprefix("\\text{")
    if "{" not in text:
        text = re.sub(r"\}[}\s$.]*$", "", text)
    while len(text) > 1 and text[0] + text[-1] in _PAIRS:
        text = text[1:-1].strip()
    return text


def _says_nothing(text: str) -> bool:
    visible = any(char.isprintable() and not char.isspace() for char in text)
    return not visible or _PLACEHOLDER.fullmatch(text.strip()) is not None


def _contains(answer: str, golds: Iterable[str]) -> bool:
    lower = answer.lower()
    return any(gold.strip() and gold.strip().lower() in lower for gold in golds)


def _equals(answer: str, golds: Iterable[str]) -> bool:
    norm = normal(answer)
    return norm != "" and norm in map(normal, golds)
