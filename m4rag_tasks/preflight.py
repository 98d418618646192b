"""Can these tasks run? Found out without loading a model.

Two depths: `stop_unless_ready` looks at what is there (data, rows, knowledge base,
templates, contexts, cache, pictures) without opening a picture, so every run does it
first; `preflight` also renders every prompt, opens every image and reads the whole
cache, as `m4rag preflight` asks. Tasks share nearly all of it: each thing is looked at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from m4rag_tasks import datasets, images, retrieval, sources, suite
from m4rag_tasks.cells import cell_of
from m4rag_tasks.errors import DataError, M4ragError, UnknownNameError
from m4rag_tasks.suite import Dataset, Language, Task
from retrieval_cache import CacheError, verify

if TYPE_CHECKING:
    import datasets as hf_datasets

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """One thing that keeps a task from running; `where` names the task."""

    where: str
    problem: str


def stop_unless_ready(names: Iterable[str], *, images: bool) -> None:
    """Leave with SystemExit, one line per problem, if anything that these tasks need is missing or unusable.

    `images`: whether the model looks at pictures, so that they must be there. Names that
    the grid does not know are somebody's own tasks and left alone.
    """
    look = _Look(pictures="there" if images else "none")
    findings = look.findings(_known_tasks(names))
    if findings:
        raise SystemExit("\n".join(f"m4rag: {line}" for line in in_lines(findings)))


def preflight(tasks: Sequence[Task], *, open_images: bool = True) -> list[Finding]:
    """Everything that would keep the tasks from running: one finding per task that cannot.

    Reads every row, renders every prompt, checks every byte of the caches and, with
    `open_images`, opens every image once.
    """
    images.show_images(True)
    look = _Look(pictures="opened" if open_images else "none", thorough=True)
    return look.findings(tqdm(tasks, desc="preflight", unit="task", delay=2, disable=None))


def in_lines(findings: Iterable[Finding]) -> list[str]:
    """One line per problem, with the first task that has it and how many more do."""
    tasks: dict[str, list[str]] = {}
    for finding in findings:
        tasks.setdefault(finding.problem, []).append(finding.where)
    more = {problem: f" and {len(names) - 1} more" if len(names) > 1 else "" for problem, names in tasks.items()}
    return [f"{names[0]}{more[problem]}: {problem}" for problem, names in tasks.items()]


def _known_tasks(names: Iterable[str]) -> list[Task]:
    """Our leaves behind these names; a name that the grid does not know is somebody's own task."""
    tasks: dict[str, Task] = {}
    for name in names:
        try:
            tasks.update((task.name, task) for task in suite.resolve(name))
        except UnknownNameError:
            continue
    return list(tasks.values())


class _Look:
    """One look at some tasks. What several of them need is looked at for the first of them.

    `pictures`: "none", "there" or "opened". `thorough`: also prompts and whole caches.
    """

    def __init__(self, *, pictures: str, thorough: bool = False) -> None:
        self.pictures, self.thorough = pictures, thorough
        self._done: dict[tuple[Any, ...], tuple[Any, M4ragError | CacheError | None]] = {}
        self._opened: set[tuple[Any, ...]] = set()  # pictures

    def findings(self, tasks: Iterable[Task]) -> list[Finding]:
        """The first problem of each task that has one."""
        found = []
        for task in tasks:
            try:
                self._task(task)
            except (M4ragError, CacheError) as error:
                found.append(Finding(task.name, str(error)))
        return found

    def _task(self, task: Task) -> None:
        cell = cell_of(task)
        cell.check(task.language)
        self._once(_load_parts, task.dataset)
        rows = self._once(_rows, task.dataset, task.language)
        self._once(self._look_at_options, task.dataset, task.language, cell.asked)
        if "food_id" in rows.column_names:
            self._once(datasets.knowledge_base, task.dataset)
        if self.thorough:
            if task.setting.retriever:
                self._once(_verify_cache, task.dataset.key, task.setting.cached_as)
            for doc in cell.docs(datasets.without_images(rows)):
                cell.prompt(cell.row(doc))
        if self.pictures != "none" and task.setting.pictured:
            self._once(self._look_at_pictures, task.dataset, task.language)

    def _look_at_options(self, dataset: Dataset, language: Language, asked: str) -> None:
        datasets.check_options(self._once(_rows, dataset, language), dataset, language, asked)

    def _look_at_pictures(self, dataset: Dataset, language: Language) -> None:
        rows = self._once(_rows, dataset, language)
        images.check_images(dataset, rows)
        if self.pictures == "opened":
            images.open_all(dataset, rows, self._opened)

    def _once(self, what: Callable[..., T], *about: Any) -> T:
        """What `what` gives, or raises, about something; asked the first time, remembered from then on."""
        key = (what, *about)
        if key not in self._done:
            try:
                self._done[key] = (what(*about), None)
            except (M4ragError, CacheError) as error:
                self._done[key] = (None, error)
        value, error = self._done[key]
        if error:
            raise error
        return value


def _load_parts(dataset: Dataset) -> None:
    """Load the whole data set: what is wrong with it is then said, and tried, once and not per variety."""
    for part in range(len(dataset.local)):
        sources.load(dataset, part)


def _rows(dataset: Dataset, language: Language) -> hf_datasets.Dataset:
    return datasets.load_rows(dataset, language)


def _verify_cache(dataset: str, setting: str) -> None:
    """Every checksum of the cache, which a run looks at only in part."""
    if problems := _cache_problems(dataset, setting):
        raise DataError("; ".join(problems))


def _cache_problems(dataset: str, setting: str) -> list[str]:
    return verify(retrieval.open_cache(dataset, setting).folder, retrieval.cache_root())
