"""Vectors of queries, kept on disk: the same questions are embedded once for all settings, corpora and values of k.

A vector may differ in its last bits with the batch it was made in, and hits
must not depend on what was embedded before. So what is kept is not a vector but
what one call of the encoder gave, under a key of the encoder and of all that was
in the call: the same call would have given the same bytes. Questions are searched in the
same blocks whatever corpus, way to cut, kind of index and k a build has, so these
share; another order or another choice of questions does not.

`<root>/.vectors/<encoder>/<call>.f32`: a line of JSON that says what it is, with
a sha256, then float32 [n, dim], little-endian. Nothing is lost with these files.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval_cache.encoders.base import Encoder
from retrieval_cache.files import atomic_file, reading
from retrieval_cache.images import picture_sha256, query_image
from retrieval_cache.records import CacheCorrupt, Query, RetrieverSpec, canonical_json, content_key, short_key
from retrieval_cache.specs import IVF_PARAMS

_NOT_OF_QUERIES = {"index", "vectors", "passage", "passage_images", *IVF_PARAMS}


class KeptQueries:
    """An encoder that looks up what it gave for the same queries; all else is the encoder's."""

    def __init__(self, encoder: Encoder, spec: RetrieverSpec, folder: Path) -> None:
        self._encoder = encoder
        params = {name: value for name, value in spec.params.items() if name not in _NOT_OF_QUERIES}
        made_by = {"name": spec.name, "revision": spec.revision, "instruction": spec.instruction, "params": params}
        self._key = content_key("encoder", {**made_by, "libraries": encoder.libraries()})
        self._folder = folder / short_key(self._key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def encode_queries(self, queries: Sequence[Query]) -> np.ndarray:
        """float32 [n, dim]; a damaged file is told by a warning and made anew."""
        key = content_key("queries of a call", {"encoder": self._key, "queries": [self._seen(q) for q in queries]})
        path = self._folder / f"{short_key(key)}.f32"
        shape = (len(queries), self._encoder.dim)
        try:
            return _read(path, key, shape)
        except FileNotFoundError:
            pass
        except CacheCorrupt as error:
            warnings.warn(f"embedding again, because {error.message}", stacklevel=2)
        vectors = self._encoder.encode_queries(queries)
        if vectors.shape == shape:  # else the caller refuses it
            _write(path, key, vectors)
        return vectors

    def _seen(self, query: Query) -> list[str | None]:
        """What the encoder sees of a query."""
        image = query_image(query) if self._encoder.uses_images else None
        return [query.text, image and picture_sha256(image)]


def _write(path: Path, key: str, vectors: np.ndarray) -> None:
    content = vectors.astype("<f4").tobytes()
    with atomic_file(path) as file:
        file.write(_header(key, vectors.shape, content))
        file.write(content)


def _read(path: Path, key: str, shape: tuple[int, int]) -> np.ndarray:
    """Raises FileNotFoundError if there is none, CacheCorrupt if a bit of it is wrong."""
    with reading(path):
        header, _, content = path.read_bytes().partition(b"\n")
    if header + b"\n" != _header(key, shape, content) or len(content) != 4 * shape[0] * shape[1]:
        raise CacheCorrupt(f"{path} was changed, or holds something else.", "Delete it.")
    return np.frombuffer(content, "<f4").reshape(shape).astype(np.float32)


def _header(key: str, shape: tuple[int, ...], content: bytes) -> bytes:
    told = {"key": key, "shape": list(shape), "sha256": hashlib.sha256(content).hexdigest()}
    return canonical_json(told).encode("ascii") + b"\n"
