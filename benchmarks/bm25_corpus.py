"""Passages of natural length and natural document frequencies, as many as wanted, for benchmarks.

Made from real text: the paragraphs of corpus_sample and XQuAD in the shared data,
17 languages. A passage is 12 phrases, each ten consecutive ICU pieces (words,
spaces, marks) from a random place of one language: some 65 words. So common
words, grams and pairs stand in as many passages as in real text. The tail that
a small sample lacks is made up: after two of five phrases stands a word whose
rank is log-uniform up to ten million (Zipf's law), spelt with pairs of
letters of its language.

A query is two phrases of one passage, and one from elsewhere in its language:
some 15 words, as a caption and a question have together.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import pyarrow.parquet as pq

from benchmarks.common import SHARED
from retrieval_cache.chunking.segment import word_texts
from retrieval_cache.records import Passage, Query

PHRASES, PIECES = 12, 10
_BATCH = 1000
_RANKS = 1e7
_RARE = 0.4
_SPELLINGS = 40
_ASKED = 300


def passages(count: int, languages: str) -> Iterator[Passage]:
    """`count` passages, the same at every call; `languages` is "all" or one code."""
    for start in range(0, count, _BATCH):
        for number, (language, phrases, words) in enumerate(_drawn(start, min(_BATCH, count - start), languages)):
            text = "".join(part for pair in zip(phrases, words, strict=True) for part in pair)
            yield Passage(f"{start + number}", "", "", text, language)


def queries(count: int, passage_count: int, languages: str) -> list[Query]:
    """`count` queries about evenly spread passages of the first `passage_count`."""
    found = []
    random = np.random.default_rng(1)
    for number in range(count):
        row = number * passage_count // count
        drawn = _drawn(row - row % _BATCH, row % _BATCH + 1, languages)
        language, phrases, words = list(drawn)[-1]
        elsewhere = _streams()[language][0]
        first, second = random.choice(PHRASES, 2, replace=False)
        other = elsewhere[random.integers(len(elsewhere))]
        found.append(Query(f"{number}", f"{phrases[first]}{words[first]} {phrases[second]} {other}?"))
    return found


def _drawn(start: int, count: int, languages: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Language, phrases and what stands after each, of the passages of one batch."""
    random = np.random.default_rng([7, start])
    streams = _streams()
    names = sorted(streams) if languages == "all" else [languages]
    language = random.integers(len(names), size=_BATCH)
    where = random.random((_BATCH, PHRASES))
    rare = random.random((_BATCH, PHRASES)) < _RARE
    rank = (_RANKS ** random.random((_BATCH, PHRASES))).astype(np.int64)
    for row in range(count):
        phrases, letters = streams[names[language[row]]]
        chosen = [phrases[i] for i in (where[row] * len(phrases)).astype(int).tolist()]
        words = [
            f" {_spelt(number, letters)} " if is_rare else " "
            for number, is_rare in zip(rank[row].tolist(), rare[row].tolist(), strict=True)
        ]
        yield names[language[row]], chosen, words


def _spelt(rank: int, letters: list[str]) -> str:
    """A made-up word for a rank, another one for each."""
    word = ""
    while rank:
        rank, digit = divmod(rank, _SPELLINGS)
        word += letters[digit]
    return word


@lru_cache(maxsize=1)
def _streams() -> dict[str, tuple[list[str], list[str]]]:
    """Per language its phrases, one from every place, and its most frequent pairs of letters."""
    texts: dict[str, list[str]] = {}
    for row in pq.read_table(SHARED / "retrieval" / "corpus.parquet").to_pylist():
        texts.setdefault(row["lang"], []).append(row["text"])
    with gzip.open(SHARED / "corpus_sample" / "articles.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            article = json.loads(line)
            language = article["url"].split("//")[1].split(".")[0]
            for section in article["content"]:
                texts.setdefault(language, []).extend(section["content"])
    streams = {}
    for language, paragraphs in texts.items():
        pieces = word_texts("\n".join(paragraphs))
        phrases = ["".join(pieces[i : i + PIECES]) for i in range(len(pieces) - PIECES)]
        pairs = Counter(piece[:2] for piece in pieces if len(piece) > 1 and piece.isalpha())
        letters = [pair for pair, _ in pairs.most_common(_SPELLINGS)]
        if len(letters) == _SPELLINGS and len(phrases) > _ASKED:
            streams[language] = phrases, letters
    return streams
