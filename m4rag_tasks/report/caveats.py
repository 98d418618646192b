"""What a reader must know before comparing the numbers of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from m4rag_tasks.report.completeness import Faults
from m4rag_tasks.report.runs import Run
from m4rag_tasks.report.titles import dataset_title, setting_title

# Whose score is a sum over terms found in the passage: 0 says that there was none.
_TERM_RETRIEVER = "bm25"
_LISTED = 6


def caveats(runs: Sequence[Run], faults: Sequence[Faults], averaged: Sequence[Collection[str]]) -> list[str]:
    """Notes run by run, then on all runs together; `averaged` are the languages in each run's averages."""
    told = []
    for run, incomplete, used, missing in zip(runs, faults, averaged, lacking(runs, averaged), strict=True):
        name = f"{run.model}, {dataset_title(run.dataset)}, {setting_title(run.setting)}"
        if incomplete:
            listed = "; ".join(f"{language}: {why}" for language, why in incomplete.items())
            told.append(f"{name}: incomplete, shown but left out of averages and comparisons ({listed}).")
        if missing:
            told.append(
                f"{name}: averages {len(used)} of {len(used) + len(missing)} languages "
                f"(not {_some(missing)}, which other settings average): compare per language."
            )
        told.extend(f"{name}: {fact}" for fact in _of_run(run))
    versions = sorted({version for run in runs for version in run.versions})
    if len(versions) > 1:
        told.append(f"The runs were made with different versions of lmms-eval ({', '.join(versions)}).")
    return told


def lacking(runs: Sequence[Run], averaged: Sequence[Collection[str]]) -> list[tuple[str, ...]]:
    """Per run the languages that another setting's average has and its own has not.

    A run that averages nothing at all lacks none: it has no number to compare.
    """
    together: dict[tuple[str, str], set[str]] = {}
    for run, languages in zip(runs, averaged, strict=True):
        together.setdefault((run.model, run.dataset), set()).update(languages)
    return [
        tuple(sorted(together[run.model, run.dataset].difference(languages))) if languages else ()
        for run, languages in zip(runs, averaged, strict=True)
    ]


def _of_run(run: Run) -> list[str]:
    """What one run's own files say."""
    told = []
    if run.limits:
        told.append(f"only a part of the questions was asked ({'; '.join(run.limits)}).")
    retrievers = run.facts_of("retriever")
    if len(retrievers) > 1:
        told.append(f"its languages were run with different retrievers ({', '.join(retrievers)}).")
    searched = [record for record in run.records if record.get("retriever") == _TERM_RETRIEVER]
    unrelated = Counter(record["language"] for record in searched if record["best_score"] == 0)
    if unrelated:
        listed = ", ".join(f"{language} {number}" for language, number in sorted(unrelated.items()))
        told.append(
            f"{sum(unrelated.values())} of {len(searched)} questions got passages that share nothing "
            f"with the query ({listed})."
        )
    return told


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
