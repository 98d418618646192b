"""Where sentences, words and characters end, by ICU (UAX #29 with dictionaries).

Offsets are code points of the Python string. The breaker's own `segments()`
gives UTF-16 offsets, which differ after any character beyond U+FFFF, so the
pieces themselves are measured instead.
"""

from __future__ import annotations

from collections.abc import Iterator

from icu4py import icu_version
from icu4py.breakers import CharacterBreaker, SentenceBreaker, WordBreaker

from retrieval_cache.chunking.full_stops import unambiguous

Span = tuple[int, int]


def sentences(text: str, language: str) -> list[Span]:
    """Sentence spans that cover `text` without gaps; unknown languages use the root rules.

    A line break always ends one. Thai and Lao mark no sentence ends, so there a
    paragraph is one sentence.
    """
    return _spans(SentenceBreaker(unambiguous(text, language), language))


def words(text: str, language: str) -> list[Span]:
    """Word spans that cover `text`: words, runs of space, punctuation marks."""
    return _spans(WordBreaker(text, language))


def word_texts(text: str) -> list[str]:
    """The pieces of `text` by word boundaries; dictionaries go by script, not language."""
    return list(WordBreaker(text, "und"))


def iter_words(text: str) -> Iterator[str]:
    """Like `word_texts`, one by one."""
    return iter(WordBreaker(text, "und"))


def characters(text: str) -> list[Span]:
    """Spans of user-perceived characters (grapheme clusters)."""
    return _spans(CharacterBreaker(text, "und"))


def icu_libraries() -> dict[str, str]:
    """The ICU version, which carries its own rules and dictionaries."""
    return {"icu": icu_version}


def _spans(pieces) -> list[Span]:
    spans, start = [], 0
    for piece in pieces:
        spans.append((start, start + len(piece)))
        start += len(piece)
    return spans
