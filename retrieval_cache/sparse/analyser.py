"""Text → terms for BM25, one analyser for all scripts.

NFKC and casefold, words by ICU (dictionaries find words in Thai, Chinese,
Khmer, …), then each word as it stands and its overlapping character 4-grams,
which stand in for stemming without knowing the language.
"""

from __future__ import annotations

import unicodedata

from retrieval_cache.chunking import segment

ANALYSER_VERSION = 1
"""Raised whenever the same text would give other terms; part of the cache key."""

GRAM = 4


def terms(text: str) -> list[str]:
    """The terms of `text` in order, repeated as often as they occur.

    Each word gives itself and the 4-grams of the word with a space on either
    side, marked with "#" to keep them apart from words: "cats" → "cats",
    "# cat", "#cats", "#ats ". Pieces without a letter or digit (spaces,
    punctuation, emoji) give none.
    """
    found: list[str] = []
    for word in word_forms(text):
        found.append(word)
        padded = f" {word} "
        found.extend("#" + padded[i : i + GRAM] for i in range(len(padded) - GRAM + 1))
    return found


def word_forms(text: str) -> list[str]:
    """The words of `text`, normalised (NFKC, casefold, NFKC again since folding can undo it)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # Text from data may hold half a surrogate pair, which ICU refuses.
    folded = folded.encode("utf-8", "replace").decode("utf-8")
    return [word for word in segment.word_texts(folded) if any(map(str.isalnum, word))]


def analyser_libraries() -> dict[str, str]:
    """Versions that shape the terms, for the cache key."""
    own = {"analyser": str(ANALYSER_VERSION), "unicode": unicodedata.unidata_version}
    return segment.icu_libraries() | own
