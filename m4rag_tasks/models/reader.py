"""`m4rag_reader`: a lexical reader, the CPU floor for any multiple-choice task of ours.

It looks only at the prompt: the options are its last block of numbered lines, and
whatever stands before is the context. It picks the option that the context
supports best by shared characters, so it works in any script and knows nothing
by itself. Without support it guesses, the same guess for the same question always.
With `characters=N` it reads only so much of the context: readers of several sizes.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from lmms_eval.api.instance import Instance

from m4rag_tasks.models.text_only import TextOnlyModel

OPTION_LINE = re.compile(r"^(\d+)\. (.*)$")
NGRAM = 3
PARTIAL_WEIGHT = 0.5
"""A shared fragment counts half as much as the whole option: wordings differ, but less surely."""


class Reader(TextOnlyModel):
    """lmms-eval model `m4rag_reader`; `characters`: how far it reads (0: to the end), `name`: for the report."""

    def __init__(self, characters: int = 0, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name
        self.characters = int(characters)

    def answer(self, request: Instance) -> str:
        """JSON with the number of the chosen option, or an empty answer for a prompt without options."""
        prompt = request.args[0]
        context, options = split_prompt(prompt)
        if self.characters:
            context = context[: self.characters]
        return json.dumps({"answer": choose(context, options)}) if options else ""


def split_prompt(prompt: str) -> tuple[str, list[str]]:
    """What stands before the options, and the options: the last lines numbered 1, 2, 3, …"""
    lines = prompt.splitlines()
    starts = [index for index, line in enumerate(lines) if _number(line) == 1]
    if not starts:
        return prompt, []
    start = starts[-1]
    end = start
    while end < len(lines) and _number(lines[end]) == end - start + 1:
        end += 1
    options = [OPTION_LINE.match(line).group(2) for line in lines[start:end]]  # type: ignore[union-attr]
    return "\n".join(lines[:start]), options


def choose(context: str, options: Sequence[str]) -> int:
    """Number (from 1) of the option that the context supports best; ties are guessed among."""
    text = fold(context)
    fragments = frozenset(_ngrams(text))
    scores = [_support(fold(option), text, fragments) for option in options]
    best = max(scores)
    tied = [index for index, score in enumerate(scores) if score == best]
    # The guess depends on the question, not on its place in a list, so reordering changes nothing.
    digest = hashlib.sha256("\n".join([*text.splitlines()[-2:], *options]).encode()).digest()
    return tied[int.from_bytes(digest[:8], "big") % len(tied)] + 1


def _support(option: str, text: str, fragments: frozenset[str]) -> float:
    """1 to 2 for an option that stands in the text, less for one of which only fragments do.

    The earlier it stands the better, since passages come best first; of two options
    at the same place the longer one, which contains the other, says more.
    """
    if not option:
        return 0.0
    first = text.find(option)
    if first >= 0:
        return 2.0 - (first - len(option) / 1000) / max(len(text), 1)
    grams = _ngrams(option)
    shared = sum(gram in fragments for gram in grams) / len(grams)
    return PARTIAL_WEIGHT * shared


def shared_fragments(part: str, text: str) -> float:
    """How much of the first text's fragments, from 0 to 1, stand in the second. Both folded."""
    grams, fragments = _ngrams(part), frozenset(_ngrams(text))
    return sum(gram in fragments for gram in grams) / len(grams)


def fold(text: str) -> str:
    """Compatibility-normalised, case-folded text: the same word looks the same."""
    return unicodedata.normalize("NFKC", text).casefold()


def _ngrams(text: str) -> list[str]:
    return [text[i : i + NGRAM] for i in range(max(1, len(text) - NGRAM + 1))]


def _number(line: str) -> int | None:
    match = OPTION_LINE.match(line)
    return int(match.group(1)) if match else None
