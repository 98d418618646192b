"""One block of passages → a run: its postings sorted by term, in one file.

Blocks are made one by one and by themselves, so memory holds one at a time,
a build that was stopped keeps the runs it finished, and several processes may
share the work without any influence on the result.
"""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from retrieval_cache.files import atomic_file
from retrieval_cache.sparse.analyser import PAIR_CHARACTERS, SEPARATOR, is_word, pair_term, pieces, word_terms
from retrieval_cache.sparse.compiled import compiled
from retrieval_cache.sparse.layout import MANY, hashes

_TEXTS_AT_ONCE = 64
_END, _NO_WORD = 0, 1


@dataclass(frozen=True)
class Run:
    """Terms sorted by hash; `start` [terms + 1] says where the postings of each begin.

    `order` numbers the terms by their first occurrence, in which rank_bm25 adds
    up idf. Counts of 255 or more stand in the overflow, as in the index.
    """

    hash: np.ndarray  # uint64 [terms, 2]
    order: np.ndarray  # uint32 [terms]
    start: np.ndarray  # int64 [terms + 1]
    offset: np.ndarray  # uint16 [postings]
    count: np.ndarray  # uint8 [postings]
    overflow_at: np.ndarray  # int64
    overflow_count: np.ndarray  # int64
    length: np.ndarray  # uint32 [passages]


def make_run(texts: Sequence[str]) -> Run:
    """Analyse up to 65,536 texts; the terms are those of `analyser.terms`, in that order."""
    words = _Words()
    codes = array("i")
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        codes.extend(map(words.__getitem__, pieces(texts[first : first + _TEXTS_AT_ONCE])))
    sequence = np.frombuffer(codes, np.int32)
    sequence = sequence[sequence != _NO_WORD]
    if np.count_nonzero(sequence == _END) != len(texts):
        raise RuntimeError("texts cut in one go came back as another number of texts")
    found: dict[str, int] = {}
    starts, numbers = _terms_of_words(words.forms, found)
    pairs = _pairs(sequence, words.forms, found)
    order, frequency, length = _count(sequence, starts, numbers, pairs, len(found), len(texts))
    return _sorted_run(found, order, frequency, length, (sequence, starts, numbers, pairs))


def _sorted_run(found: dict[str, int], order, frequency, length, occurrences) -> Run:
    """Put terms in the order of their hashes and fill in the postings."""
    hash = hashes(found)
    by_hash = np.lexsort((hash[:, 1], hash[:, 0]))
    start = np.concatenate(([0], np.cumsum(frequency[by_hash], dtype=np.int64)))
    place = np.empty(len(found), np.int64)
    place[by_hash] = start[:-1]
    offset, count = _fill(*occurrences, place, int(start[-1]))
    many = np.flatnonzero(count >= MANY)
    return Run(
        hash[by_hash], order[by_hash], start, offset, np.minimum(count, MANY).astype(np.uint8), many,
        count[many].astype(np.int64), length,
    )  # fmt: skip


class _Words(dict):
    """Piece → its number; new words get the next one, all else is _NO_WORD."""

    def __init__(self) -> None:
        super().__init__({SEPARATOR: _END})
        self.forms = ["", ""]

    def __missing__(self, piece: str) -> int:
        number = _NO_WORD
        if is_word(piece):
            number = len(self.forms)
            self.forms.append(piece)
        self[piece] = number
        return number


def _terms_of_words(forms: Sequence[str], found: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """The term numbers of each word: starts int64 [words + 1], numbers int32; enters them in `found`."""
    numbers, ends = array("i"), array("q", [0, 0, 0])
    for word in forms[2:]:
        numbers.extend([found.setdefault(term, len(found)) for term in word_terms(word)])
        ends.append(len(numbers))
    return np.frombuffer(ends, np.int64), np.array(numbers, np.int32)


def _pairs(sequence: np.ndarray, forms: Sequence[str], found: dict[str, int]) -> np.ndarray:
    """Per place of `sequence` the number of the pair that ends there, or -1: int32."""
    size = np.fromiter(map(len, forms), np.int32, len(forms))
    before, word = sequence[:-1], sequence[1:]
    short = (before != _END) & (word != _END) & (size[before] + size[word] <= PAIR_CHARACTERS)
    keys = before[short].astype(np.int64) << 32 | word[short]
    distinct, which = np.unique(keys, return_inverse=True)
    numbers = np.fromiter(
        (
            found.setdefault(pair_term(forms[first], forms[second]), len(found))
            for first, second in zip((distinct >> 32).tolist(), (distinct & 0xFFFFFFFF).tolist(), strict=True)
        ),
        np.int32,
        len(distinct),
    )
    pairs = np.full(len(sequence), -1, np.int32)
    pairs[1:][short] = numbers[which]
    return pairs


@compiled
def _count(sequence, starts, numbers, pairs, terms, passages):
    """Order of first occurrence uint32 and frequency int64 of each term, terms of each passage uint32."""
    order = np.zeros(terms, np.uint32)
    frequency = np.zeros(terms, np.int64)
    last = np.full(terms, -1, np.int32)
    length = np.zeros(passages, np.uint32)
    row, seen = 0, 0
    for place in range(len(sequence)):
        word = sequence[place]
        if word == 0:
            row += 1
            continue
        first, stop = starts[word], starts[word + 1]
        pair = pairs[place]
        extra = 0 if pair < 0 else 1
        length[row] += stop - first + extra
        for i in range(first, stop + extra):
            term = numbers[i] if i < stop else pair
            if last[term] < 0:
                order[term] = seen
                seen += 1
            if last[term] != row:
                last[term] = row
                frequency[term] += 1
    return order, frequency, length


@compiled
def _fill(sequence, starts, numbers, pairs, place_of, postings):
    """Offsets uint16 and counts uint32 of all postings, the first of each term at `place_of`."""
    offset = np.zeros(postings, np.uint16)
    count = np.zeros(postings, np.uint32)
    last = np.full(len(place_of), -1, np.int32)
    after = place_of.copy()
    row = 0
    for place in range(len(sequence)):
        word = sequence[place]
        if word == 0:
            row += 1
            continue
        first, stop = starts[word], starts[word + 1]
        pair = pairs[place]
        extra = 0 if pair < 0 else 1
        for i in range(first, stop + extra):
            term = numbers[i] if i < stop else pair
            if last[term] != row:
                last[term] = row
                offset[after[term]] = row
                after[term] += 1
            count[after[term] - 1] += 1
    return offset, count


def write_run(path: Path, run: Run) -> None:
    """Write a run: one line of JSON (types, sizes, checksums), then the arrays."""
    arrays = [np.ascontiguousarray(getattr(run, field.name)) for field in fields(Run)]
    head = [[array.dtype.str, list(array.shape), zlib.crc32(array)] for array in arrays]
    with atomic_file(path) as file:
        file.write(json.dumps(head).encode("ascii") + b"\n")
        for values in arrays:
            values.tofile(file)


def open_run(path: Path) -> Run | None:
    """Memory-map a run, None if it is not there or not whole."""
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline())
            start = file.tell()
        arrays = []
        for dtype, shape, checksum in head:
            kind = np.dtype(dtype)
            size = int(np.prod(shape)) * kind.itemsize
            # An empty map is refused by the system.
            values = np.memmap(path, kind, "r", start, tuple(shape)) if size else np.zeros(shape, kind)
            if zlib.crc32(values) != checksum:
                return None
            arrays.append(values)
            start += size
        return Run(*arrays)
    except (OSError, ValueError, TypeError):
        return None
