"""The passages of a corpus as one Arrow file that is memory-mapped to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from retrieval_cache.mapped import forget
from retrieval_cache.records import CacheCorrupt, Passage
from retrieval_cache.store.arrow import map_table, write_batches

FILE = "passages.arrow"
BATCH_ROWS = 4096
_BATCHES_IN_MEMORY = 16

_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("article_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("language", pa.string(), nullable=False),
        pa.field("image", pa.string()),
    ]
)


def write_passages(path: Path, passages: Iterable[Passage]) -> int:
    """Write passages in the order given, streamed; returns how many there were."""
    return write_batches(path, _SCHEMA, _batches(passages))


def copy_passages(source: PassageTable, rows: np.ndarray, path: Path) -> None:
    """Write the passages of these rows of another file, in their order."""
    write_batches(path, _SCHEMA, source.batches(rows))


class PassageTable:
    """Passages by row; reading is safe from several threads at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._table, self._mapped = map_table(path)
        if not self._table.schema.equals(_SCHEMA):
            raise CacheCorrupt(
                f"{path} does not have the columns of a passages file.",
                "Delete the folder it lies in and build or fetch it again.",
            )
        self._columns = {name: self._table[name] for name in _SCHEMA.names}

    def __len__(self) -> int:
        return self._table.num_rows

    def __getitem__(self, row: int) -> Passage:
        if not 0 <= row < len(self):
            raise IndexError(f"{self.path} has rows 0 to {len(self) - 1}; {row} was asked for")
        return Passage(**{name: column[row].as_py() for name, column in self._columns.items()})

    def __iter__(self) -> Iterator[Passage]:
        for batch, start in enumerate(range(0, len(self), BATCH_ROWS)):
            yield from self.slice(start, start + BATCH_ROWS)
            if batch % _BATCHES_IN_MEMORY == _BATCHES_IN_MEMORY - 1:
                self.forget()

    def slice(self, start: int, stop: int) -> list[Passage]:
        """Passages of rows start … stop-1 (fewer at the end)."""
        return [Passage(**row) for row in self._table.slice(start, stop - start).to_pylist()]

    def forget(self) -> None:
        """Give back the memory of what was read so far; it is read again when needed."""
        forget(self._mapped)

    def batches(self, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
        """The passages of these rows, in their order, as an Arrow table's batches."""
        for start in range(0, len(rows), BATCH_ROWS):
            chosen = self._table.take(pa.array(rows[start : start + BATCH_ROWS]))
            yield from chosen.combine_chunks().to_batches()

    def column(self, name: str) -> pa.ChunkedArray:
        """One field of all passages."""
        return self._columns[name]

    def images(self) -> dict[str, str]:
        """Image address → id of the first passage that has it."""
        found: dict[str, str] = {}
        for batch in self._table.select(["image", "id"]).to_batches():
            for image, passage_id in zip(batch["image"].to_pylist(), batch["id"].to_pylist(), strict=True):
                if image is not None:
                    found.setdefault(image, passage_id)
        return found


def _batches(passages: Iterable[Passage]) -> Iterator[pa.RecordBatch]:
    rows: list[dict] = []
    for passage in passages:
        rows.append(vars(passage))
        if len(rows) == BATCH_ROWS:
            yield pa.RecordBatch.from_pylist(rows, _SCHEMA)
            rows = []
    if rows:
        yield pa.RecordBatch.from_pylist(rows, _SCHEMA)
