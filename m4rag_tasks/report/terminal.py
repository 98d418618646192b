"""Text for terminals and files: aligned columns, half characters, whole files or none."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from retrieval_cache.files import atomic_file


def aligned(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Lines of aligned columns: the first `left` flush left, the others flush right."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for number, (text, width) in enumerate(zip(row, widths, strict=True)):
            padding = " " * (width - _width(text))
            cells.append(text + padding if number < left else padding + text)
        lines.append("  ".join(cells).rstrip())
    return lines


def write_text(path: Path, text: str) -> None:
    """Write a file in UTF-8, whole or not at all. Raises `CacheWriteError`."""
    with atomic_file(path) as file:
        file.write(encodable(text).encode("utf-8"))


def encodable(text: str) -> str:
    """The text with half characters (lone surrogates, which a model may well write) spelled out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _width(text: str) -> int:
    """Terminal columns: East Asian wide characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)
