"""Texts → units with token counts: sentences, the long ones cut.

Work goes level by level over all texts at once, because a tokenizer counts a
thousand texts in one call many times faster than in a thousand calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from retrieval_cache.chunking import segment
from retrieval_cache.chunking.segment import Span
from retrieval_cache.chunking.tokenizers import Tokenizer
from retrieval_cache.records import ChunkerSpec

# A sentence that has to be cut is cut into units this many times smaller than
# a passage, so that passages inside it can be filled and overlap like any others.
UNITS_PER_PASSAGE = 8

_RUN = re.compile(r"\S+")
_WITHOUT_ENDS = re.compile("[\u0e01-\u0eff]")  # Thai and Lao mark no sentence ends


class Unit(NamedTuple):
    """A sentence or a piece of one: code point span in its text, and its own token count."""

    start: int
    end: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Text:
    """One section's text and its language."""

    text: str
    language: str


Whole = tuple[Text, Unit]
Split = Callable[[str, str], list[Span]]
Divide = Callable[[list[Whole]], list[list[Unit]]]


def units(texts: Sequence[Text], spec: ChunkerSpec, tokenizer: Tokenizer) -> list[list[Unit]]:
    """The units of each text, white space trimmed, blank ones left out.

    A unit over the budget there is only where one code point is. A sentence
    over the budget becomes the words between its spaces; of those, runs over a
    unit's size (scripts without spaces) become groups of whole words, words
    over the budget characters, characters over it code points. Thai and Lao
    sentences are cut so as soon as they are over a unit's size: their spaces
    stand where a clause ends.
    """
    return _Cutter(spec, tokenizer).units(texts)


class _Cutter:
    def __init__(self, spec: ChunkerSpec, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.budget = spec.max_tokens
        self.size = max(1, spec.max_tokens // UNITS_PER_PASSAGE)

    def units(self, texts: Sequence[Text]) -> list[list[Unit]]:
        sentences = self._counted([(text, segment.sentences(text.text, text.language)) for text in texts])
        long = [
            (text, unit) for text, each in zip(texts, sentences, strict=True) for unit in each if self._long(text, unit)
        ]
        pieces = iter(self._runs(long))
        return [
            [piece for unit in each for piece in (next(pieces) if self._long(text, unit) else [unit])]
            for text, each in zip(texts, sentences, strict=True)
        ]

    def _long(self, text: Text, unit: Unit) -> bool:
        if unit.tokens <= self.size:
            return False
        return unit.tokens > self.budget or bool(_WITHOUT_ENDS.search(text.text, unit.start, unit.end))

    def _runs(self, wholes: list[Whole]) -> list[list[Unit]]:
        """What stands between the spaces of each whole, runs over a unit's size in groups of words."""
        return self._divide(
            wholes, lambda text, _: [run.span() for run in _RUN.finditer(text)], self.size, self._groups
        )

    def _groups(self, wholes: list[Whole]) -> list[list[Unit]]:
        """The words of each whole in groups of about a unit's size, never over the budget."""
        words = self._divide(wholes, segment.words, self.budget, self._characters)
        groups = [_grouped(each, self.size) for each in words]
        spans = [[(group[0].start, group[-1].end) for group in each] for each in groups]
        joined = self._counted([(text, each) for (text, _), each in zip(wholes, spans, strict=True)])
        # Tokens may form otherwise where words meet; a group that got too big is left apart.
        return [
            [unit for one, group in zip(units, each, strict=True) for unit in ([one] if self._fits(one) else group)]
            for units, each in zip(joined, groups, strict=True)
        ]

    def _fits(self, unit: Unit) -> bool:
        return unit.tokens <= self.budget

    def _characters(self, wholes: list[Whole]) -> list[list[Unit]]:
        """The characters of each whole, those over the budget as code points."""
        return self._divide(wholes, lambda text, _: segment.characters(text), self.budget, self._code_points)

    def _code_points(self, wholes: list[Whole]) -> list[list[Unit]]:
        return self._counted([(text, [(i, i + 1) for i in range(unit.start, unit.end)]) for text, unit in wholes])

    def _divide(self, wholes: list[Whole], split: Split, limit: int, further: Divide) -> list[list[Unit]]:
        """The parts of each whole by `split`, those of more than `limit` tokens divided further."""
        spans = [
            (
                text,
                [(unit.start + a, unit.start + b) for a, b in split(text.text[unit.start : unit.end], text.language)],
            )
            for text, unit in wholes
        ]
        parts = self._counted(spans)
        big = [
            (text, part) for (text, _), each in zip(wholes, parts, strict=True) for part in each if part.tokens > limit
        ]
        smaller = iter(further(big) if big else [])
        return [[unit for p in each for unit in (next(smaller) if p.tokens > limit else [p])] for each in parts]

    def _counted(self, spans: Sequence[tuple[Text, Iterable[Span]]]) -> list[list[Unit]]:
        """Units of the spans of each text, trimmed, blank ones dropped, all counted in one call."""
        kept = [_trimmed(text.text, each) for text, each in spans]
        # Words come again and again; sentences do not, but looking costs next to nothing.
        different = list({piece: None for _, pieces in kept for piece in pieces})
        counts = dict(zip(different, self.tokenizer.counts(different), strict=True))
        return [
            [Unit(a, b, counts[piece]) for (a, b), piece in zip(each, pieces, strict=True)] for each, pieces in kept
        ]


def _grouped(words: list[Unit], size: int) -> list[list[Unit]]:
    """Neighbouring words in lists of at most `size` tokens, one word at least."""
    groups: list[list[Unit]] = []
    total = 0
    for word in words:
        total += word.tokens
        if groups and total <= size:
            groups[-1].append(word)
        else:
            groups.append([word])
            total = word.tokens
    return groups


def _trimmed(text: str, spans: Iterable[Span]) -> tuple[list[Span], list[str]]:
    """Spans narrowed to their first and last non-space characters, and what they hold; without the blank ones."""
    narrowed, pieces = [], []
    for start, end in spans:
        whole = text[start:end]
        piece = whole.strip()
        if piece:
            first = start if len(piece) == len(whole) else start + len(whole) - len(whole.lstrip())
            narrowed.append((first, first + len(piece)))
            pieces.append(piece)
    return narrowed, pieces
