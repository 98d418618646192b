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

from retrieval_cache.files import file_sha256, read_json, write_json
from retrieval_cache.records import CacheCorrupt, CacheWriteError, CorpusError

KNOWN_FILE = Path(".known") / "sha256.json"
SETTLED_NS = 2_000_000_000
"""Age of a file from which its size and time tell it from what it becomes: clocks of file systems are coarse."""

_HEX64 = re.compile(r"[0-9a-f]{64}")
_in_process: dict[str, dict[str, Any]] = {}


def corpus_sha256(path: Path) -> str:
    """Hex sha256 of a corpus file, read now. Raises CorpusError if it cannot be read."""
    try:
        return file_sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def known_corpus_sha256(path: Path, root: Path) -> str:
    """Hex sha256 of a corpus file, as noted for its path, size and times.

    Looks in this process, then in the note below the cache root `root`, and notes
    what it had to compute. Raises CorpusError if the file cannot be read.
    """
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    before = _stamp(path)
    for noted in (_in_process, _read(root)):
        entry = noted.get(name)
        if isinstance(entry, dict) and before.items() <= entry.items() and _is_sha256(entry.get("sha256")):
            _in_process[name] = entry
            return entry["sha256"]
    entry = {**before, "sha256": corpus_sha256(path)}
    if _stamp(path) == before and time.time_ns() - before["mtime_ns"] > SETTLED_NS:
        _in_process[name] = entry
        # A root that cannot be written to: the next process reads the file again.
        with contextlib.suppress(CacheWriteError):
            write_json(root / KNOWN_FILE, {**_read(root), name: entry})
    return entry["sha256"]


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
