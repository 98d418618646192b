"""What the suite costs every lmms-eval command, and what row selection costs a task.

    python benchmarks/harness_overhead.py

Prints medians over repeated runs, side by side: indexing lmms-eval's tasks, ours, and
ours read from their files; picking and checking the rows of all languages as tasks do,
and by `Dataset.filter` (10,000 rows with images, 30 languages; of `filter` one language
is measured, all are 30 times that).
"""

from __future__ import annotations

import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import lmms_eval.models  # noqa: F401  (imports the plugins, ours among them)
from lmms_eval.tasks import TaskManager
from PIL import Image

from m4rag_tasks import suite
from m4rag_tasks.datasets import rows_of_language
from m4rag_tasks.index import our_index
from m4rag_tasks.suite import TASKS_FOLDER

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
    """Indexing time of lmms-eval's own tasks, of ours on top, and of ours read from their files."""
    manager = object.__new__(TaskManager)
    manager.verbosity, manager.logger = "ERROR", logging.getLogger("benchmark")
    plain = TaskManager.initialize_tasks.__wrapped__
    harness = median_seconds(lambda: plain(manager), 3)
    ours = median_seconds(lambda: fresh_index(TASKS_FOLDER), 5)
    from_files = median_seconds(lambda: plain(manager, str(TASKS_FOLDER), include_defaults=False), 3)
    leaves, groups = len(suite.all_tasks()), len(suite.groups())
    print(f"indexing lmms-eval's own tasks             {harness:7.2f} s")
    print(f"indexing ours ({leaves:,} leaves, {groups:,} groups)   {ours:7.2f} s on top ({ours / harness:.1%} more)")
    print(f"ours, if read from the YAML files          {from_files:7.2f} s ({from_files / ours:,.0f} times slower)")


def fresh_index(folder: Path) -> object:
    """Our index as a process makes it that has not made it before."""
    for cached in (suite.languages, suite.own_codes, suite.all_tasks, suite.groups):
        cached.cache_clear()
    return our_index(folder)


def selecting() -> None:
    """Row selection through the Arrow column against `filter` with a row function."""
    picture = io.BytesIO()
    Image.effect_noise((256, 256), 60).save(picture, "JPEG")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        text = datasets.Value("string")
        features = datasets.Features(
            {
                "qa_id": text,
                "lang": text,
                "question": text,
                "options": datasets.List(text),
                "mcq_answer_index": datasets.Value("int64"),
                "image": datasets.Image(),
            }
        )
        rows = {
            "qa_id": [str(row) for row in range(ROWS)],
            "lang": [f"l{row % LANGUAGES}" for row in range(ROWS)],
            "question": ["What is this?"] * ROWS,
            "options": [["a", "b", "c", "d"]] * ROWS,
            "mcq_answer_index": [0] * ROWS,
            "image": [{"bytes": picture.getvalue(), "path": None}] * ROWS,
        }
        datasets.Dataset.from_dict(rows, features=features).to_parquet(path)
        table = datasets.load_dataset("parquet", data_files=str(path), split="train", cache_dir=folder)
        datasets.disable_caching()
        datasets.disable_progress_bars()
        # One part only, so that nothing but this table is read.
        whole = replace(suite.DATASETS["wc"], local=("rows",))
        languages = [suite.Language(f"l{n}", "", "Latn", "low", {}, "en", f"l{n}") for n in range(LANGUAGES)]
        ours = median_seconds(lambda: [rows_of_language(table, whole, language) for language in languages], 3)
        by_filter = median_seconds(lambda: table.filter(lambda row: row["lang"] == "l7"), 1) * LANGUAGES
    what = f"{ROWS:,} rows, {LANGUAGES} languages"
    print(f"{what}, ours            {ours:7.2f} s")
    print(f"{what}, filter          {by_filter:7.2f} s ({by_filter / ours:,.0f} times slower)")


if __name__ == "__main__":
    indexing()
    selecting()
