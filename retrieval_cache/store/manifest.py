"""The manifest of a cache: what it was made from, and the keys that follow.

Keys chain: passages come from corpus and chunker, an index from passages and
retriever, hits from an index and the queries. Each key also covers the
versions that shaped its stage and the format. A manifest whose key does not
follow from what it was made from was edited, and is refused.

The key covers dataset, setting, k, retriever, chunker, images, libraries, the
sha256 of the corpus, the sha256 and count of the queries, and what they were made from. It does not cover
what came out: `files`, which opening and `verify` compare with the files
themselves, the number of passages, which opening counts, and the figures
`articles`, `skipped`, `broken`, `unmatched` and those `measured`, which nothing checks, nor
where the corpus came from (`source`).
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrieval_cache.records import (
    FORMAT_VERSION,
    CacheCorrupt,
    CacheMismatch,
    ChunkerSpec,
    RetrieverSpec,
    check_name,
    content_key,
)

_HEX64 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """Everything recorded about one set of hits.

    `corpus`: sha256 of the corpus, counts of articles, skipped pages, broken lines
    left out and passages, and `source`, the address on the hub that the build was
    given (None: files of its own). `queries`: sha256 over ids and digests, count, `unmatched`, the
    number of queries whose best score is 0, and `source`, what they were made from beside the
    questions (None: nothing, or not said). `images`: sha256 over the pictures
    of passages and queries, None where none were used. `libraries`: versions
    per stage. `files`: sha256 and size in bytes. `measured`: figures of this
    build by name, such as the recall of an index that is not exact. `export`:
    None where the hits point into the passages of the whole corpus; for an
    export the count of passages that lie beside the hits, which are all they use.
    """

    key: str
    dataset: str
    setting: str
    k: int
    retriever: RetrieverSpec
    chunker: ChunkerSpec
    corpus: Mapping[str, Any]
    queries: Mapping[str, Any]
    images: Mapping[str, str | None]
    libraries: Mapping[str, Mapping[str, str]]
    files: Mapping[str, Mapping[str, Any]]
    measured: Mapping[str, float] = field(default_factory=dict)
    export: Mapping[str, int] | None = None
    format_version: int = FORMAT_VERSION

    @property
    def passages_key(self) -> str:
        """Key of the passages these hits point into."""
        return passages_key(self.corpus["sha256"], self.chunker, self.libraries["passages"])

    @property
    def passages_here(self) -> int:
        """How many passages lie in the file that the hits point into."""
        return (self.export or self.corpus)["passages"]

    @property
    def index_key(self) -> str:
        """Key of the index that was searched."""
        return index_key(self.passages_key, self.retriever, self.images["passages"], self.libraries["index"])

    def derived_key(self) -> str:
        """The key that follows from what the hits were made from."""
        asked = {name: self.queries[name] for name in ("sha256", "count")}
        if self.queries.get("source") is not None:
            asked["source"] = self.queries["source"]
        return hits_key(
            self.index_key,
            self.dataset,
            self.setting,
            self.k,
            {**asked, "images": self.images["queries"]},
            self.libraries["search"],
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `Manifest.from_json` reads it back equal."""
        return asdict(self) | {
            "retriever": self.retriever.to_json(),
            "chunker": self.chunker.to_json(),
        }

    @staticmethod
    def from_json(value: Any, where: str) -> Manifest:
        """Read a manifest strictly; `where` names the file in errors.

        Raises CacheMismatch for another format, CacheCorrupt for anything else
        that is not a manifest whose key follows from its fields.
        """
        _check_format(value, where)
        if isinstance(value, dict) and isinstance(value.get("queries"), dict):
            # Not every cache says it.
            value = {**value, "queries": {"source": None, **value["queries"]}}
        _check(value, _SHAPE, where)
        try:
            fields = dict(value)
            fields["retriever"] = RetrieverSpec(**value["retriever"])
            fields["chunker"] = ChunkerSpec(**value["chunker"])
            check_name("dataset", value["dataset"])
            check_name("setting", value["setting"])
            manifest = Manifest(**fields)
            derived = manifest.derived_key()  # ValueError for NaN, which JSON should not hold
        except ValueError as error:
            raise _corrupt(where, str(error)) from error
        if derived != manifest.key:
            raise _corrupt(where, "its key does not follow from its fields: it was edited")
        return manifest


