"""Articles → passages.

A passage is a slice of one section's text (paragraphs joined by a line break):
whole sentences, as many as the token budget holds, beginning with the last
sentences of the passage before as far as the overlap allows. Nothing is put in
between and nothing but white space at the ends is left out. A sentence over
the budget is cut at word boundaries into small units and packed the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from retrieval_cache.chunking import segment
from retrieval_cache.chunking.tokenizers import TokenCount, load_tokenizer, tokenizer_libraries
from retrieval_cache.records import Article, ChunkerSpec, Passage, Section

CHUNKER_VERSION = 1
"""Raised whenever the same article would give other passages; part of the cache key."""

_PLAIN_HEADING = "Introduction"  # what the crawler calls the part above the first heading

# A sentence over the budget is cut into units this many times smaller than it,
# so that passages inside it can be filled and overlap like any others.
_UNITS_PER_PASSAGE = 8


@dataclass(frozen=True)
class Unit:
    """A sentence or a piece of one: code point span and its own token count."""

    start: int
    end: int
    tokens: int


class Chunker:
    """Cuts articles as `spec` says; one instance serves a whole corpus."""

    def __init__(self, spec: ChunkerSpec, count: TokenCount | None = None) -> None:
        self.spec = spec
        self.count = count or load_tokenizer(spec.tokenizer)

    def passages(self, article: Article) -> Iterator[Passage]:
        """The passages of an article in page order, ids `<article id>-000`, `-001`, …"""
        fallback = next((s.images[0] for s in article.sections if s.images), None)
        number = 0
        for section in article.sections:
            text = "\n".join(section.paragraphs)
            image = section.images[0] if section.images else fallback
            for start, end in self.spans(text, article.language):
                yield Passage(
                    id=f"{article.id}-{number:03d}",
                    article_id=article.id,
                    title=_title(article, section),
                    text=text[start:end],
                    language=article.language,
                    image=image,
                )
                number += 1

    def spans(self, text: str, language: str) -> Iterator[tuple[int, int]]:
        """Code point spans of the passages of one section's text.

        Spans start and end at non-space characters, both strictly grow from
        one to the next, and each holds at most `max_tokens` tokens.
        """
        units = self._units(text, language)
        first, new = 0, 0  # first unit of the passage, first unit not yet in any
        while new < len(units):
            first, end = self._fill(text, units, first, new)
            yield units[first].start, units[end - 1].end
            first, new = self._overlap(units, first, end), end

    def _fill(self, text: str, units: list[Unit], first: int, new: int) -> tuple[int, int]:
        """Choose units [first, end): unit `new` at least, as many as fit.

        Overlap gives way before new text does.
        """
        budget = self.spec.max_tokens
        total = sum(unit.tokens for unit in units[first : new + 1])
        while total > budget and first < new:
            total -= units[first].tokens
            first += 1
        end = new + 1
        while end < len(units) and total + units[end].tokens <= budget:
            total += units[end].tokens
            end += 1
        # Counts of sentences do not add up exactly: tokens may form otherwise
        # across a boundary. The slice itself decides.
        while end - first > 1 and self.count(text[units[first].start : units[end - 1].end]) > budget:
            if end - 1 > new:
                end -= 1
            else:
                first += 1
        return first, end

    def _overlap(self, units: list[Unit], first: int, end: int) -> int:
        """The first unit of the next passage: as many before `end` as the overlap holds.

        Always after `first`, so that no passage contains the one before it.
        """
        start, total = end, 0
        while start - 1 > first and total + units[start - 1].tokens <= self.spec.overlap:
            start -= 1
            total += units[start].tokens
        return start

    def _units(self, text: str, language: str) -> list[Unit]:
        """The sentences of `text`, the long ones cut, white space trimmed, blank ones dropped."""
        units = []
        for start, end in segment.sentences(text, language):
            unit = self._unit(text, start, end)
            if unit.start == unit.end:
                continue
            if unit.tokens <= self.spec.max_tokens:
                units.append(unit)
            else:
                units.extend(self._cut(text, unit.start, unit.end, language))
        return units

    def _cut(self, text: str, start: int, end: int, language: str) -> Iterator[Unit]:
        """Cut a long sentence into units of whole words.

        A word over the unit size (an address, a formula) is cut between
        characters, a character over the budget between code points.
        """
        size = max(1, self.spec.max_tokens // _UNITS_PER_PASSAGE)
        pieces = []
        for a, b in _shift(segment.words(text[start:end], language), start):
            tokens = self.count(text[a:b])
            if tokens <= size:
                pieces.append(Unit(a, b, tokens))
            else:
                pieces.extend(self._characters(text, a, b))
        return self._join(text, pieces, size)

    def _characters(self, text: str, start: int, end: int) -> Iterator[Unit]:
        """The characters of an overlong word, those over the budget by code points."""
        for a, b in _shift(segment.characters(text[start:end]), start):
            if self.count(text[a:b]) <= self.spec.max_tokens:
                yield Unit(a, b, self.count(text[a:b]))
            else:
                yield from (Unit(i, i + 1, self.count(text[i])) for i in range(a, b))

    def _join(self, text: str, pieces: list[Unit], size: int) -> Iterator[Unit]:
        """Join neighbouring pieces into units of about `size` tokens, never over the budget."""
        begin = 0
        while begin < len(pieces):
            end, total = begin + 1, pieces[begin].tokens
            while end < len(pieces) and total + pieces[end].tokens <= size:
                total += pieces[end].tokens
                end += 1
            unit = self._unit(text, pieces[begin].start, pieces[end - 1].end)
            while unit.tokens > self.spec.max_tokens and end - begin > 1:
                end -= 1
                unit = self._unit(text, pieces[begin].start, pieces[end - 1].end)
            if unit.start < unit.end:
                yield unit
            begin = end

    def _unit(self, text: str, start: int, end: int) -> Unit:
        start, end = _trim(text, start, end)
        return Unit(start, end, self.count(text[start:end]))


def chunker_libraries(spec: ChunkerSpec) -> dict[str, str]:
    """Versions that shape the passages, for the cache key."""
    own = {"chunker": str(CHUNKER_VERSION)}
    return own | segment.icu_libraries() | tokenizer_libraries(spec.tokenizer)


def _title(article: Article, section: Section) -> str:
    heading = section.heading.strip()
    if not heading or heading == _PLAIN_HEADING:
        return article.title
    return f"{article.title} — {heading}"


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Narrow a span to its first and last non-space characters; (start, start) if none."""
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    return (start + left, start + len(piece.rstrip())) if left < len(piece) else (start, start)


def _shift(spans: list[tuple[int, int]], by: int) -> list[tuple[int, int]]:
    return [(start + by, end + by) for start, end in spans]
