"""A floor for multimodal retrieval that needs no download and no GPU.

Text is a signed hashed bag of character n-grams, an image a small hand-made
descriptor (`descriptor.py`). Both parts have length 1 (or 0 when absent) and
are scaled so that the inner product of two items is

    text_weight · cos(texts) + image_weight · cos(images).

It knows nothing about meaning: a better retriever must beat it clearly.
"""

from __future__ import annotations

import functools
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from retrieval_cache.encoders import descriptor
from retrieval_cache.encoders.pictures import read_pictures
from retrieval_cache.images import is_remote, query_image, resolve_image
from retrieval_cache.records import CorpusError, Passage, Query, RetrieverSpec
from retrieval_cache.sparse.analyser import analyser_libraries, word_forms
from retrieval_cache.specs import default_spec, passage_input


class PixelEncoder:
    """Joint text and image encoder; the whole vector is not normalised again."""

    uses_images = True
    passage_images = True
    batch = 1024
    memory = 300_000_000
    gpu_memory = 0

    def __init__(self, spec: RetrieverSpec | None = None) -> None:
        spec = spec or default_spec("pixel")
        self.name, self._params = spec.name, spec.params
        self._text_dim = int(self._params["text_dim"])
        self.dim = self._text_dim + descriptor.DIM

    def encode_queries(self, queries: Sequence[Query]) -> np.ndarray:
        images = [(query_image(query), f"query {query.id!r}") for query in queries]
        return self._encode([query.text for query in queries], images)

    def encode_passages(self, passages: Sequence[Passage], image_root: Path | None) -> np.ndarray:
        images = []
        for passage in passages:
            owner, path = f"passage {passage.id!r}", None
            if image_root is not None and passage.image and not is_remote(passage.image):
                path = resolve_image(image_root, passage.image, owner)
            images.append((path, owner))
        texts = [passage_input(self._params, p.title, p.text) for p in passages]
        return self._encode(texts, images)

    def libraries(self) -> dict[str, str]:
        return analyser_libraries() | {"Pillow": version("Pillow"), "numpy": np.__version__}

    def _encode(self, texts: Sequence[str], images: Sequence[tuple[Path | None, str]]) -> np.ndarray:
        vectors = np.zeros((len(texts), self.dim), np.float32)
        text_scale = np.sqrt(self._params["text_weight"])
        image_scale = np.sqrt(self._params["image_weight"])
        # Articles share one picture among their passages, questions too.
        described: dict[Path, np.ndarray] = {}
        coming = read_pictures(list(dict.fromkeys(path for path, _ in images if path)), descriptor.describe)
        for row, (text, (path, owner)) in enumerate(zip(texts, images, strict=True)):
            vectors[row, : self._text_dim] = text_scale * self._text(text)
            if path is None:
                continue
            if path not in described:
                described[path] = _found(next(coming), owner)
            vectors[row, self._text_dim :] = image_scale * described[path]
        return vectors

    def _text(self, text: str) -> np.ndarray:
        """float64 [text_dim] of length 1, or zero for a text without words."""
        grams: Counter[str] = Counter()
        for word in word_forms(text):
            padded = f" {word} "
            for n in range(self._params["ngram_min"], self._params["ngram_max"] + 1):
                grams.update(padded[i : i + n] for i in range(len(padded) - n + 1))
        vector = np.zeros(self._text_dim)
        for gram, count in grams.items():
            hashed = _hash(gram)
            sign = 1.0 if hashed & 1 else -1.0
            vector[(hashed >> 1) % self._text_dim] += sign * (1.0 + np.log(count))
        length = np.sqrt(np.square(vector).sum())
        return vector / length if length else vector


def _found(described: np.ndarray | CorpusError, owner: str) -> np.ndarray:
    if isinstance(described, CorpusError):
        raise CorpusError(f"{owner}: {described.message}", described.fix) from described
    return described


@functools.lru_cache(maxsize=1 << 18)
def _hash(gram: str) -> int:
    """Python's own hash() changes from run to run."""
    return zlib.crc32(unicodedata.normalize("NFC", gram).encode("utf-8"))
