"""The sha256 of large files, computed once: a corpus may have gigabytes, and every reader asks for it.

    <root>/.known/sha256.json    {sha256 of a path: {"size", "mtime_ns", "ctime_ns", "sha256"}}

A note saves time and nothing else: whatever is wrong with it, or a folder that
cannot be written to, only means reading the file. No lock is held, so of two
writers one may lose its line.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from pathlib import Path
from typing import Any

from retrieval_cache.corpus.files import Corpus, corpus_id, open_corpus
from retrieval_cache.files import file_sha256, read_json, write_json
from retrieval_cache.records import CacheCorrupt, CacheWriteError, CorpusError

KNOWN_FILE = Path(".known") / "sha256.json"
SETTLED_NS = 2_000_000_000
"""Age of a file from which its size and time tell it from what it becomes: clocks of file systems are coarse."""

_HEX64 = re.compile(r"[0-9a-f]{64}")
_in_process: dict[str, dict[str, Any]] = {}


def known_corpus_sha256(corpus: Path | str | Corpus, root: Path) -> str:
    """Hex sha256 of a corpus (`files.corpus_id`): what is known of its files, as far as it is known.

    A file of this machine is looked up by path, size and times, in this process,
    then in the note below the cache root `root`; what had to be computed is noted.
    A file of the hub brings the id of its content. Raises CorpusError if a file
    cannot be read.
    """
    files = open_corpus(corpus).files
    return corpus_id([file.content_id or f"sha256:{_known_sha256(Path(file.name), root)}" for file in files])


def _known_sha256(path: Path, root: Path) -> str:
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    before = _stamp(path)
    for noted in (_in_process, _read(root)):
        entry = noted.get(name)
        if isinstance(entry, dict) and before.items() <= entry.items() and _is_sha256(entry.get("sha256")):
            _in_process[name] = entry
            return entry["sha256"]
    entry = {**before, "sha256": _sha256(path)}
    if _stamp(path) == before and time.time_ns() - before["mtime_ns"] > SETTLED_NS:
        _in_process[name] = entry
        # A root that cannot be written to: the next process reads the file again.
        with contextlib.suppress(CacheWriteError):
            write_json(root / KNOWN_FILE, {**_read(root), name: entry})
    return entry["sha256"]


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _stamp(path: Path) -> dict[str, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    # The last is nobody's to set: a copy that keeps times (rsync, tar) is noticed by it.
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "ctime_ns": found.st_ctime_ns}


def _read(root: Path) -> dict[str, Any]:
    """The note below `root`; empty if there is none that can be read."""
    try:
        noted = read_json(root / KNOWN_FILE)
    except (FileNotFoundError, CacheCorrupt):
        return {}
    return noted if isinstance(noted, dict) else {}


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _HEX64.fullmatch(value) is not None


def _unreadable(path: Path, error: OSError) -> CorpusError:
    return CorpusError(
        f"the corpus file {path} cannot be read ({error.strerror}).", "Check the path, or fetch the corpus."
    )
