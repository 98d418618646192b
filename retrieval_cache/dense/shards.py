"""Embeddings on disk: shards of 16-bit vectors that are read block by block.

`embeddings-00000.npy`, …: int16 [rows, dim + 1] each, SHARD_ROWS rows and in the
last the rest, written atomically, so a killed build loses one shard at most.
After the array come the sha256 of all before it (32 bytes), by which a build
that goes on knows which shards are still as they were written.
The last column is the exponent e of a row, the others times 2^e are its vector
(block floating point). In the two bytes that float16 takes for a number this
errs by at most 2⁻¹⁵ of the vector's largest number: float16 has eleven bits of
each number, and that its rounding swaps neighbours in a ranking shows already
among some ten thousand passages (`benchmarks/dense_search.py`).

The vectors of an index *are* the rounded ones: float32 holds them exactly, and
every score is computed from them, whatever the encoder gave.

Blocks are read into buffers of fixed size with plain reads. Mapping the files
into memory instead costs a page fault for every 4 KiB at each pass, and counts
the whole index as resident.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval_cache.files import atomic_file, reading
from retrieval_cache.records import CacheCorrupt, CacheIncomplete

SHARD_ROWS = 4096
PATTERN = "embeddings-*.npy"
_SHA256 = 32  # bytes of it after the array


def shard_path(folder: Path, number: int) -> Path:
    """Where the shard with this number lies."""
    return folder / PATTERN.replace("*", f"{number:05d}")


@dataclass(frozen=True)
class _Shard:
    path: Path
    first: int  # row of the index that its first row is
    rows: int
    offset: int  # bytes before the first vector


class Shards:
    """The embeddings of an index, opened; may be read by several threads at once."""

    def __init__(self, folder: Path, dim: int) -> None:
        """Look at the head of every shard. Raises CacheIncomplete without any, CacheCorrupt for a strange one."""
        self.dim = dim
        self._shards: list[_Shard] = []
        for path in sorted(folder.glob(PATTERN)):
            mapped = _mapped(path)
            if mapped is None or mapped.shape[1] != dim + 1:
                raise _corrupt(path, dim)
            self._shards.append(_Shard(path, len(self), len(mapped), mapped.offset))
        if not self._shards:
            raise CacheIncomplete(f"{folder} holds no embeddings.", "Build it again.")

    def __len__(self) -> int:
        return self._shards[-1].first + self._shards[-1].rows if self._shards else 0

    def blocks(self, max_rows: int, wanted: np.ndarray | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """First row and packed vectors, int16 [rows, dim + 1], of one block after the other; see `unpack`.

        A block is as many whole shards as `max_rows` allows, at least one. With
        `wanted` (sorted rows), blocks that hold none of them are left out. The
        array is a buffer that is filled anew: use it before taking the next.
        The next block is read while this one is used; two buffers in all.
        """
        groups = [group for group in self._groups(max_rows) if wanted is None or _holds(group, wanted)]
        longest = max((sum(shard.rows for shard in group) for group in groups), default=0)
        buffers = [np.empty((longest, self.dim + 1), np.int16) for _ in range(min(2, len(groups)))]
        with ThreadPoolExecutor(1) as reader:
            waiting = [reader.submit(self._read, group, buffer) for group, buffer in zip(groups, buffers, strict=False)]
            for number, group in enumerate(groups):
                yield group[0].first, waiting.pop(0).result()
                if number + 2 < len(groups):
                    waiting.append(reader.submit(self._read, groups[number + 2], buffers[number % 2]))

    def take(self, rows: np.ndarray, max_rows: int) -> np.ndarray:
        """The vectors of some rows (sorted, int64 [n]), float32 [n, dim]."""
        taken = np.empty((len(rows), self.dim), np.float32)
        for first, block in self.blocks(max_rows, rows):
            low, high = np.searchsorted(rows, (first, first + len(block)))
            unpack(block[rows[low:high] - first], taken[low:high])
        return taken

    def _groups(self, max_rows: int) -> Iterator[list[_Shard]]:
        group: list[_Shard] = []
        for shard in self._shards:
            if group and shard.first + shard.rows - group[0].first > max_rows:
                yield group
                group = []
            group.append(shard)
        yield group

    def _read(self, group: list[_Shard], buffer: np.ndarray) -> np.ndarray:
        filled = 0
        for shard in group:
            part = buffer[filled : filled + shard.rows]
            with reading(shard.path), shard.path.open("rb", buffering=0) as file:
                file.seek(shard.offset)
                if _read_whole(file, memoryview(part).cast("B")) < part.nbytes:
                    raise _corrupt(shard.path, self.dim)
            filled += shard.rows
        return buffer[:filled]


def write_shard(path: Path, packed: np.ndarray) -> None:
    """Write what `pack` gave."""
    content = io.BytesIO()
    np.save(content, packed, allow_pickle=False)
    with atomic_file(path) as file:
        file.write(content.getbuffer())
        file.write(hashlib.sha256(content.getbuffer()).digest())


def pack(vectors: np.ndarray) -> np.ndarray:
    """int16 [n, dim + 1]: finite vectors [n, dim] rounded to multiples of a power of two, and its exponent."""
    vectors = vectors.astype(np.float64)
    largest = np.abs(vectors).max(axis=1, initial=0)
    exponents = np.frexp(largest)[1] - 15
    # Below this a power of two is no normal float32.
    exponents = np.maximum(exponents, np.finfo(np.float32).minexp)
    packed = np.empty((len(vectors), vectors.shape[1] + 1), np.int16)
    limit = np.iinfo(np.int16).max  # the largest number may round to one more
    packed[:, :-1] = np.clip(np.rint(np.ldexp(vectors, -exponents[:, None])), -limit, limit)
    packed[:, -1] = exponents
    return packed


def unpack(packed: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """float32 [n, dim]: the vectors of packed rows, exactly; into `out` if it is given."""
    scales = np.ldexp(np.float32(1), packed[:, -1].astype(np.int32))[:, None]
    return np.multiply(packed[:, :-1], scales, out=out, dtype=np.float32)


def is_shard(path: Path, rows: int, dim: int) -> bool:
    """Whether a shard of this shape lies at `path`, to the last bit as it was written; a damaged one is warned of."""
    try:
        with reading(path):
            content = memoryview(path.read_bytes())
    except FileNotFoundError:
        return False
    mapped = _mapped(path)
    whole = mapped is not None and mapped.shape == (rows, dim + 1)
    if whole and hashlib.sha256(content[:-_SHA256]).digest() == content[-_SHA256:]:
        return True
    warnings.warn(f"embedding its passages again, because {path} was changed or is something else.", stacklevel=2)
    return False


def _mapped(path: Path) -> np.memmap | None:
    """The shard mapped for a look at its shape (no vector is read); None if it is none or cut off."""
    try:
        shard = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError, SyntaxError, tokenize.TokenError):  # what a damaged head may raise
        return None
    return shard if shard.ndim == 2 and len(shard) and shard.dtype == np.int16 else None


def _holds(group: list[_Shard], wanted: np.ndarray) -> bool:
    low, high = np.searchsorted(wanted, (group[0].first, group[-1].first + group[-1].rows))
    return bool(high > low)


def _read_whole(file, buffer: memoryview) -> int:
    """Fill `buffer` (one read may give less); returns the bytes read."""
    filled = 0
    while filled < len(buffer) and (got := file.readinto(buffer[filled:])):
        filled += got
    return filled


def _corrupt(path: Path, dim: int) -> CacheCorrupt:
    return CacheCorrupt(
        f"{path} does not hold 16-bit vectors of {dim} numbers.",
        "Delete the folder it lies in and build again.",
    )
