"""What a corpus holds, counted in one pass: articles, text, images, by language, and what is wrong with it."""

from __future__ import annotations

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retrieval_cache.corpus.articles import ArticleReader, read_articles
from retrieval_cache.corpus.files import Corpus, open_corpus
from retrieval_cache.corpus.layout import KINDS
from retrieval_cache.files import Progress
from retrieval_cache.records import Article

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
EXAMPLES = 5
"""Titles named as examples of those that several articles have."""


@dataclass
class TextCounts:
    """Counts over articles: `characters` (code points) and `bytes` (UTF-8) are those of the paragraphs.

    `images` counts those with an address. `lengths` are quantiles of the
    articles' characters by QUANTILES: each is the length of an article, the
    first that so large a share of the articles does not exceed (nearest rank).
    """

    articles: int = 0
    sections: int = 0
    paragraphs: int = 0
    images: int = 0
    characters: int = 0
    bytes: int = 0
    lengths: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class CorpusStats:
    """What `corpus_stats` found.

    `name` is the address on the hub with its commit, or the bare name of a file
    or folder; `stored_bytes` the size of the files, mostly compressed. `skipped`
    pages have no content, `broken` lines are counted by kind (`layout.KINDS`).
    `same_title` counts articles whose title an earlier article of their
    language has, `same_title_examples` names some. `languages` goes by the code
    of the Wikipedia, most articles first.
    """

    name: str
    sha256: str
    files: int
    stored_bytes: int
    skipped: int
    broken: Mapping[str, int]
    same_title: int
    same_title_examples: Sequence[str]
    total: TextCounts
    languages: Mapping[str, TextCounts]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `lengths` become {"0.5": median, …}."""
        value = asdict(self)
        for counts in (value["total"], *value["languages"].values()):
            counts["lengths"] = dict(zip(map(str, QUANTILES), counts["lengths"], strict=False))
        return value


def corpus_stats(corpus: Path | str | Corpus, progress: Progress = lambda line: None) -> CorpusStats:
    """Read a corpus to its end and count. Broken lines are counted however many there are.

    `progress` gets the first broken lines. Memory: the digests of ids and
    titles and the length of each article, some 220 bytes an article. Raises
    CorpusError for a corpus that cannot be read to its end.
    """
    opened = open_corpus(corpus)
    reader = read_articles(opened, None, progress)
    counter = _Counter()
    for article in reader.with_bar("reading articles"):
        counter.add(article)
    return counter.stats(reader)


class _Counter:
    def __init__(self) -> None:
        self.languages: defaultdict[str, TextCounts] = defaultdict(TextCounts)
        self.lengths: defaultdict[str, array] = defaultdict(lambda: array("I"))
        self.titles: set[bytes] = set()
        self.same_title = 0
        self.examples: list[str] = []

    def add(self, article: Article) -> None:
        counts = self.languages[article.language]
        before = counts.characters
        counts.articles += 1
        counts.sections += len(article.sections)
        for section in article.sections:
            counts.paragraphs += len(section.paragraphs)
            counts.images += len(section.images)
            counts.characters += sum(map(len, section.paragraphs))
            counts.bytes += sum(len(paragraph.encode("utf-8")) for paragraph in section.paragraphs)
        self.lengths[article.language].append(counts.characters - before)
        self._note_title(article)

    def _note_title(self, article: Article) -> None:
        title = f"{article.language}: {article.title.strip()}"
        digest = hashlib.blake2b(title.encode("utf-8"), digest_size=16).digest()
        if digest not in self.titles:
            self.titles.add(digest)
            return
        self.same_title += 1
        if len(self.examples) < EXAMPLES and title not in self.examples:
            self.examples.append(title)

    def stats(self, reader: ArticleReader) -> CorpusStats:
        total = TextCounts(lengths=_quantiles(list(self.lengths.values())))
        for language, counts in self.languages.items():
            counts.lengths = _quantiles([self.lengths[language]])
            for name in ("articles", "sections", "paragraphs", "images", "characters", "bytes"):
                setattr(total, name, getattr(total, name) + getattr(counts, name))
        corpus = reader.corpus
        return CorpusStats(
            name=corpus.source or Path(corpus.address).resolve().name,
            sha256=reader.sha256,
            files=len(corpus.files),
            stored_bytes=corpus.size,
            skipped=reader.skipped,
            broken={kind: reader.broken[kind] for kind in KINDS if reader.broken[kind]},
            same_title=self.same_title,
            same_title_examples=self.examples,
            total=total,
            languages=dict(sorted(self.languages.items(), key=lambda item: (-item[1].articles, item[0]))),
        )


def _quantiles(lengths: list[array]) -> list[int]:
    if not lengths:
        return []
    joined = np.concatenate([np.frombuffer(part, dtype=np.uint32) for part in lengths])
    return [int(length) for length in np.quantile(joined, QUANTILES, method="inverted_cdf")]
