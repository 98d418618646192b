"""The samples files of the harness below the paths that people name."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from m4rag_tasks import suite
from m4rag_tasks.errors import RunError, UnknownNameError
from m4rag_tasks.report.results_file import RunFacts, read_facts

_SAMPLES_NAME = re.compile(r"(?P<date>.+?)_samples_(?P<task>.+)\.jsonl")


@dataclass(frozen=True)
class Source:
    """One samples file: one task, run once."""

    path: Path
    shown: str
    date: str
    task: str
    facts: RunFacts
    language: str = ""

    @property
    def limited(self) -> bool:
        """Whether only a part of the task's questions was to be asked."""
        counts = self.facts.questions.get(self.task)
        return self.facts.limit is not None and (
            counts is None or counts[1] < counts[0] or "offset" in self.facts.limit
        )


def find_files(paths: Iterable[Path | str], notes: list[str]) -> list[Source]:
    """All samples files with answers below the paths, each once, with the facts that stand beside it.

    A path that has none is named in `notes`. Raises `RunError` for one that does not exist.
    """
    facts: dict[Path, RunFacts] = {}
    found: dict[Path, Source] = {}
    for given in map(Path, paths):
        named = _samples_files(given)
        for path, match in named:
            if path.resolve() in found or not _answers(match["task"]):
                continue
            # Folders above the given one are nobody's business in a report that is passed on.
            shown = str(path.relative_to(given.parent))
            results = path.with_name(f"{match['date']}_results.json")
            if results not in facts:
                facts[results], fault = read_facts(results, path.parent.name)
                if fault:
                    notes.append(f"{Path(shown).with_name(results.name)} {fault}.")
            found[path.resolve()] = Source(path, shown, match["date"], match["task"], facts[results])
        if not any(_answers(match["task"]) for _, match in named):
            notes.append(_nothing_in(given, bool(named)))
    return list(found.values())


def _samples_files(given: Path) -> list[tuple[Path, re.Match[str]]]:
    """The samples files at or below a path, by their names."""
    if not given.exists():
        raise RunError(f"{given} does not exist. Name the folder that was given to lmms-eval as --output_path.")
    candidates = [given] if given.is_file() else sorted(given.rglob("*_samples_*.jsonl"))
    return [(path, match) for path in candidates if (match := _SAMPLES_NAME.fullmatch(path.name))]


def _nothing_in(given: Path, others: bool) -> str:
    """Why a path gives nothing to report."""
    name = given.name or given.resolve().name
    if others:
        return (
            f"{name} holds texts or grades that a model wrote, and no answers: they are imported "
            "(m4rag context import, m4rag judge import)."
        )
    if given.is_file():
        return f"{name} was not read: its name is none that lmms-eval gives to samples (DATE_samples_TASK.jsonl)."
    return f"{name} holds no samples file of lmms-eval: was it run with --log_samples?"


@functools.cache
def _answers(task: str) -> bool:
    """Whether the task's samples are answers: texts and grades that models wrote are imported, not reported."""
    try:
        return suite.resolve(task)[0].setting.work == "answer"
    except UnknownNameError:
        return True