def passages_key(corpus_sha256: str, chunker: ChunkerSpec, libraries: Mapping[str, str]) -> str:
    """Key of a passages file."""
    return _key("passages", corpus=corpus_sha256, chunker=chunker.to_json(), libraries=dict(libraries))


def index_key(passages: str, retriever: RetrieverSpec, images: str | None, libraries: Mapping[str, str]) -> str:
    """Key of an index over the passages with key `passages`."""
    return _key(
        "index",
        passages=passages,
        retriever=retriever.to_json(),
        images=images,
        libraries=dict(libraries),
    )


def hits_key(
    index: str,
    dataset: str,
    setting: str,
    k: int,
    queries: Mapping[str, Any],
    libraries: Mapping[str, str],
) -> str:
    """Key of the hits of one set of queries in the index with key `index`."""
    return _key(
        "hits",
        index=index,
        dataset=dataset,
        setting=setting,
        k=k,
        queries=dict(queries),
        libraries=dict(libraries),
    )


def _key(kind: str, **made_from: Any) -> str:
    return content_key(kind, {"format": FORMAT_VERSION, **made_from})


@dataclass(frozen=True)
class _Each:
    """A mapping of any keys to values of one shape."""

    shape: Any


@dataclass(frozen=True)
class _Optional:
    shape: Any


_FILE = {"sha256": _HEX64, "size": int}
_SHAPE = {
    "format_version": int,
    "key": _HEX64,
    "dataset": str,
    "setting": str,
    "k": int,
    "retriever": {
        "name": str,
        "revision": str,
        "instruction": str,
        "params": _Each((str, int, float, bool, type(None))),
    },
    "chunker": {"max_tokens": int, "overlap": int, "tokenizer": str},
    "corpus": {
        "sha256": _HEX64,
        "articles": int,
        "skipped": int,
        "broken": int,
        "passages": int,
        "source": _Optional(str),
    },
    "queries": {"sha256": _HEX64, "count": int, "unmatched": int, "source": _Optional(str)},
    "images": {"passages": _Optional(_HEX64), "queries": _Optional(_HEX64)},
    "libraries": {"passages": _Each(str), "index": _Each(str), "search": _Each(str)},
    "files": {"hits.arrow": _FILE, "passages.arrow": _FILE},
    "measured": _Each(float),
    "export": _Optional({"passages": int}),
}


def _check_format(value: Any, where: str) -> None:
    version = value.get("format_version") if isinstance(value, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version == FORMAT_VERSION:
        return  # whatever else is wrong, the shape will tell
    newer = version > FORMAT_VERSION
    raise CacheMismatch(
        f"{where} has format {reprlib.repr(version)}, made by {'a newer' if newer else 'an older'} program; "
        f"this one reads format {FORMAT_VERSION}.",
        "Upgrade m4rag, or build the cache with this version." if newer else "Build the cache again.",
    )


def _check(value: Any, shape: Any, where: str) -> None:
    """Compare a JSON value with a shape: no field missing, none unknown, right types."""
    if isinstance(shape, _Optional):
        if value is not None:
            _check(value, shape.shape, where)
    elif isinstance(shape, (dict, _Each)):
        if not isinstance(value, dict):
            raise _corrupt(where, "an object is wanted")
        if isinstance(shape, _Each):
            shape = dict.fromkeys(value, shape.shape)
        wrong = sorted(set(shape) ^ set(value))
        if wrong:
            what = "is missing" if wrong[0] in shape else "is unknown"
            raise _corrupt(where, f"field {wrong[0]!r} {what}")
        for name in sorted(shape):
            _check(value[name], shape[name], f"{where}, {name}")
    else:
        _check_scalar(value, shape, where)


def _check_scalar(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, re.Pattern):
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise _corrupt(where, "a sha256 in 64 hex digits is wanted")
    elif shape is int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise _corrupt(where, "a count is wanted")
    elif shape is float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
            raise _corrupt(where, "a number is wanted")
    elif not isinstance(value, shape):
        raise _corrupt(where, f"not a value of the right type: {reprlib.repr(value)}")


def _corrupt(where: str, problem: str) -> CacheCorrupt:
    return CacheCorrupt(f"{where}: {problem}.", "Delete its folder and build or fetch the cache again.")
