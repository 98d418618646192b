"""Can these tasks run? Found out without loading a model.

Two depths: `stop_unless_ready` looks at what is there (data, templates, cache)
and costs milliseconds, so every run does it first; `preflight` also reads every
row, opens every image and renders every prompt, as `m4rag preflight` asks.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tqdm import tqdm

from m4rag_tasks import datasets, images, retrieval, suite
from m4rag_tasks.cell import Cell
from m4rag_tasks.errors import DataError, M4ragError
from m4rag_tasks.rows import image_id as image_id_of
from m4rag_tasks.suite import Dataset, Language, Task
from retrieval_cache import CacheError, verify

if TYPE_CHECKING:
    import datasets as hf_datasets


@dataclass(frozen=True)
class Finding:
    """One thing that keeps a task from running; `where` names the task."""

    where: str
    problem: str


def stop_unless_ready(names: Iterable[str]) -> None:
    """Leave with SystemExit and the command to run, if data, template or cache is missing."""
    problems = {}
    for task in _known_tasks(names):
        try:
            _cell(task).check(task.language)
        except (M4ragError, CacheError) as error:
            problems.setdefault(str(error), task.name)
    if problems:
        raise SystemExit("\n".join(f"m4rag: {name}: {problem}" for problem, name in problems.items()))


def _known_tasks(names: Iterable[str]) -> list[Task]:
    """Our leaves behind these names; a name that the grid does not know is somebody's own task."""
    tasks: dict[str, Task] = {}
    for name in names:
        try:
            tasks.update((task.name, task) for task in suite.resolve(name))
        except M4ragError:
            continue
    return list(tasks.values())


def preflight(tasks: Sequence[Task], *, open_images: bool = True) -> list[Finding]:
    """Everything that would keep the tasks from running: one finding per task that cannot.

    Reads every row, renders every prompt and, with `open_images`, opens every image once.
    """
    findings: list[Finding] = []
    opened: set[tuple[str, str]] = set()
    images.show_images(True)
    for task in tqdm(tasks, desc="preflight", unit="task", delay=2, disable=None):
        try:
            _cell(task).check(task.language)
            _verify_cache(task)
            rows = _rows(task.dataset, task.language)
            cell = _cell(task)
            for doc in datasets.without_images(rows):
                cell.prompt(cell.row(doc))
            if open_images:
                images.check_images(task.dataset, rows)
                _open_images(task.dataset, rows, opened)
        except (M4ragError, CacheError) as error:
            findings.append(Finding(task.name, str(error)))
    return findings


def _cell(task: Task) -> Cell:
    return Cell(task.dataset, task.setting, task.variant)


def _verify_cache(task: Task) -> None:
    """Every checksum of the cache, which a run looks at only in part."""
    if task.setting.retriever:
        problems = _cache_problems(task.dataset.key, task.setting.name)
        if problems:
            raise DataError("; ".join(problems))


@functools.lru_cache(maxsize=64)
def _cache_problems(dataset: str, setting: str) -> tuple[str, ...]:
    return tuple(verify(retrieval.open_cache(dataset, setting).folder, retrieval.cache_root()))


@functools.lru_cache(maxsize=64)
def _rows(dataset: Dataset, language: Language) -> hf_datasets.Dataset:
    return datasets.load_rows(dataset, language)


def _open_images(dataset: Dataset, rows: hf_datasets.Dataset, opened: set[tuple[str, str]]) -> None:
    """Open what is not in `opened` yet (languages share images), and note it there."""
    for index, doc in enumerate(datasets.without_images(rows)):
        image_id = image_id_of(dataset, doc)
        if (dataset.key, image_id) not in opened:
            images.load_image(dataset, rows[index])
            opened.add((dataset.key, image_id))
