"""The files of a BM25 index: plain .npy arrays, memory-mapped, checked when opened.

Passages are numbered by row and lie in blocks of 65,536 rows, so that a place
inside its block takes two bytes. All that one block has of one term is a
segment; the segments of a term follow each other, and so do their postings:

    hash           uint64 [terms, 2]   128-bit hash of each term, sorted
    first_segment  [terms + 1]         where the segments of each term begin
    segment_block  uint16 [segments]   grows within a term
    segment_start  [segments + 1]      where the postings of each segment begin
    segment_bound  uint8 [segments]    best term part there, in 1/255 of k1 + 1, rounded up
    offset         uint16 [postings]   row inside the block, grows within a segment
    count          uint8 [postings]    occurrences; 255 stands for 255 or more
    overflow_at    int64               postings whose count is 255 or more, growing,
    overflow_count int64               and the count itself
    length         uint32 [passages]   terms per passage

Terms themselves are not kept (see `hashing`). `index.json` holds the sums that
scores need. Positions are uint32, or int64 where there are more than 2^32.
"""

from __future__ import annotations

import json
import math
import mmap
import tokenize
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from retrieval_cache.files import atomic_file, read_json, reading
from retrieval_cache.mapped import forget, map_file
from retrieval_cache.records import CacheCorrupt

BLOCK = 1 << 16
HEADER = "index.json"
ARRAYS = (
    "hash", "first_segment", "segment_block", "segment_start", "segment_bound",
    "offset", "count", "overflow_at", "overflow_count", "length",
)  # fmt: skip
FILES = (HEADER, *(f"{name}.npy" for name in ARRAYS))
MANY = 255
"""A stored count that says: look into the overflow."""

_FIX = "Delete the folder it lies in and build or fetch it again."
_POSITIONS = (np.dtype(np.uint32), np.dtype(np.int64))
_KINDS = {
    "hash": (np.dtype(np.uint64),),
    "first_segment": _POSITIONS,
    "segment_block": (np.dtype(np.uint16),),
    "segment_start": _POSITIONS,
    "segment_bound": (np.dtype(np.uint8),),
    "offset": (np.dtype(np.uint16),),
    "count": (np.dtype(np.uint8),),
    "overflow_at": (np.dtype(np.int64),),
    "overflow_count": (np.dtype(np.int64),),
    "length": (np.dtype(np.uint32),),
}


def position_type(most: int) -> np.dtype:
    """The type of positions up to `most`."""
    return _POSITIONS[0] if most < 1 << 32 else _POSITIONS[1]


class ArrayWriter:
    """Writes one array to an .npy file piece by piece; the file appears when all went well."""

    def __init__(self, stack: ExitStack, path: Path, dtype: Any, columns: int | None = None) -> None:
        """`columns` makes it two-dimensional; the file lives as long as `stack` is open."""
        self._file: IO[bytes] = stack.enter_context(atomic_file(path))
        self._dtype, self._columns, self._rows = np.dtype(dtype), columns, 0
        self._header()
        self._start = self._file.tell()
        stack.callback(self._finish)

    def append(self, values: np.ndarray) -> None:
        np.ascontiguousarray(values, self._dtype).tofile(self._file)
        self._rows += len(values)

    def _header(self) -> None:
        shape = (self._rows,) if self._columns is None else (self._rows, self._columns)
        entries = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, entries)

    def _finish(self) -> None:
        end = self._file.tell()
        self._file.seek(0)
        self._header()  # as long as before: NumPy leaves room for a first axis that grows
        if self._file.tell() != self._start:
            raise RuntimeError("this NumPy leaves no room in the header of an .npy file")
        self._file.seek(end)


class IndexFiles:
    """An opened index: `header` and one read-only array per name of ARRAYS.

    Only sizes and ends are checked here, since reading all would make opening
    slow; whoever follows a position must check it (`scoring` does).
    """

    def __init__(self, folder: Path) -> None:
        """Raises CacheCorrupt for files that do not belong together, FileNotFoundError for lost ones."""
        self.folder = folder
        self.header = _checked_header(folder / HEADER)
        self._maps: dict[str, mmap.mmap | None] = {}
        self.arrays: dict[str, np.ndarray] = {}
        for name in ARRAYS:
            self._maps[name], self.arrays[name] = _map_array(folder / f"{name}.npy", _KINDS[name])
        self._check()

    def forget(self) -> None:
        """Give back the memory of the file pages read so far; they are read again when needed."""
        for mapped in self._maps.values():
            forget(mapped)

    def _check(self) -> None:
        sizes = {name: self.header[name] for name in ("passages", "terms", "segments", "postings")}
        wanted = {
            "hash": (sizes["terms"], 2),
            "first_segment": (sizes["terms"] + 1,),
            "segment_block": (sizes["segments"],),
            "segment_start": (sizes["segments"] + 1,),
            "segment_bound": (sizes["segments"],),
            "offset": (sizes["postings"],),
            "count": (sizes["postings"],),
            "length": (sizes["passages"],),
            "overflow_count": self.arrays["overflow_at"].shape,
        }
        for name, shape in wanted.items():
            if self.arrays[name].shape != shape:
                raise CacheCorrupt(
                    f"{self.folder / name}.npy has the shape {self.arrays[name].shape}, not {shape}.", _FIX
                )
        for name, end in (("first_segment", sizes["segments"]), ("segment_start", sizes["postings"])):
            if self.arrays[name][0] != 0 or self.arrays[name][-1] != end:
                raise self.corrupt(name)

    def corrupt(self, name: str) -> CacheCorrupt:
        """The error for positions of an array that lead nowhere."""
        return CacheCorrupt(f"{self.folder / name}.npy holds positions that do not exist.", _FIX)


def _checked_header(path: Path) -> dict[str, Any]:
    header = read_json(path)
    try:
        counts = [header[name] for name in ("passages", "terms", "segments", "postings", "tokens")]
        good = all(type(count) is int and count >= 0 for count in counts)
        good = good and type(header["idf_sum"]) is float and math.isfinite(header["idf_sum"])
    except (KeyError, TypeError):
        good = False
    if not good:
        raise CacheCorrupt(f"{path} is not the header of a BM25 index.", _FIX)
    return header


def _map_array(path: Path, kinds: Sequence[np.dtype]) -> tuple[mmap.mmap | None, np.ndarray]:
    """Memory-map an .npy file of one of `kinds`; an empty array has no map."""
    with reading(path), path.open("rb") as file:
        try:
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("another version")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
            if min(shape, default=0) < 0:
                raise ValueError(f"shape {shape}")
        except (ValueError, SyntaxError, tokenize.TokenError, RecursionError) as error:
            raise CacheCorrupt(f"{path} is not an .npy file ({error}).", _FIX) from error
        start, size = file.tell(), math.prod(shape) * dtype.itemsize
        if fortran or dtype not in kinds or start + size != path.stat().st_size:
            raise CacheCorrupt(f"{path} is cut off or holds something else than {kinds[0]} numbers.", _FIX)
    mapped = map_file(path) if size else None
    values = np.frombuffer(mapped or b"", dtype, math.prod(shape), start if size else 0).reshape(shape)
    return mapped, values


def write_header(path: Path, header: dict[str, Any]) -> None:
    """Write `index.json`; floats come back bit for bit."""
    with atomic_file(path) as file:
        file.write((json.dumps(header, sort_keys=True, indent=2, allow_nan=False) + "\n").encode("ascii"))
