"""What the suite costs every lmms-eval command, and what row selection costs a task.

    python benchmarks/harness_overhead.py

Prints medians over repeated runs, side by side: indexing all tasks without and
with ours; selecting one language's rows through Arrow and by `Dataset.filter`
(10,000 rows with images, 30 languages; one language is measured, all are 30 times that).
"""

from __future__ import annotations

import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import lmms_eval.models  # noqa: F401  (imports the plugins, ours among them)
from lmms_eval.tasks import TaskManager
from PIL import Image

from m4rag_tasks import suite
from m4rag_tasks.datasets import _select
from m4rag_tasks.plugin import TASKS_FOLDER

ROWS, LANGUAGES = 10_000, 30


def median_seconds(action: Callable[[], object], repeats: int) -> float:
    """Median wall time of `action` in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def indexing() -> None:
    """Indexing time of lmms-eval's own tasks, and of ours on top."""
    manager = object.__new__(TaskManager)
    manager.verbosity, manager.logger = "ERROR", logging.getLogger("benchmark")
    plain = TaskManager.initialize_tasks.__wrapped__
    harness = median_seconds(lambda: plain(manager), 3)
    ours = median_seconds(lambda: plain(manager, str(TASKS_FOLDER), include_defaults=False), 3)
    print(f"indexing lmms-eval's own tasks   {harness:7.2f} s")
    print(f"indexing ours ({len(suite.all_tasks())} leaves) on top   {ours:7.2f} s   ({ours / harness:.0%} more)")


def selecting() -> None:
    """Row selection through the Arrow column against `filter` with a row function."""
    picture = io.BytesIO()
    Image.effect_noise((256, 256), 60).save(picture, "JPEG")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        features = datasets.Features({"lang": datasets.Value("string"), "image": datasets.Image()})
        rows = {
            "lang": [f"l{row % LANGUAGES}" for row in range(ROWS)],
            "image": [{"bytes": picture.getvalue(), "path": None}] * ROWS,
        }
        datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
        table = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=folder)
        datasets.disable_caching()
        datasets.disable_progress_bars()
        arrow = median_seconds(lambda: _select(table, "l7"), 5)
        by_filter = median_seconds(lambda: table.filter(lambda row: row["lang"] == "l7"), 1)
    print(f"one language of {ROWS:,} rows, filter {by_filter:7.2f} s")
    print(f"one language of {ROWS:,} rows, ours   {arrow * 1000:7.2f} ms  ({by_filter / arrow:,.0f} times faster)")


if __name__ == "__main__":
    indexing()
    selecting()
