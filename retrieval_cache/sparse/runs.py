"""One block of passages → a run: its postings sorted by term, in one file.

Blocks are made one by one and by themselves, so memory holds one at a time,
a build that was stopped keeps the runs it finished, and several processes may
share the work without any influence on the result.
"""

from __future__ import annotations

import json
import mmap
import warnings
import zlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieval_cache.files import atomic_file
from retrieval_cache.mapped import forget, map_file
from retrieval_cache.records import CacheCorrupt, content_key, short_key
from retrieval_cache.sparse.analyser import GRAM, PAIR_CHARACTERS, SEPARATOR, analyser_libraries, is_word, pieces
from retrieval_cache.sparse.compiled import compiled
from retrieval_cache.sparse.hashing import code_points, gram_hashes, pair_hashes, word_hashes
from retrieval_cache.sparse.layout import MANY

RUNS = "run-*.bin"
"""Matches the files of runs, which are removed once the index is written."""

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
    mapped: mmap.mmap | None = None  # the file that the arrays lie in, if they lie in one

    def forget(self) -> None:
        """Give back the memory of what was read so far; it is read again when needed."""
        forget(self.mapped)


_ARRAYS = tuple(field.name for field in fields(Run) if field.name != "mapped")


def kept_run(folder: Path, number: int, texts: Sequence[str]) -> Run:
    """The run of block `number`, from the disk if it was made before; its name tells its content."""
    key = content_key("run", {"analyser": analyser_libraries(), "texts": list(texts)})
    path = folder / RUNS.replace("*", f"{number:05}-{short_key(key)}")
    run = open_run(path)
    if run is None:
        if path.exists():
            warnings.warn(f"analysing its passages again, because {path} was changed.", stacklevel=2)
        write_run(path, make_run(texts))
        run = open_run(path)
    if run is None:
        raise CacheCorrupt(f"{path} does not read back as it was written.", "Check the disk that holds this path.")
    return run


class Occurrences(NamedTuple):
    """The terms of texts, as `analyser.terms` gives them, but numbered.

    `sequence` int32 holds the words of all texts, 0 after each text. Word w has
    the terms `numbers[starts[w] : starts[w + 1]]`; where `pairs` is not -1, the
    pair of that number comes after those of the word. `hash` uint64 [terms, 2].
    """

    sequence: np.ndarray
    starts: np.ndarray
    numbers: np.ndarray
    pairs: np.ndarray
    hash: np.ndarray


def analyse(texts: Sequence[str]) -> Occurrences:
    """The terms of texts, found for all of them together."""
    words = _Words()
    codes = array("i")
    for first in range(0, len(texts), _TEXTS_AT_ONCE):
        codes.extend(map(words.__getitem__, pieces(texts[first : first + _TEXTS_AT_ONCE])))
    sequence = np.frombuffer(codes, np.int32)
    sequence = sequence[sequence != _NO_WORD]
    if np.count_nonzero(sequence == _END) != len(texts):
        raise RuntimeError("texts cut in one go came back as another number of texts")
    starts, numbers, hash = _terms_of_words(words.forms)
    pairs, pair_hash = _pairs(sequence, words.forms, hash[numbers[starts[:-1]]], len(hash))
    return Occurrences(sequence, starts, numbers, pairs, np.concatenate([hash, pair_hash]))


def in_order(found: Occurrences) -> tuple[np.ndarray, np.ndarray]:
    """The terms of each text in order, as numbers of `found.hash`, and the text that each belongs to."""
    text = np.cumsum(found.sequence == _END)
    here = found.sequence != _END
    sequence, text, pairs = found.sequence[here], text[here], found.pairs[here]
    own = np.diff(found.starts)[sequence]
    size = own + (pairs >= 0)
    end = np.cumsum(size)
    # Where each word's terms begin, so that a running number becomes a place in `numbers`.
    shift = found.starts[sequence] - (end - size)
    place = np.arange(end[-1] if len(end) else 0) + np.repeat(shift, size)
    last = end[pairs >= 0] - 1
    place[last] = 0
    numbers = found.numbers[place]
    numbers[last] = pairs[pairs >= 0]
    return numbers, np.repeat(text, size)


def make_run(texts: Sequence[str]) -> Run:
    """Analyse up to 65,536 texts; the terms are those of `analyser.terms`, in that order."""
    sequence, starts, numbers, pairs, hash = analyse(texts)
    order, frequency, length = _count(sequence, starts, numbers, pairs, len(hash), len(texts))
    return _sorted_run(hash, order, frequency, length, (sequence, starts, numbers, pairs))


