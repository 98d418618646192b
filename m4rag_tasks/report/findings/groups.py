"""Runs that are analysed together: one model on one data set, its questions asked in one way.

Only complete varieties are in (`completeness`): what a figure of the analysis is about is
what the averages of the settings table are about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from m4rag_tasks.analysis import Columns
from m4rag_tasks.report.charts import Mark
from m4rag_tasks.report.data_table import Column, Value
from m4rag_tasks.report.examples import BASE_SETTING, ORACLE_SETTING
from m4rag_tasks.report.runs import Run, partner
from m4rag_tasks.report.titles import dataset_title

VARIETY = Column("name", "Language variety")


@dataclass(frozen=True)
class Group:
    """The runs by the names of their settings with variants, in the order of the settings table."""

    model: str
    dataset: str
    asking: str
    runs: Mapping[str, Run]
    columns: Mapping[str, Columns]
    """Of each run that has a complete variety."""

    @property
    def where(self) -> str:
        """The data set, with how it is asked."""
        return dataset_title(self.dataset, self.asking)

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.model} on {self.where}"

    def title(self, name: str) -> str:
        """A setting with its variant for people."""
        return self.runs[name].short_title

    def base(self, name: str, setting: str = BASE_SETTING) -> str | None:
        """The run of that setting which a run is measured against; None where there is none."""
        return partner(self.runs[name], setting, self.columns.keys())

    @cached_property
    def retrieving(self) -> list[str]:
        """The runs that show what a retriever found."""
        return [name for name in self.columns if self.runs[name].setting not in (BASE_SETTING, ORACLE_SETTING)]

    @cached_property
    def with_base(self) -> list[tuple[str, str]]:
        """Each retrieving run with the one without retrieval that it is measured against."""
        return [(name, base) for name in self.retrieving if (base := self.base(name)) is not None]


def groups(runs: Sequence[Run], complete: Sequence[Columns | None]) -> list[Group]:
    """The groups of some runs; `complete` are the complete varieties of each, None where it has none."""
    found: dict[tuple[str, str, str], tuple[dict[str, Run], dict[str, Columns]]] = {}
    for run, averaged in zip(runs, complete, strict=True):
        own, as_columns = found.setdefault((run.model, run.dataset, run.asking), ({}, {}))
        own[run.name] = run
        if averaged is not None:
            as_columns[run.name] = averaged
    return [Group(*where, own, as_columns) for where, (own, as_columns) in found.items()]


def who(among: Sequence[Group], setting: str = "Setting") -> tuple[Column, ...]:
    """The columns that say which run a row is about; people see those in which rows differ."""
    return (
        Column("model", "Model", hidden=len({group.model for group in among}) < 2),
        Column("dataset", "Data set", hidden=len({group.where for group in among}) < 2),
        Column("setting", setting, hidden=True),
        Column("title", setting),
    )


def is_who(group: Group, name: str) -> tuple[Value, ...]:
    """The cells of these columns."""
    return group.model, group.where, name, group.title(name)


def by_number(marks: Iterable[Mark]) -> tuple[str, ...]:
    """The ranks or positions that marks stand at; what is no number ("none") comes last."""
    names = {str(mark.at) for mark in marks}
    return tuple(sorted(names, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0)))


def caption(text: str, group: Group, among: Sequence[Group]) -> str:
    """A chart's caption, with the group's name where there are several."""
    return f"{group.told}: {text[0].lower()}{text[1:]}" if len(among) > 1 else text
