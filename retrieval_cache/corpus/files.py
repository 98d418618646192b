"""Which files a corpus is made of, in which order, and what identifies their content.

A corpus is named by the path of a file or of a folder, or by an address on the
hub (`hub`). The files of a folder are those directly in it that are named like
articles, in the order of their names; other files are not looked at.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from retrieval_cache.records import CorpusError, content_key

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.bz2", ".jsonl.xz", ".jsonl.zst", ".parquet")
"""Names of article files in a folder end so. What a file is, its first bytes say (`rows`)."""


class CorpusFile(Protocol):
    """One file of a corpus. `name` is how errors call it, `size` its length in bytes.

    `content_id` identifies the content where it is known without reading, as
    "<algorithm>:<hex digits>"; None for a file on this machine.
    """

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def content_id(self) -> str | None: ...

    def open(self) -> IO[bytes]:
        """The bytes as stored, seekable. Raises OSError."""
        ...

    def new_hash(self) -> ContentHash:
        """What makes a content id, of the same kind as `content_id`, of all bytes."""
        ...


class ContentHash:
    """Bytes → their content id, "sha256:…" or, as git names its blobs, "git-sha1:…"."""

    def __init__(self, algorithm: str = "sha256", size: int = 0) -> None:
        """`size` is the length of all bytes, which git puts in front of them."""
        self.algorithm = algorithm
        self._hash = hashlib.sha256() if algorithm == "sha256" else hashlib.sha1(b"blob %d\0" % size)

    def update(self, block: bytes) -> None:
        self._hash.update(block)

    def content_id(self) -> str:
        return f"{self.algorithm}:{self._hash.hexdigest()}"


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine."""

    path: Path
    content_id: None = None

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def size(self) -> int:
        """Size in bytes; 0 if it cannot be asked for, which reading will report."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def open(self) -> IO[bytes]:
        return self.path.open("rb", buffering=0)

    def new_hash(self) -> ContentHash:
        return ContentHash()


@dataclass(frozen=True)
class Corpus:
    """The files of a corpus in reading order.

    `address` is how people named it; `source` is what a manifest may say about
    where it came from: an address on the hub with its commit, None for files of
    this machine, whose paths mean nothing elsewhere.
    """

    address: str
    files: tuple[CorpusFile, ...]
    source: str | None = None

    @property
    def size(self) -> int:
        """Bytes of all files as stored, mostly compressed."""
        return sum(file.size for file in self.files)


def open_corpus(address: Path | str | Corpus) -> Corpus:
    """The corpus at a path or an address on the hub; nothing is read yet.

    Raises CorpusError for a folder without article files and for an address
    that cannot be resolved. A missing file is reported when it is read.
    """
    if isinstance(address, Corpus):
        return address
    if isinstance(address, str) and "://" in address:
        from retrieval_cache.corpus import hub

        return hub.open_corpus(address)
    path = Path(address)
    if not path.is_dir():
        return Corpus(str(path), (LocalFile(path),))
    return Corpus(str(path), tuple(map(LocalFile, _article_files(path))))


def is_article_file(name: str) -> bool:
    """Whether a file with this name is read as articles where a folder is named."""
    return name.endswith(SUFFIXES) and not name.startswith(".")


def corpus_id(content_ids: list[str]) -> str:
    """Hex sha256 of a corpus from the content ids of its files in reading order.

    The sha256 of a corpus of one file is the file's own. Names do not count: they
    shape nothing but the order.
    """
    if len(content_ids) == 1 and content_ids[0].startswith("sha256:"):
        return content_ids[0].removeprefix("sha256:")
    return content_key("corpus", {"files": content_ids})


def _article_files(folder: Path) -> list[Path]:
    try:
        found = sorted((path for path in folder.iterdir() if is_article_file(path.name)), key=lambda path: path.name)
        folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise CorpusError(f"the corpus folder {folder} cannot be read ({error.strerror}).", "Check it.") from error
    if not found:
        inside = f" It has the folders {', '.join(folders[:5])}: name one of them." if folders else ""
        raise CorpusError(
            f"the folder {folder} has no article files.{inside}",
            f"Articles lie directly in it, in files named *{', *'.join(SUFFIXES)}.",
        )
    return found
