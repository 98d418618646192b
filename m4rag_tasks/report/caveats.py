"""What a reader must know before comparing the numbers of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

from m4rag_tasks import suite
from m4rag_tasks.report.checks import UNSCORED
from m4rag_tasks.report.completeness import Faults
from m4rag_tasks.report.runs import Run
from m4rag_tasks.report.titles import dataset_title, some

# Whose score is a sum over terms found in the passage: 0 says that there was none.
_TERM_RETRIEVER = "bm25"
_LONGEST_FAULT = 200

_Name = Callable[[str], str]


def caveats(
    runs: Sequence[Run],
    faults: Sequence[Faults],
    averaged: Sequence[Collection[str]],
    names: Mapping[str, str] | None = None,
) -> list[str]:
    """Notes on runs, then on data sets, then on all together.

    `averaged` are the varieties in each run's averages, `names` what people call them.
    What holds for several settings of one model and data set is told once.
    """

    def name(variety: str) -> str:
        return (names or {}).get(variety, variety)

    told: dict[tuple[str, str, str], list[str]] = {}
    for run, incomplete, used, missing in zip(runs, faults, averaged, lacking(runs, averaged), strict=True):
        for fact in (*_of_languages(incomplete, used, missing, name), *_of_run(run, name)):
            told.setdefault((run.model, run.dataset, fact), []).append(run.title)
    notes = [
        f"{model}, {dataset_title(dataset)}, {some(titles, '; ')}: {fact}"
        for (model, dataset, fact), titles in told.items()
    ]
    notes += _known_faults(runs)
    versions = sorted({version for run in runs for version in run.versions})
    if len(versions) > 1:
        notes.append(f"The runs were made with different versions of lmms-eval ({', '.join(versions)}).")
    return notes


def lacking(runs: Sequence[Run], averaged: Sequence[Collection[str]]) -> list[tuple[str, ...]]:
    """Per run the varieties that another setting's average has and its own has not.

    A run that averages nothing at all lacks none: it has no number to compare. Nor is a
    run compared with those of another data set or way of asking.
    """
    together: dict[tuple[str, str, str], set[str]] = {}
    for run, languages in zip(runs, averaged, strict=True):
        together.setdefault((run.model, run.dataset, run.asking), set()).update(languages)
    return [
        tuple(sorted(together[run.model, run.dataset, run.asking].difference(languages))) if languages else ()
        for run, languages in zip(runs, averaged, strict=True)
    ]


def _of_languages(incomplete: Faults, used: Collection[str], missing: Collection[str], name: _Name) -> list[str]:
    """Which varieties the averages are without."""
    told = []
    if incomplete:
        listed = some((f"{name(language)}: {why}" for language, why in incomplete.items()), "; ")
        told.append(f"incomplete, shown but left out of averages and comparisons ({listed}).")
    if missing:
        told.append(
            f"averages {len(used)} of {len(used) + len(missing)} varieties "
            f"(not {some(map(name, missing))}, which other settings average): compare variety by variety."
        )
    return told


def _of_run(run: Run, name: _Name) -> list[str]:
    """What one run's own files say."""
    told = []
    if run.limits:
        told.append(f"only a part of the questions was asked ({'; '.join(run.limits)}).")
    retrievers = run.facts_of("retriever")
    if len(retrievers) > 1:
        told.append(f"its varieties were run with different retrievers ({', '.join(retrievers)}).")
    own = _own_retriever(run)
    if own and (others := [retriever for retriever in retrievers if retriever != own]):
        told.append(f"made with {', '.join(others)} where the setting's own retriever is {own}.")
    if blanks := sum(record.get("image") == "blank" for record in run.records):
        told.append(
            f"{blanks:,} of {len(run.records):,} questions were asked with a grey picture in place of their image."
        )
    return [*told, *_unscored(run), *_unrelated(run, name)]


def _own_retriever(run: Run) -> str | None:
    """The retriever that the suite names for a run's setting; None where it names none."""
    if run.dataset not in suite.DATASETS or run.setting not in suite.SETTINGS:
        return None
    return suite.DATASETS[run.dataset].retriever(suite.SETTINGS[run.setting])


def _unscored(run: Run) -> list[str]:
    stubs = [record for record in run.records if record["parse"] == UNSCORED]
    if not stubs:
        return []
    why = " ".join(stubs[0]["fault"].split())[:_LONGEST_FAULT]
    return [
        f"{len(stubs)} of {len(run.records):,} answers could not be scored, e.g. to {stubs[0]['question_id']}: {why}"
    ]


def _unrelated(run: Run, name: _Name) -> list[str]:
    searched = [record for record in run.records if record.get("retriever") == _TERM_RETRIEVER]
    unrelated = Counter(record["language"] for record in searched if record["best_score"] == 0)
    if not unrelated:
        return []
    listed = some(f"{name(language)} {number}" for language, number in sorted(unrelated.items()))
    return [
        f"{sum(unrelated.values())} of {len(searched)} questions got passages that share nothing "
        f"with the query ({listed})."
    ]


def _known_faults(runs: Sequence[Run]) -> list[str]:
    """Per data set and wording: how many questions have which known fault, whoever answered them."""
    found: dict[tuple[str, str], dict[str, Sequence[str]]] = {}
    for run in runs:
        wording = suite.VARIANTS[run.asking].asked if run.asking in suite.VARIANTS else "local"
        asked = found.setdefault((run.dataset, "en" if wording == "en" else ""), {})
        for record in run.records:
            # A record without the answer's score does not say what is wrong with the question.
            if record.get("faults") or record["question_id"] not in asked:
                asked[record["question_id"]] = record.get("faults") or ()
    notes = []
    for (dataset, wording), asked in found.items():
        kinds = Counter(kind for faults in asked.values() for kind in set(faults))
        if kinds:
            listed = ", ".join(f"{kind} {number:,}" for kind, number in sorted(kinds.items()))
            share = f"{sum(map(bool, asked.values())):,} of {len(asked):,} questions"
            notes.append(
                f"{dataset_title(dataset, wording)}: {share} have known faults in the published data ({listed}). "
                "They are asked and scored as they are."
            )
    return notes
