"""The records that the retrieval cache passes around, and its error tree.

CacheError
├── CacheMissing     no cache was ever built (or fetched) here
├── CacheIncomplete  a build was begun and not finished, or a part of it is gone
├── CacheMismatch    a cache is here, but it was made for something else
├── CacheCorrupt     files do not have the bytes their manifest promises
├── CacheWriteError  the disk is full, read-only or closed to us
├── RemoteError      a place to push to or pull from cannot be reached, or refuses
└── CorpusError      an article, image or query cannot be used as it is

Every message says what is wrong and where; `fix` says what to do next and is
added to the message.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT_VERSION = 4
"""Raised whenever the layout or meaning of stored files changes; part of every key."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_]{0,63}")


class CacheError(Exception):
    """Root of every error raised on purpose here; the message is for people."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()

    def __reduce__(self) -> tuple:
        """Worker processes send exceptions back; the default would lose `fix`."""
        return (type(self), (self.message, self.fix))


class CacheMissing(CacheError):
    """No cache was ever built or fetched for this dataset and setting."""


class CacheIncomplete(CacheError):
    """A build was begun and not finished, or a part of a cache is gone."""


class CacheMismatch(CacheError):
    """A cache is here, but it was made for something else."""


class CacheCorrupt(CacheError):
    """Stored files do not have the bytes that their manifest promises."""


class CacheWriteError(CacheError):
    """A file cannot be written: disk full, read-only or no permission."""


class RemoteError(CacheError):
    """A place to push to or pull from cannot be reached, refuses, or lacks a file."""


class CorpusError(CacheError):
    """An article, image or query that cannot be used as it is."""


@dataclass(frozen=True)
class Section:
    """One section of an article: heading, paragraphs and image addresses in page order."""

    heading: str
    paragraphs: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True)
class Article:
    """One page of the corpus; `language` is the first label of its url's host."""

    id: str
    title: str
    language: str
    url: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Passage:
    """A slice of one section of an article, the unit that is indexed.

    `image` is an image address of the article as the corpus gives it: a path
    relative to the image root, or a url (which is never fetched).
    """

    id: str
    article_id: str
    title: str
    text: str
    language: str
    image: str | None = None


@dataclass(frozen=True)
class Query:
    """What is searched for: text, an image, or both.

    `image_id` names the image wherever the data goes; `image_path` is where it
    lies on this machine, needed only while searching with a retriever that
    reads images.
    """

    id: str
    text: str
    image_id: str | None = None
    image_path: Path | None = None

    def digest(self) -> str:
        """Hex sha256 over text and image id, stored beside the hits.

        It tells a reader whether hits belong to the question it holds.
        """
        return content_key("query", {"text": self.text, "image_id": self.image_id})


@dataclass(frozen=True)
class Hit:
    """One line of a ranking: rank counts from 1, a higher score is nearer."""

    passage_id: str
    rank: int
    score: float


@dataclass(frozen=True)
class RetrievedPassage:
    """A hit together with the passage itself."""

    id: str
    article_id: str
    title: str
    text: str
    language: str
    rank: int
    score: float


@dataclass(frozen=True)
class RetrieverSpec:
    """Which retriever made a ranking; all fields go into the cache key.

    `revision` pins weights or algorithm, `instruction` is the text put before
    queries, `params` holds JSON scalars (weights, dimensions, k1, b, …).
    """

    name: str
    revision: str
    instruction: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"params": dict(self.params)}


@dataclass(frozen=True)
class ChunkerSpec:
    """How articles are cut: passages of at most `max_tokens`, sharing up to `overlap`."""

    max_tokens: int = 256
    overlap: int = 50
    tokenizer: str = "xlm-roberta"

    def __post_init__(self) -> None:
        # Below 16 tokens one character may not fit (U+FDFA alone is a phrase).
        if self.max_tokens < 16:
            raise ValueError(f"chunker: max_tokens is {self.max_tokens}; give at least 16")
        if not 0 <= self.overlap < self.max_tokens:
            raise ValueError(
                f"chunker: overlap is {self.overlap}; give 0 to {self.max_tokens - 1}, less than max_tokens"
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class BuildSpec:
    """Everything a build needs beside the queries.

    `corpus` is a file, a folder of files or an address on the hub
    (`corpus.files`), `max_broken` how many of its lines may be broken and left
    out: a number (int) or a share of all (float below 1). `image_root` is the
    folder that relative image paths of the corpus start from; None indexes
    passages without their images. `queries_from` names what the queries were made
    from beside the questions, in the caller's words; None where that is nothing.
    """

    dataset: str
    setting: str
    corpus: Path | str
    retriever: RetrieverSpec
    image_root: Path | None = None
    chunker: ChunkerSpec = field(default_factory=ChunkerSpec)
    k: int = 5
    max_broken: int | float = 0
    queries_from: str | None = None

    def __post_init__(self) -> None:
        check_name("dataset", self.dataset)
        check_name("setting", self.setting)
        check_max_broken(self.max_broken)
        if not 1 <= self.k <= 1000:
            raise ValueError(f"k is {self.k}; give 1 to 1000 passages per query")


@dataclass(frozen=True)
class Wanted:
    """What a reader of the cache asks for; None leaves a field open.

    `key` (or its first letters) picks one of several caches that match. With the
    retriever left open it may be any, at the revision that this version makes;
    with the chunker left open, passages may have been cut in any way. A cache that
    does not say what its queries were made from is compared question by question only.
    """

    dataset: str
    setting: str
    retriever: RetrieverSpec | None
    chunker: ChunkerSpec | None = field(default_factory=ChunkerSpec)
    k: int = 5
    corpus_sha256: str | None = None
    queries_from: str | None = None
    key: str | None = None


def check_name(what: str, name: str) -> str:
    """Return `name` if it may become a folder name, else raise ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{what} is {name!r}; use small letters, digits and '_' only")
    return name


def check_max_broken(limit: int | float) -> int | float:
    """Return `limit` if it is a number of lines or a share of them, else raise ValueError."""
    if limit < 0 or (isinstance(limit, float) and not limit < 1) or isinstance(limit, bool):
        raise ValueError(f"max_broken is {limit}; give a number of lines (int) or a share of them (float below 1)")
    return limit


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spare spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def content_key(kind: str, made_from: Mapping[str, Any]) -> str:
    """Hex sha256 (64 digits) of what something was made from.

    Folder names take the first 16 digits (`short_key`); manifests hold all 64.
    """
    return hashlib.sha256(canonical_json([kind, made_from]).encode("ascii")).hexdigest()


def short_key(key: str) -> str:
    """The folder name of a key: its first 16 hex digits, checked to be nothing else."""
    if not re.fullmatch(r"[0-9a-f]{64}", key):
        raise ValueError(f"not a content key: {key!r}")
    return key[:16]
