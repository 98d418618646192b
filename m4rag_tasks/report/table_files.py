"""The folder of a report's tables: one CSV each, and an index that says what each file is."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from m4rag_tasks.report.data_table import DataTable, csv_text
from m4rag_tasks.report.terminal import write_text
from retrieval_cache.records import CacheWriteError

_INDEX = "index.json"
_KEY = re.compile(r"\w+")


def write_tables(folder: Path, tables: Sequence[DataTable]) -> None:
    """Write `<key>.csv` of each table, and `index.json`, from key to title.

    A table that an earlier report wrote here and this one lacks would be taken for a part of this one: it is removed,
    by the earlier index. Other files stay. Raises `CacheWriteError`.
    """
    earlier = _indexed(folder)
    for table in tables:
        write_text(folder / f"{table.key}.csv", csv_text(table))
    titles = {table.key: table.title for table in tables}
    for key in earlier - titles.keys():
        path = folder / f"{key}.csv"
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CacheWriteError(f"cannot remove {path} of an earlier report: {error.strerror}.") from error
    write_text(folder / _INDEX, json.dumps(titles, ensure_ascii=False, indent=1) + "\n")


def _indexed(folder: Path) -> set[str]:
    """The keys of the tables that an earlier report wrote; none where there is no index of ours."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads((folder / _INDEX).read_bytes())
        if isinstance(content, dict):
            # A key from a file must not lead out of the folder.
            return {key for key in content if _KEY.fullmatch(key)}
    return set()
