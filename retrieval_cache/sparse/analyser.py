"""Text → terms for BM25, one analyser for all scripts.

NFKC and casefold, words by ICU (dictionaries find words in Thai, Chinese,
Khmer, …). A passage is then its words, the overlapping character 4-grams of
each word, which stand in for stemming without knowing the language, and pairs
of neighbouring short words, which stand in for the compounds that Chinese,
Thai and Vietnamese write in several syllables.

Chosen by nDCG@10 on XQuAD, one half of the queries (the other half in
brackets), mean of 12 languages, each searched by itself:

    words                              .924 (both halves)
    words, 4-grams           k1 = 1.5  .9641 (.9601)
    words, 4-grams           k1 = 0.8  .9657 (.9635)
    words, 4-grams, pairs    k1 = 0.8  .9672 (.9658)   this one, 14 % more terms
    words, 4-grams, all pairs      0.8 .9668 (.9659)   29 % more terms

3-grams, 5-grams, several lengths at once, prefixes, grams across words, grams
without padding and stripped diacritics (Vietnamese loses 3 points) were worse.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from retrieval_cache.chunking import segment

ANALYSER_VERSION = 2
"""Raised whenever the same text would give other terms; part of the cache key."""

GRAM = 4

PAIR_CHARACTERS = 8
"""Neighbouring words of so many characters together, or fewer, are a term too."""

SEPARATOR = "\x0c"
"""Stands between texts that are cut in one go; always a piece of its own (UAX #29, rule WB3)."""


def terms(text: str) -> list[str]:
    """The terms of `text` in order, repeated as often as they occur.

    Each word gives itself, its grams (`word_terms`) and, if both are short, a
    pair with the word before it.
    """
    found: list[str] = []
    before = None
    for word in word_forms(text):
        found.extend(word_terms(word))
        if before is not None and len(before) + len(word) <= PAIR_CHARACTERS:
            found.append(pair_term(before, word))
        before = word
    return found


def word_terms(word: str) -> list[str]:
    """A word and the 4-grams of it with a space on either side, marked with "#".

    "cats" → "cats", "# cat", "#cats", "#ats ". The mark keeps grams apart from
    words, which hold neither "#" nor spaces.
    """
    padded = f" {word} "
    return [word, *("#" + padded[i : i + GRAM] for i in range(len(padded) - GRAM + 1))]


def pair_term(first: str, second: str) -> str:
    """The term for two words in a row; the space keeps it apart from words and grams."""
    return f"{first} {second}"


def word_forms(text: str) -> list[str]:
    """The words of `text`, normalised; pieces without a letter or digit (spaces, marks, emoji) are none."""
    return [piece for piece in segment.word_texts(folded(text)) if is_word(piece)]


def pieces(texts: Iterable[str]) -> Iterator[str]:
    """The pieces of several texts cut in one go, each text followed by SEPARATOR.

    The same pieces as one by one, since nothing joins across a form feed. A
    form feed inside a text becomes a line break, which breaks words alike.
    """
    whole = "".join(text.replace(SEPARATOR, "\n") + SEPARATOR for text in texts)
    return segment.iter_words(folded(whole))


def folded(text: str) -> str:
    """NFKC, casefold, NFKC again (folding can undo it); half a surrogate pair, which ICU refuses, becomes "?"."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return text.encode("utf-8", "replace").decode("utf-8")


def is_word(piece: str) -> bool:
    return any(map(str.isalnum, piece))


def analyser_libraries() -> dict[str, str]:
    """Versions that shape the terms, for the cache key."""
    own = {"analyser": str(ANALYSER_VERSION), "unicode": unicodedata.unidata_version}
    return segment.icu_libraries() | own
