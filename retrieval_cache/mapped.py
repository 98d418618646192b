"""Files mapped into memory: read without a copy, and their pages given back.

Pages of a mapped file count as memory of the process until the system wants
them back; code that walks through a large file gives them back itself, so
that what a build takes does not depend on the size of its corpus.
"""

from __future__ import annotations

import mmap
from pathlib import Path


def map_file(path: Path) -> mmap.mmap | None:
    """The file, read-only; None for an empty one, which systems do not map. Raises OSError."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else None


def forget(mapped: mmap.mmap | None) -> None:
    """Give back the memory of the pages read so far; they are read again when needed."""
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
