"""Articles → passages.

A passage is a slice of one section's text (paragraphs joined by a line break):
whole sentences, as many as the token budget holds, beginning with the last
sentences of the passage before as far as the overlap allows. Nothing is put in
between and nothing but white space at the ends is left out. A sentence over
the budget is cut at spaces and word boundaries and packed the same way.

Articles are cut many at a time, for the tokenizer's sake; the passages of an
article are the same in whatever company.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from retrieval_cache.chunking import segment
from retrieval_cache.chunking.tokenizers import Tokenizer, load_tokenizer, tokenizer_libraries
from retrieval_cache.chunking.units import Text, Unit, units
from retrieval_cache.records import Article, ChunkerSpec, Passage, Section

CHUNKER_VERSION = 2
"""Raised whenever the same article would give other passages; part of the cache key."""

BATCH_CHARACTERS = 1 << 18
"""Text cut at a time; the calls to the tokenizer are then long enough, and memory stays small."""

_PLAIN_HEADING = "Introduction"  # what the crawler calls the part above the first heading

Fits = Callable[[int, int], bool]


class Chunker:
    """Cuts articles as `spec` says; one instance serves a whole corpus and several threads."""

    def __init__(self, spec: ChunkerSpec, tokenizer: Tokenizer | None = None) -> None:
        self.spec = spec
        self.tokenizer = tokenizer or load_tokenizer(spec.tokenizer)

    def passages(self, article: Article) -> list[Passage]:
        """The passages of an article in page order, ids `<article id>-000`, `-001`, …"""
        return self.cut([article])

    def cut(self, articles: Sequence[Article]) -> list[Passage]:
        """The passages of several articles, one article after the other."""
        sections = [(article, section) for article in articles for section in article.sections]
        texts = ["\n".join(section.paragraphs) for _, section in sections]
        spans = self.spans([Text(text, article.language) for text, (article, _) in zip(texts, sections, strict=True)])
        return list(_records(sections, texts, spans))

    def spans(self, texts: Sequence[Text]) -> list[list[tuple[int, int]]]:
        """Code point spans of the passages of each text.

        Spans start and end at non-space characters, both strictly grow from
        one to the next, and each holds at most `max_tokens` tokens.
        """
        all_units = units(texts, self.spec, self.tokenizer)
        chosen = [self._pack(each, lambda first, end: True) for each in all_units]
        for number in self._over(texts, all_units, chosen):
            each, text = all_units[number], texts[number].text
            chosen[number] = self._pack(each, lambda a, b, each=each, text=text: self._fits(text, each[a:b]))
        return [
            [(each[first].start, each[end - 1].end) for first, end in ranges]
            for each, ranges in zip(all_units, chosen, strict=True)
        ]

    def _over(
        self, texts: Sequence[Text], all_units: list[list[Unit]], chosen: list[list[tuple[int, int]]]
    ) -> list[int]:
        """Numbers of the texts with a passage over the budget.

        The tokens of its sentences need not add up to those of a passage, for
        tokens may form otherwise where sentences meet; so passages are counted
        themselves, but for those that the tokenizer vouches for.
        """
        numbers, slices = [], []
        for number, (text, each, ranges) in enumerate(zip(texts, all_units, chosen, strict=True)):
            for first, end in ranges:
                if end - first > 1 and not self._additive(text.text, each[first:end]):
                    numbers.append(number)
                    slices.append(text.text[each[first].start : each[end - 1].end])
        counts = self.tokenizer.counts(slices)
        return sorted({number for number, count in zip(numbers, counts, strict=True) if count > self.spec.max_tokens})

    def _additive(self, text: str, passage: Sequence[Unit]) -> bool:
        """Whether a passage has no more tokens than its units together."""
        if not self.tokenizer.additive:
            return False
        # Nearly all gaps are one of a few, so few are asked about.
        gaps = {text[a.end : b.start] for a, b in itertools.pairwise(passage)}
        return all(map(self.tokenizer.separates, gaps))

    def _fits(self, text: str, passage: Sequence[Unit]) -> bool:
        return self.tokenizer.counts([text[passage[0].start : passage[-1].end]])[0] <= self.spec.max_tokens

    def _pack(self, each: list[Unit], fits: Fits) -> list[tuple[int, int]]:
        """Ranges of units, one for each passage."""
        ranges = []
        first, new = 0, 0  # first unit of the passage, first unit not yet in any
        while new < len(each):
            first, end = self._fill(each, first, new, fits)
            ranges.append((first, end))
            first, new = self._overlap(each, first, end), end
        return ranges

    def _fill(self, each: list[Unit], first: int, new: int, fits: Fits) -> tuple[int, int]:
        """Choose units [first, end): unit `new` at least, as many as fit.

        Overlap gives way before new text does.
        """
        budget = self.spec.max_tokens
        total = sum(unit.tokens for unit in each[first : new + 1])
        while total > budget and first < new:
            total -= each[first].tokens
            first += 1
        end = new + 1
        while end < len(each) and total + each[end].tokens <= budget:
            total += each[end].tokens
            end += 1
        while end - first > 1 and not fits(first, end):
            if end - 1 > new:
                end -= 1
            else:
                first += 1
        return first, end

    def _overlap(self, each: list[Unit], first: int, end: int) -> int:
        """The first unit of the next passage: as many before `end` as the overlap holds.

        Always after `first`, so that no passage contains the one before it.
        """
        start, total = end, 0
        while start - 1 > first and total + each[start - 1].tokens <= self.spec.overlap:
            start -= 1
            total += each[start].tokens
        return start


def batches(articles: Iterable[Article]) -> Iterator[list[Article]]:
    """Articles in lists of about BATCH_CHARACTERS, to be cut at a time."""
    batch: list[Article] = []
    size = 0
    for article in articles:
        batch.append(article)
        size += sum(len(paragraph) for section in article.sections for paragraph in section.paragraphs)
        if size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def chunker_libraries(spec: ChunkerSpec) -> dict[str, str]:
    """Versions that shape the passages, for the cache key."""
    own = {"chunker": str(CHUNKER_VERSION)}
    return own | segment.icu_libraries() | tokenizer_libraries(spec.tokenizer)


def _records(
    sections: Sequence[tuple[Article, Section]], texts: Sequence[str], spans: Sequence[list[tuple[int, int]]]
) -> Iterator[Passage]:
    """The passages of sections with their spans; numbers begin anew with each article."""
    number, before = 0, None
    for (article, section), text, each in zip(sections, texts, spans, strict=True):
        if article is not before:
            number, before = 0, article
            fallback = next((s.images[0] for s in article.sections if s.images), None)
        image = section.images[0] if section.images else fallback
        for start, end in each:
            yield Passage(
                id=f"{article.id}-{number:03d}",
                article_id=article.id,
                title=_title(article, section),
                text=text[start:end],
                language=article.language,
                image=image,
            )
            number += 1


def _title(article: Article, section: Section) -> str:
    heading = section.heading.strip()
    if not heading or heading == _PLAIN_HEADING:
        return article.title
    return f"{article.title} — {heading}"
