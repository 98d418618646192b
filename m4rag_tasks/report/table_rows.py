"""What the tables of a report hold, as plain data classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from m4rag_tasks.metrics import Estimate
from m4rag_tasks.report.breakdown import Breakdown
from m4rag_tasks.report.examples import Example
from m4rag_tasks.report.sections import Section
from m4rag_tasks.report.titles import run_name, run_title


@dataclass(frozen=True)
class _Row:
    """One model on one data set in one setting and variant; `asking` says which runs ask alike."""

    model: str
    dataset: str
    setting: str
    variant: str
    asking: str
    title: str

    @property
    def name(self) -> str:
        """The setting with its variant."""
        return run_name(self.setting, self.variant)

    @property
    def short_title(self) -> str:
        """The title where its way of asking is already said."""
        return run_title(self.setting) if self.variant == self.asking else self.title


@dataclass(frozen=True)
class SettingRow(_Row):
    """The averages of one run."""

    kind: str
    macro: Estimate | None
    micro: Estimate | None
    strict: Estimate | None
    """Multiple choice only."""
    references: Mapping[str, Estimate]
    """Open-ended only: macro figures by further references, and of exact match, by the name of the score."""
    invalid: Estimate | None
    chance: float | None
    """Accuracy by guessing; None for open-ended questions."""
    failed: int
    questions: int
    languages: int
    averaged: int
    lacks: tuple[str, ...]
    """Varieties that this row's averages have not and those of another setting have."""
    faults: Mapping[str, str]
    limits: tuple[str, ...]
    retriever: str | None


@dataclass(frozen=True)
class ChangeRow(_Row):
    """What a setting changes against no retrieval, on the same questions."""

    partner: str
    retention: Estimate | None = None
    correction: Estimate | None = None
    difference: Estimate | None = None
    p_value: float | None = None
    repaired: int = 0
    """Questions that are right here and wrong without retrieval."""
    broken: int = 0
    """Questions that are wrong here and right without retrieval."""
    mcnemar_p: float | None = None
    languages: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class GapRow(_Row):
    """What is missing to the same model's accuracy with oracle context."""

    partner: str
    gap: Estimate | None = None
    languages: int = 0
    problem: str | None = None


@dataclass(frozen=True)
class RunRow(_Row):
    """Where the numbers of one run come from."""

    retriever: str | None
    contexts: tuple[str, ...]
    images: tuple[str, ...]
    versions: tuple[str, ...]
    dates: tuple[str, ...]
    limits: tuple[str, ...]
    templates: tuple[str, ...]
    caches: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """Everything a report shows, apart from how it looks."""

    runs: tuple[RunRow, ...]
    settings: tuple[SettingRow, ...]
    breakdowns: tuple[Breakdown, ...]
    changes: tuple[ChangeRow, ...]
    gaps: tuple[GapRow, ...]
    notes: tuple[str, ...]
    dataset_titles: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    """What people call the varieties and languages of the tables, by code."""
    examples: tuple[Example, ...] = field(default=())
    resources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The varieties of each resource class, where records say it."""
    sections: tuple[Section, ...] = field(default=())
    """What the analysis has to say, by section of the page."""

    @property
    def models(self) -> list[str]:
        """The models, each once, in the order of the tables."""
        return list(dict.fromkeys(row.model for row in self.settings))