def _sorted_run(hash: np.ndarray, order, frequency, length, occurrences) -> Run:
    """Put terms in the order of their hashes and fill in the postings."""
    by_hash = np.lexsort((hash[:, 1], hash[:, 0]))
    by_hash = by_hash[frequency[by_hash] > 0]  # without the two numbers that are no words
    start = np.concatenate(([0], np.cumsum(frequency[by_hash], dtype=np.int64)))
    place = np.zeros(len(hash), np.int64)
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
        self.forms = ["", ""]  # those of the two numbers above, which are no words

    def __missing__(self, piece: str) -> int:
        number = _NO_WORD
        if is_word(piece):
            number = len(self.forms)
            self.forms.append(piece)
        self[piece] = number
        return number


def _terms_of_words(forms: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The terms of each word, as `word_terms` says: starts int64 [words + 1], numbers int32, hashes uint64 [terms, 2].

    The word itself is the first of its terms. The two numbers that are no words get none of a text's terms.
    """
    size = np.fromiter(map(len, forms), np.int64, len(forms))
    points = code_points("".join([f" {word} " for word in forms]))
    windows = np.empty((0, GRAM), np.uint32)
    if len(points) >= GRAM:
        windows = np.lib.stride_tricks.sliding_window_view(points, GRAM)
    grams = np.maximum(0, size + 2 - GRAM + 1)
    begin = np.cumsum(size + 2) - (size + 2)
    gram_end = np.cumsum(grams)
    which = np.arange(gram_end[-1]) - np.repeat(gram_end - grams, grams) + np.repeat(begin, grams)
    distinct, number = _distinct(gram_hashes(windows[which]))
    starts = np.concatenate(([0], np.cumsum(grams + 1)))
    numbers = np.empty(starts[-1], np.int32)
    is_gram = np.ones(len(numbers), bool)
    is_gram[starts[:-1]] = False
    numbers[starts[:-1]] = np.arange(len(forms))
    numbers[is_gram] = number + len(forms)
    return starts, numbers, np.concatenate([word_hashes(forms), distinct])


def _pairs(
    sequence: np.ndarray, forms: Sequence[str], word_hash: np.ndarray, first: int
) -> tuple[np.ndarray, np.ndarray]:
    """Per place of `sequence` the number of the pair that ends there, counted from `first`, or -1: int32; hashes."""
    size = np.fromiter(map(len, forms), np.int32, len(forms))
    before, word = sequence[:-1], sequence[1:]
    short = (before != _END) & (word != _END) & (size[before] + size[word] <= PAIR_CHARACTERS)
    keys = before[short].astype(np.int64) << 32 | word[short]
    distinct, which = np.unique(keys, return_inverse=True)
    pairs = np.full(len(sequence), -1, np.int32)
    pairs[1:][short] = which + first
    return pairs, pair_hashes(word_hash[distinct >> 32], word_hash[distinct & 0xFFFFFFFF])


def _distinct(hash: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of uint64 [n, 2], and for each row its number among them."""
    order = np.lexsort((hash[:, 1], hash[:, 0]))
    fresh = np.ones(len(hash), bool)
    fresh[1:] = (hash[order[1:]] != hash[order[:-1]]).any(axis=1)
    number = np.empty(len(hash), np.int64)
    number[order] = np.cumsum(fresh) - 1
    return hash[order[fresh]], number


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
    """Write a run: one line with a checksum of JSON and the JSON (types, sizes, checksums), then the arrays."""
    arrays = [np.ascontiguousarray(getattr(run, name)) for name in _ARRAYS]
    head = json.dumps([[array.dtype.str, list(array.shape), zlib.crc32(array)] for array in arrays]).encode("ascii")
    with atomic_file(path) as file:
        file.write(b"%d %s\n" % (zlib.crc32(head), head))
        for values in arrays:
            values.tofile(file)


def open_run(path: Path) -> Run | None:
    """Memory-map a run, None if it is not there or not whole."""
    try:
        with path.open("rb") as file:
            told, head = file.readline().rstrip(b"\n").split(b" ", 1)
            start = file.tell()
        if int(told) != zlib.crc32(head):
            return None
        mapped = map_file(path)
        arrays = []
        for dtype, shape, checksum in json.loads(head):
            values = np.frombuffer(mapped or b"", dtype, int(np.prod(shape)), start).reshape(shape)
            if zlib.crc32(values) != checksum:
                return None
            arrays.append(values)
            start += values.nbytes
        run = Run(*arrays, mapped)
        run.forget()
        return run
    except (OSError, ValueError):
        return None
