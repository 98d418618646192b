"""Arrow IPC files: written atomically, read memory-mapped, no pickles."""

from __future__ import annotations

import mmap
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from retrieval_cache.files import atomic_file
from retrieval_cache.mapped import map_file
from retrieval_cache.records import CacheCorrupt

_KINDS = {pa.int32(): np.int32, pa.float32(): np.float32}
_FIX = "Delete the folder it lies in and build or fetch it again."


def write_batches(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write record batches as one Arrow IPC file, streamed; returns the number of rows."""
    rows = 0
    with atomic_file(path) as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


def read_table(path: Path) -> pa.Table:
    """Open an Arrow IPC file without copying it into memory."""
    return map_table(path)[0]


def map_table(path: Path) -> tuple[pa.Table, mmap.mmap | None]:
    """The same, and the map that its columns lie in."""
    try:
        mapped = map_file(path)
        return pa.ipc.open_file(pa.py_buffer(mapped or b"")).read_all(), mapped
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise CacheCorrupt(f"{path} is not a readable Arrow file ({error}).", _FIX) from error


def fixed_lists(values: np.ndarray) -> pa.FixedSizeListArray:
    """A [n, k] array as Arrow lists of fixed size k."""
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def from_fixed_lists(column: pa.ChunkedArray, k: int) -> np.ndarray:
    """The [n, k] array behind a column of fixed size lists."""
    if not pa.types.is_fixed_size_list(column.type) or column.type.list_size != k:
        raise CacheCorrupt(f"a column of lists of {k} is wanted, this is {column.type}.", _FIX)
    lists = column.combine_chunks()
    kind = _KINDS.get(lists.type.value_type)
    if kind is None or lists.null_count or lists.values.null_count:
        raise CacheCorrupt(f"a column of int32 or float32 without gaps is wanted, this is {column.type}.", _FIX)
    # to_numpy() would do, but imports pandas first, which takes longer than all the rest of opening a cache.
    values = np.frombuffer(lists.values.buffers()[1], kind) if len(lists) else np.empty(0, kind)
    start = lists.values.offset + lists.offset * k
    return values[start : start + len(lists) * k].reshape(-1, k)
