"""Rows of one corpus file, whatever it is packed in: JSON lines, plain or compressed, or Parquet.

The first bytes decide, not the name: gzip, bzip2, xz, zstd or Parquet, else
plain lines. Rows are streamed; what is held at a time is one line of at most
MAX_LINE bytes, or a few dozen rows beside one row group of a Parquet file.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from retrieval_cache.corpus.files import ContentHash, CorpusFile
from retrieval_cache.corpus.layout import COLUMNS, BrokenLine, parse
from retrieval_cache.records import CorpusError

MAX_LINE = 64 << 20
"""Bytes of a line, above which it is broken: no article is so long, and memory is bounded."""
_BLOCK = 1 << 20
_PARQUET = b"PAR1"
_PARQUET_ROWS = 64


def _zstd(stream: IO[bytes]) -> Any:
    # Unlike the zstandard package's reader, Arrow's says when the last frame is cut short.
    return io.BufferedReader(pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd"), _BLOCK)


_UNPACK: dict[bytes, Callable[[Any], Any]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"\x28\xb5\x2f\xfd": _zstd,
}
_UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException)
"""What the readers raise for files that are cut short or damaged, and for networks that fail."""

Row = tuple[int, Any]
"""Line number from 1 (row number in Parquet) and the row, or the BrokenLine in its place."""


class RowReader:
    """Iterator over the rows of a file; one pass.

    `position` is how many bytes of the file have been read, `content_id` what
    they amount to, once all were. Raises CorpusError for a file that is missing,
    cut short or damaged: what follows is then unknown, so nothing is skipped.
    """

    def __init__(self, file: CorpusFile) -> None:
        self.file = file
        self.content_id = ""
        self._number = 0
        self._raw: _Hashed | None = None

    @property
    def position(self) -> int:
        return self._raw.position if self._raw else 0

    def __iter__(self) -> Iterator[Row]:
        try:
            with self.file.open() as stored:
                self._raw = _Hashed(stored, self.file.new_hash())
                stream = io.BufferedReader(self._raw, _BLOCK)
                if stream.peek(len(_PARQUET)).startswith(_PARQUET):
                    yield from self._parquet(stored)
                    self._identify_parquet(stored)
                else:
                    yield from self._jsonl(_unpacked(stream))
                    self._identify(self._raw)
        except FileNotFoundError as error:
            raise CorpusError(
                f"there is no corpus file {self.file.name}.", "Check the path, or fetch the corpus."
            ) from error
        except _UNREADABLE as error:
            raise self._unreadable(str(error)) from error

    def _jsonl(self, stream: IO[bytes]) -> Iterator[Row]:
        for number, line in _lines(stream):
            if line is None:
                yield number, BrokenLine("too_long", f"longer than {MAX_LINE >> 20} MiB")
            elif line.strip():
                try:
                    row: Any = parse(line)
                except BrokenLine as error:
                    if not line.endswith(b"\n"):  # the last line, and it stops in the middle
                        raise self._unreadable(f"its last line, {number}, has no end and is {error.reason}") from error
                    row = error
                yield number, row
            self._number = number

    def _parquet(self, stored: IO[bytes]) -> Iterator[Row]:
        stored.seek(0)
        file = pq.ParquetFile(stored)
        columns = [name for name in file.schema_arrow.names if name in COLUMNS]
        for batch in file.iter_batches(_PARQUET_ROWS, columns=columns, use_threads=False):
            for index in range(len(batch)):
                self._number += 1
                yield self._number, _parquet_row(batch, index)

    def _identify_parquet(self, stored: IO[bytes]) -> None:
        """Parquet is read here and there: it is what it was promised to be, or is read once more in order."""
        if self.file.content_id is not None:
            self.content_id = self.file.content_id
            return
        stored.seek(0)
        self._identify(_Hashed(stored, self.file.new_hash()))

    def _identify(self, raw: _Hashed) -> None:
        raw.read_rest()
        self.content_id = raw.hash.content_id()
        promised = self.file.content_id
        if promised not in (None, self.content_id):
            raise self._unreadable(f"its content is {self.content_id}, and {promised} was promised")

    def _unreadable(self, reason: str) -> CorpusError:
        return CorpusError(
            f"{self.file.name}: cannot be read after line {self._number} ({reason}).",
            "The file may be cut short: fetch it again.",
        )


class _Hashed(io.RawIOBase):
    """Bytes of a file, hashed and counted as they are read in order."""

    def __init__(self, stored: IO[bytes], new_hash: ContentHash) -> None:
        self._stored = stored
        self.hash, self.position = new_hash, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = self._stored.read(len(buffer))
        buffer[: len(block)] = block
        self.hash.update(block)
        self.position += len(block)
        return len(block)

    def read_rest(self) -> None:
        """Hash what is left too, such as bytes behind the last compressed frame."""
        while self.readinto(bytearray(_BLOCK)):
            pass


def _unpacked(stream: io.BufferedReader) -> IO[bytes]:
    head = stream.peek(max(map(len, _UNPACK)))
    opener = next((opener for magic, opener in _UNPACK.items() if head.startswith(magic)), None)
    return opener(stream) if opener else stream


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers from 1; None for one that is longer than MAX_LINE bytes."""
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) < MAX_LINE or line.endswith(b"\n"):
            yield number, line
        else:
            while (more := stream.readline(MAX_LINE)) and not more.endswith(b"\n"):
                pass
            yield number, None


def _parquet_row(batch: pa.RecordBatch, index: int) -> Any:
    try:
        (row,) = batch.slice(index, 1).to_pylist()
    except UnicodeDecodeError as error:
        return BrokenLine("wrong_field", f"text that is not UTF-8 ({error.reason})")
    # Parquet's columns have one type: a page without content, "" in JSON, is null there.
    return {**row, "content": ""} if row.get("content", "") is None else row
