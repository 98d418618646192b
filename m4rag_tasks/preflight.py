"""Can these tasks run? Found out without loading a model.

Two depths: `stop_unless_ready` looks at what is there (data, templates, cache)
and costs milliseconds, so every run does it first; `preflight` also reads every
row, opens every image and renders every prompt, as `m4rag preflight` asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from m4rag_tasks import datasets, hooks, suite
from m4rag_tasks.errors import DataError, M4ragError
from m4rag_tasks.suite import Task
from retrieval_cache import CacheError


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
            hooks.check_task(task)
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


def preflight(tasks: Sequence[Task], *, images: bool = True) -> list[Finding]:
    """Everything that would keep the tasks from running: one finding per task and fault.

    Reads every row, renders every prompt and, with `images`, opens every image once.
    """
    findings: list[Finding] = []
    seen_images: set[str] = set()
    rows_by_dataset: dict[str, dict[str, list[datasets.Row]]] = {}
    for task in tqdm(tasks, desc="preflight", unit="task", delay=2, disable=None):
        try:
            hooks.check_task(task)
            if task.dataset.key not in rows_by_dataset:
                rows_by_dataset[task.dataset.key] = _rows_by_language(task)
            rows = rows_by_dataset[task.dataset.key].get(task.language.code)
            if not rows:
                raise DataError(f"{task.dataset.title} has no rows for language {task.language.code!r}.")
            for row in rows:
                hooks.render(task.dataset, task.setting, row)
                if images and row.image_id not in seen_images:
                    seen_images.add(row.image_id)
                    _open_image(task, row)
        except (M4ragError, CacheError) as error:
            findings.append(Finding(task.name, str(error)))
    return findings


def _rows_by_language(task: Task) -> dict[str, list[datasets.Row]]:
    by_language: dict[str, list[datasets.Row]] = {}
    for row in datasets.all_rows(task.dataset):
        by_language.setdefault(row.language, []).append(row)
    return by_language


def _open_image(task: Task, row: datasets.Row) -> None:
    doc = {"qa_id": row.qa_id, "lang": row.language, "image_path": row.image_id}
    datasets.load_image(task.dataset, doc)
