"""Corpora on the Hugging Face hub: named by an address, pinned to a commit, streamed.

    hf://datasets/<owner>/<name>[@<revision>][/<place>]

The form is that of `huggingface_hub.HfFileSystem`. The place is a configuration
of the data set, as `datasets.load_dataset` takes it, or else a path in the
repository, of a file or a folder. The revision is resolved to a commit once.
The hub's own ids of the files' content (sha256 of large files, git's blob ids
of small ones) stand for their bytes in keys, and are compared with the bytes
as these are read. The files are read as they are, not through the rows of
`datasets`: those would have neither line numbers nor the text "" where other
rows have a list.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from retrieval_cache.corpus.files import SUFFIXES, ContentHash, Corpus, is_article_file
from retrieval_cache.records import CorpusError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

FORM = "hf://datasets/<owner>/<name>[@<revision>][/<configuration or path>]"
TIMEOUT = 30.0  # seconds until the hub has to answer
_ADDRESS = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)(?:@([^/@]+))?(?:/(.+?))?/?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOCK = 8 << 20
_FIX = "Check address and network; or download the corpus where there is one, and name its folder."


@dataclass(frozen=True)
class HubFile:
    """A file of a data set repository at a commit."""

    repository: str
    commit: str
    path: str
    size: int
    content_id: str

    @property
    def name(self) -> str:
        return hub_address(self.repository, self.commit, self.path)

    def open(self) -> IO[bytes]:
        return _Stream(self)  # type: ignore[return-value]

    def new_hash(self) -> ContentHash:
        return ContentHash(self.content_id.partition(":")[0], self.size)


def open_corpus(address: str) -> Corpus:
    """The files behind an address on the hub. Raises CorpusError, also where the hub cannot be asked."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise CorpusError(f"{address!r} is no address of a corpus.", f"Give a path, or {FORM}.")
    repository, revision, place = parts[1], unquote(parts[2] or "main"), parts[3] or ""
    with _asking(address):
        commit = _commit(repository, revision)
        found = _files(repository, commit, place)
    files = tuple(HubFile(repository, commit, file.path, file.size, _content_id(file)) for file in found)
    return Corpus(address, files, source=hub_address(repository, commit, place))


def hub_address(repository: str, revision: str | None, place: str) -> str:
    """The address of a place in a data set repository; without a revision it is the newest commit of `main`."""
    at = f"@{quote(revision, safe='')}" if revision else ""
    return f"hf://datasets/{repository}{at}" + (f"/{place}" if place else "")


def _commit(repository: str, revision: str) -> str:
    from huggingface_hub import HfApi

    if _COMMIT.fullmatch(revision):
        return revision
    return str(HfApi().dataset_info(repository, revision=revision, timeout=TIMEOUT).sha)


@functools.lru_cache(maxsize=8)  # a commit never changes
def _files(repository: str, commit: str, place: str) -> tuple[RepoFile, ...]:
    """The article files at a place, in reading order."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    api, at = HfApi(), {"repo_type": "dataset", "revision": commit}
    paths = [place] if is_article_file(place.rpartition("/")[2]) else _configured(repository, commit, place)
    if paths:
        infos = {info.path: info for info in api.get_paths_info(repository, paths, **at)}
        found = [infos[path] for path in paths if isinstance(infos.get(path), RepoFile)]
        missing = sorted(set(paths) - {file.path for file in found})
    else:
        tree = list(api.list_repo_tree(repository, place or None, **at))
        inside = (entry for entry in tree if isinstance(entry, RepoFile) and is_article_file(entry.path.split("/")[-1]))
        found, missing = sorted(inside, key=lambda file: file.path), []
    if missing or not found:
        what = f"{missing[0]!r} is not there" if missing else "has no article files (*" + ", *".join(SUFFIXES) + ")"
        raise CorpusError(f"{hub_address(repository, commit, place)}: {what}.", "Name another configuration or path.")
    return tuple(found)


def _configured(repository: str, commit: str, name: str) -> list[str]:
    """The paths of a configuration's files, all splits in turn; empty if there is none with this name."""
    import datasets

    if "/" in name:
        return []
    try:
        builder = datasets.load_dataset_builder(repository, name or None, revision=commit)
    except (ValueError, FileNotFoundError):
        return []  # no such configuration, or no files that the library knows: a folder may have the name
    root = f"hf://datasets/{repository}@{commit}/"
    urls = [str(url) for split in (builder.config.data_files or {}).values() for url in split]
    outside = [url for url in urls if not url.startswith(root)]
    if outside:
        raise CorpusError(f"configuration {name!r} of {repository} has files elsewhere, such as {outside[0]}.", _FIX)
    return [url.removeprefix(root) for url in urls]


def _content_id(file: RepoFile) -> str:
    return f"sha256:{file.lfs.sha256}" if file.lfs else f"git-sha1:{file.blob_id}"


@contextmanager
def _asking(address: str) -> Iterator[None]:
    try:
        yield
    except CorpusError:
        raise
    except Exception as error:  # Whatever its HTTP library raises: that changes with its version.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise CorpusError(f"{address} cannot be found on the hub ({reason}).", _FIX) from error


class _Stream(io.RawIOBase):
    """A file of the hub, read block by block; whatever goes wrong there is an OSError here."""

    def __init__(self, file: HubFile) -> None:
        from huggingface_hub import HfFileSystem

        with _reading():
            path = file.name.removeprefix("hf://")
            self._file: Any = HfFileSystem().open(path, "rb", block_size=_BLOCK)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _reading():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        with _reading():
            block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # as in _asking
        raise OSError(f"the hub: {error}") from error
