"""Articles of a corpus, streamed; lines that are none are named, counted and left out.

What an article looks like: `layout`; what a corpus may be: `files`, `hub`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from retrieval_cache.corpus.files import Corpus, corpus_id, open_corpus
from retrieval_cache.corpus.layout import KINDS, BrokenLine, article_of, quoted, row_id
from retrieval_cache.corpus.rows import RowReader
from retrieval_cache.files import Progress
from retrieval_cache.records import Article, CorpusError, check_max_broken

SHOWN = 20
"""How many broken lines are listed one by one; the others are only counted."""

_FIX = "Correct or remove the line; or have such lines left out and counted: max_broken, in the command --max-broken."
_LINE_BITS = 40


def read_articles(
    corpus: Path | str | Corpus, max_broken: int | float | None = 0, progress: Progress = lambda line: None
) -> ArticleReader:
    """Stream the articles of a corpus: a file, a folder of files, or an address on the hub.

    `max_broken` is how many lines may be broken: a number of lines (int), a
    share of all lines (float below 1), or None for any number. `progress` gets
    the first broken lines as "file:line: reason". Raises CorpusError as soon as
    there are more (a share: after the last line), for a file that cannot be read
    to its end, and ValueError for a `max_broken` out of range.
    """
    return ArticleReader(open_corpus(corpus), max_broken, progress)


class ArticleReader:
    """Iterator over articles, which counts as it goes.

    `read` articles, `skipped` pages without content, `broken` lines by kind
    (`layout.KINDS`); `sha256` of the corpus once all of it was read. Memory: one
    line, and of each article a 16-byte digest of its id with its place: 141 bytes
    an article, 42 MB for 300,000 (measured: `benchmarks.corpus_reading`).
    """

    def __init__(self, corpus: Corpus, max_broken: int | float | None, progress: Progress) -> None:
        self.corpus = corpus
        self.max_broken = None if max_broken is None else check_max_broken(max_broken)
        self.progress = progress
        self._reset()

    def _reset(self) -> None:
        self.read = self.skipped = 0
        self.broken: Counter[str] = Counter()
        self._seen: dict[bytes, int] = {}
        self._content_ids: list[str] = []
        self._done, self._rows = 0, None

    @property
    def position(self) -> int:
        """How many of the corpus' bytes, as stored, have been read."""
        return self._done + (self._rows.position if self._rows else 0)

    @property
    def sha256(self) -> str:
        """The sha256 (`files.corpus_id`) of the bytes that were read; only after the last article."""
        if len(self._content_ids) < len(self.corpus.files):
            raise RuntimeError("the corpus has not been read to its end")
        return corpus_id(self._content_ids)

    def __iter__(self) -> Iterator[Article]:
        self._reset()
        for number, file in enumerate(self.corpus.files):
            self._rows = rows = RowReader(file)
            for line, row in rows:
                try:
                    article = self._article(row, number << _LINE_BITS | line)
                except BrokenLine as error:
                    self._leave_out(f"{file.name}:{line}{error.inside}: {error.reason}.", error.kind)
                    continue
                if article is not None:
                    self.read += 1
                    yield article
            self._done, self._rows = self._done + file.size, None
            self._content_ids.append(rows.content_id)
        kinds = f" ({in_words(self.broken)})"
        check_broken(self.broken.total(), self.read + self.skipped, self.max_broken, self.corpus.address, kinds)

    def with_bar(self, title: str) -> Iterator[Article]:
        """The articles, with a progress bar over the bytes of the corpus."""
        with tqdm(total=self.corpus.size, desc=title, unit="B", unit_scale=True, delay=2, disable=None) as bar:
            for article in self:
                yield article
                bar.update(self.position - bar.n)

    def _article(self, row: Any, place: int) -> Article | None:
        """The article of a row, None for a page without content. Raises BrokenLine."""
        if isinstance(row, BrokenLine):
            raise row
        article_id = row_id(row)
        digest = hashlib.blake2b(article_id.encode("utf-8"), digest_size=16).digest()
        first = self._seen.get(digest)
        if first is not None:
            reason = f"duplicate id: {self._named(first, place)} has it already"
            raise BrokenLine("duplicate_id", reason, f" (id {quoted(article_id)})")
        article = article_of(row, article_id)
        self._seen[digest] = place
        if article is None:
            self.skipped += 1
        return article

    def _named(self, first: int, place: int) -> str:
        file, line = first >> _LINE_BITS, first & ((1 << _LINE_BITS) - 1)
        return f"line {line}" if file == place >> _LINE_BITS else f"{self.corpus.files[file].name}:{line}"

    def _leave_out(self, problem: str, kind: str) -> None:
        self.broken[kind] += 1
        count = self.broken.total()
        if isinstance(self.max_broken, int) and count > self.max_broken:
            many = f" That makes {count:,} broken lines ({in_words(self.broken)}), more than the {self.max_broken:,} "
            raise CorpusError(f"{problem}{many}allowed." if count > 1 else problem, _FIX)
        if count <= SHOWN:
            self.progress(f"left out: {problem}")
        elif count == SHOWN + 1:
            self.progress("more lines are broken; they are left out and counted, but no longer listed")


def check_broken(broken: int, whole: int, max_broken: int | float | None, name: str, kinds: str = "") -> None:
    """Raise CorpusError if more lines of a corpus are broken, beside `whole` ones, than are allowed."""
    if max_broken is None or not broken:
        return
    by_share = isinstance(max_broken, float)
    # A quotient is the very number that the limit was written as: 29 / 100 is 0.29, but 0.29 * 100 is less than 29.
    if (broken / (whole + broken) if by_share else broken) > max_broken:
        allowed = f"{max_broken * 100:.4g}% of all" if by_share else f"{max_broken:,}"
        raise CorpusError(
            f"{name}: {broken:,} of {whole + broken:,} lines are broken{kinds}, more than the {allowed} allowed.",
            "Correct or remove them; or allow more of them: max_broken, in the command --max-broken.",
        )


def in_words(broken: dict[str, int]) -> str:
    """Counts of broken lines by kind: "3 duplicate_id, 1 not_json"."""
    return ", ".join(f"{broken[kind]:,} {kind}" for kind in KINDS if broken.get(kind))
