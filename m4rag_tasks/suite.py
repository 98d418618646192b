"""The grid of the suite: data sets × settings (or writing, judging) × variants × language varieties.

Everything that names a task comes from here: the generator writes one YAML per
`Task`, the hooks look their task up, the command line filters the same list.
Settings, variants and data sets are few and need code (`axes`); language varieties
are many and need none (`languages`, rows of `languages.toml`).
"""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from m4rag_tasks.axes import (
    DATASETS,
    JUDGING,
    PAPER_SETTINGS,
    PLAIN,
    SETTINGS,
    TOP_K,
    VARIANTS,
    WORK,
    WRITING,
    Dataset,
    Judging,
    Setting,
    Variant,
    Writing,
)
from m4rag_tasks.errors import GridError, unknown
from m4rag_tasks.languages import (
    Language,
    add_outside,
    language,
    language_names,
    languages,
    outside_languages,
    own_codes,
)

__all__ = [
    "DATASETS",
    "JUDGING",
    "PAPER_SETTINGS",
    "PLAIN",
    "SETTINGS",
    "TASKS_FOLDER",
    "TOP_K",
    "VARIANTS",
    "WORK",
    "WRITING",
    "Dataset",
    "Judging",
    "Language",
    "Setting",
    "Task",
    "Variant",
    "Writing",
    "add_outside",
    "all_tasks",
    "family_name",
    "groups",
    "language",
    "language_names",
    "languages",
    "matching",
    "own_codes",
    "resolve",
    "select",
    "tag",
]

TAG_SUFFIX = "_varieties"
TASKS_FOLDER = Path(__file__).parent / "tasks"


@dataclass(frozen=True)
class Task:
    """One leaf of the grid: a data set in a setting and variant, asked in one language variety."""

    dataset: Dataset
    setting: Setting
    variant: Variant
    language: Language

    @property
    def family(self) -> str:
        """What the names of all its languages begin with, e.g. `m4rag_wc_norag_oe`."""
        return family_name(self.dataset.key, self.setting.name, self.variant.name)

    @property
    def name(self) -> str:
        """Name of the leaf, e.g. `m4rag_mini_mmrag_am`."""
        return f"{self.family}_{self.language.code}"

    @property
    def kind(self) -> str:
        """How what the model says is read and counted: the prompt kind of a question, else what it does."""
        return self.variant.kind if self.setting.work == "answer" else self.setting.work

    @property
    def template(self) -> str:
        """Whose words the prompt is made of."""
        return "en" if self.variant.prompt == "en" else self.language.template

    @property
    def group(self) -> str:
        """The group over all languages that this leaf counts in."""
        # Where questions are asked twice, the bare name is the group over both ways of asking.
        asked_twice = self.variant is PLAIN and self.dataset.has(self.setting.name, "en")
        return f"{self.family}_local" if asked_twice else self.family

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that lists this leaf: over all languages, over its language, over its resource class."""
        if self.variant.prompt != "local" or self.variant.context != "given" or self.setting.work != "answer":
            return (self.group,)
        # A name stands for one thing: where a variety or a variant is called so, the language has no group.
        taken = self.language.language in {*own_codes(self.dataset).values(), *VARIANTS}
        language = () if taken else (self.language.language,)
        return (self.group, *(f"{self.family}_{part}" for part in (*language, f"{self.language.resource}_resource")))


def family_name(dataset: str, setting: str, variant: str = "") -> str:
    """What all task names of one data set, setting and variant begin with."""
    return "_".join(part for part in ("m4rag", dataset, setting, variant) if part)


@functools.cache
def all_tasks() -> dict[str, Task]:
    """Every leaf of the grid by task name: data set, setting (or writing, judging), variant, language."""
    grid = (
        Task(dataset, setting, variant, languages()[code])
        for dataset in DATASETS.values()
        for setting in WORK.values()
        for variant in VARIANTS.values()
        if dataset.has(setting.name, variant.name)
        for code in own_codes(dataset).values()
    )
    found: dict[str, Task] = {}
    for task in grid:
        if task.name in found:
            raise GridError(f"Two tasks would be called {task.name}: give one of the varieties another code.")
        found[task.name] = task
    return found


@functools.cache
def groups() -> dict[str, tuple[str, ...]]:
    """Every group by name, with its members: leaves, or further groups."""
    found: dict[str, list[str]] = {}
    for dataset in DATASETS.values():
        found[f"m4rag_{dataset.key}"] = list(
            dict.fromkeys(family_name(dataset.key, name) for name in dataset.settings[""])
        )
        for name in WORK:
            if dataset.has(name, "en"):
                family = family_name(dataset.key, name)
                found[family] = [f"{family}_local", f"{family}_en"]
    for task in all_tasks().values():
        for group in task.groups:
            found.setdefault(group, []).append(task.name)
    return {name: tuple(members) for name, members in found.items()}


def tag(group: str) -> str:
    """The tag by which a group lists its leaves, so that a new leaf changes no other file."""
    return group + TAG_SUFFIX


def select(
    dataset: str | None = None,
    setting: str | None = None,
    language: str | None = None,
    variant: str | None = None,
    work: str | None = None,
) -> list[Task]:
    """The leaves that match all the given axes; `variant` "" is the plain one.

    `language` may also be a language that several varieties belong to. `work`: "answer",
    "write", "judge", or "any"; by default what `setting` is, else "answer".
    Unknown axis values raise `UnknownNameError`.
    """
    merged = {variety.language for variety in languages().values()}
    for kind, value, known in (
        ("data set", dataset, DATASETS),
        ("setting", setting, WORK),
        ("language", language, {**languages(), **dict.fromkeys(merged)}),
        ("variant", variant, VARIANTS),
    ):
        if value is not None and value not in known:
            raise unknown(kind, value, known)
    work = work or (WORK[setting].work if setting else "answer")
    return [
        task
        for task in all_tasks().values()
        if work in ("any", task.setting.work)
        and dataset in (None, task.dataset.key)
        and setting in (None, task.setting.name)
        and language in (None, task.language.code, task.language.language)
        and variant in (None, task.variant.name)
    ]


def resolve(name: str) -> list[Task]:
    """The leaves that a task or group name stands for.

    Raises `UnknownNameError` with near names where there is no such task.
    """
    tasks = all_tasks()
    if name in tasks:
        return [tasks[name]]
    # The tag that a group lists its leaves by can be named on the command line too.
    group = name.removesuffix(TAG_SUFFIX)
    if group in groups():
        members = (task for member in groups()[group] for task in resolve(member))
        return list({task.name: task for task in members}.values())
    if outside := _outside_task(name):
        return [outside]
    raise unknown("task", name, [*groups(), *tasks])


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a pattern as lmms-eval's (`fnmatch`) fits.

    A wildcard stands for settings: tasks that write or judge are meant only where the pattern says `make` or `judge`.
    """
    fitting = fnmatch.filter(names, pattern)
    if not set(pattern) & set("*?["):
        return fitting
    unsaid = [mark for mark in ("_make_", "_judge_") if mark.strip("_") not in pattern]
    return [name for name in fitting if not (name.startswith("m4rag_") and any(mark in name for mark in unsaid))]


def _outside_task(name: str) -> Task | None:
    """A leaf of a variety from outside, whose name follows the same pattern."""
    for variety in outside_languages():
        family = name.removesuffix(f"_{variety.code}")
        for task in all_tasks().values() if family != name else ():
            if task.family == family:
                return replace(task, language=variety)
    return None
