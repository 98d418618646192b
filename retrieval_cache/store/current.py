"""Which cache was built last, for when several fit what is asked for.

    <root>/hits/<dataset>/<setting>/current.json    {selection: key of its last build}

A cache is found by retriever, chunker and k, but made from the questions too:
after a question was changed, the caches of the old and of the new questions
both fit. The last build wins, as it would if builds overwrote each other. The
same holds among retrievers and chunkers for a reader that leaves them open.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from retrieval_cache.files import Progress, artefact_lock, read_json, write_json
from retrieval_cache.records import CacheCorrupt, ChunkerSpec, RetrieverSpec, content_key

CURRENT_FILE = "current.json"

_HEX64 = re.compile(r"[0-9a-f]{64}")


def selection(retriever: RetrieverSpec | None, chunker: ChunkerSpec | None, k: int) -> str:
    """Hex sha256 of what every reader asks for, under which the last build is noted; None is any."""
    asked = {"retriever": retriever, "chunker": chunker}
    return content_key("selection", {"k": k, **{name: spec and spec.to_json() for name, spec in asked.items()}})


def selections(retriever: RetrieverSpec, chunker: ChunkerSpec, k: int) -> list[str]:
    """All selections that a build is the answer to: its own retriever and chunker, and any of either."""
    return [selection(r, c, k) for r in (retriever, None) for c in (chunker, None)]


def last_builds(base: Path) -> dict[str, str]:
    """Selection → full key of its last build; empty if none was noted.

    `base` is the folder of a dataset and setting. Raises CacheCorrupt if the
    note is there and cannot be read.
    """
    path = base / CURRENT_FILE
    try:
        noted = read_json(path)
    except FileNotFoundError:
        return {}
    except CacheCorrupt as error:
        raise CacheCorrupt(error.message, _FIX) from error
    if not isinstance(noted, dict) or not all(_is_key(text) for pair in noted.items() for text in pair):
        raise CacheCorrupt(f"{path} is not a note of the last builds.", _FIX)
    return noted


def note_build(root: Path, base: Path, chosen: Sequence[str], key: str, progress: Progress) -> None:
    """Note `key` as the last build of these selections; other selections keep theirs.

    Nothing is written if it is noted already, so a finished cache can be opened
    on a disk that is read-only. A note that cannot be read is replaced.
    """
    try:
        noted = last_builds(base)
        if all(noted.get(selected) == key for selected in chosen):
            return
    except CacheCorrupt as error:
        progress(f"writing it anew, because {error.message}")
    with artefact_lock(root, base, progress):
        try:
            noted = last_builds(base)
        except CacheCorrupt:
            noted = {}
        write_json(base / CURRENT_FILE, {**noted, **dict.fromkeys(chosen, key)})


_FIX = "Build the cache again: that writes this file anew, and the last build is used."


def _is_key(text: object) -> bool:
    return isinstance(text, str) and _HEX64.fullmatch(text) is not None
