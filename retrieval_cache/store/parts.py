"""Part files: what the searches of one block found, kept until all hits are written.

A part says which build, block and queries it belongs to and carries a sha256
of what was found, because parts are copied between machines and lie on disks
for days. After one line of JSON that says so come the rows and then the
scores, little-endian: nothing that a damaged byte could lead astray.

    <hits folder>/part-<start>-<asked>.hits                    (of a build)
    <hits folder>/shards/<number>-of-<count>/part-….hits       (of a query shard)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval_cache.files import atomic_file, reading
from retrieval_cache.records import CacheCorrupt, canonical_json, short_key

PARTS = "part-*.hits"
"""Matches part files, which are removed once the hits are written."""

SHARDS = "shards"
"""Folder of the query shards within a hits folder."""

Found = tuple[np.ndarray, np.ndarray]
"""Rows int32 [n, k] and scores float32 [n, k] of n searches."""

_KINDS = ("<i4", "<f4")  # of rows and scores, in the order they stand in
_LONGEST_HEADER = 4096


@dataclass(frozen=True)
class Block:
    """Searches start … stop-1 of the `of` distinct searches of the build with key `build`.

    `asked` is a key of what is searched for, `passages` the number of rows there are.
    """

    build: str
    start: int
    stop: int
    of: int
    asked: str
    k: int
    passages: int

    @property
    def name(self) -> str:
        """File name of its part: no other block's can be taken for it."""
        return PARTS.replace("*", f"{self.start:08d}-{short_key(self.asked)}")


def write_part(path: Path, block: Block, found: Found) -> None:
    """Write what the searches of a block found, atomically."""
    content = b"".join(values.astype(kind).tobytes() for values, kind in zip(found, _KINDS, strict=True))
    with atomic_file(path) as file:
        file.write(_header(block, content))
        file.write(content)


def read_part(path: Path, block: Block) -> Found | None:
    """What was found for a block, None if there is no such file.

    Raises CacheCorrupt for a file that is not this block's part, to the last bit.
    """
    try:
        with reading(path):
            header, _, content = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        return None
    if header + b"\n" != _header(block, content):
        raise CacheCorrupt(f"{path} was changed, or is a part of something else.", _FIX)
    shape = (block.stop - block.start, block.k)
    size = 4 * shape[0] * shape[1]
    if len(content) != 2 * size:
        raise CacheCorrupt(f"{path} does not hold the rows and scores of its block.", _FIX)
    rows, scores = (
        np.frombuffer(half, kind).reshape(shape)
        for half, kind in zip((content[:size], content[size:]), _KINDS, strict=True)
    )
    if not -1 <= rows.min() <= rows.max() < block.passages:
        raise CacheCorrupt(f"{path} points at passages that do not exist.", _FIX)
    return rows, scores


def part_paths(folder: Path, name: str = PARTS) -> Iterator[Path]:
    """The part files of that name in a hits folder: of builds, then of its query shards."""
    yield from sorted(folder.glob(name))
    yield from sorted(folder.glob(f"{SHARDS}/*/{name}"))


def searched(folder: Path) -> tuple[int, int]:
    """How many searches of how many the part files of a hits folder speak for; (0, 0) if there are none.

    For showing progress: what the parts hold is not checked here.
    """
    blocks, total = {}, 0
    for path in part_paths(folder):
        label = _label(path)
        if label is not None:
            blocks[label["start"]] = label["stop"] - label["start"]
            total = max(total, label["of"])
    return sum(blocks.values()), total


_FIX = "Delete it; its block is then searched again."


def _header(block: Block, content: bytes) -> bytes:
    """The first line of a part: its block, and the sha256 of all that follows."""
    return canonical_json({**asdict(block), "sha256": hashlib.sha256(content).hexdigest()}).encode("ascii") + b"\n"


def _label(path: Path) -> dict[str, Any] | None:
    """What the first line of a part file says, None if it cannot be read."""
    try:
        with path.open("rb") as file:
            label = json.loads(file.readline(_LONGEST_HEADER))
    except (OSError, ValueError, RecursionError):
        return None
    fits = isinstance(label, dict) and all(type(label.get(name)) is int for name in ("start", "stop", "of"))
    return label if fits else None
