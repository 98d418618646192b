"""Which language varieties of a run may be averaged.

A variety that was only half asked, or whose requests failed, has an accuracy
of other questions than its neighbours: averaging it in would say something
about the server, not about the model. So it is shown, flagged, and left out of
every average and every pairing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from m4rag_tasks.report.checks import UNSCORED, Record, is_failed
from m4rag_tasks.report.runs import Run

Faults = Mapping[str, str]
"""Variety → why it is incomplete; complete varieties are absent."""

_ByLanguage = Mapping[str, Sequence[Record]]


def find_faults(runs: Sequence[Run]) -> list[Faults]:
    """The incomplete varieties of each run, in the order of the runs."""
    languages = [run.languages for run in runs]
    most = _most_asked(runs, languages)
    return [_faults(run, own, most[run.dataset]) for run, own in zip(runs, languages, strict=True)]


def failed_requests(records: Sequence[Record]) -> int:
    """How many of the requests have no score: they were never answered, or scoring broke down."""
    return sum(map(is_failed, records))


def _faults(run: Run, languages: _ByLanguage, elsewhere: Mapping[str, int]) -> Faults:
    expected = _expected(run)
    fullest = _fullest(languages)
    found: dict[str, str] = {}
    for language, records in languages.items():
        failed, count = failed_requests(records), len(records)
        wanted = expected.get(language) or elsewhere.get(language, 0)
        if failed:
            found[language] = _told(failed, sum(record["parse"] == UNSCORED for record in records), count)
        elif count < wanted:
            found[language] = f"{count} of {wanted} questions answered"
        elif count < fullest.get(language, 0):
            found[language] = f"{count} of the {fullest[language]} questions that other varieties have"
    return found


def _told(failed: int, unscored: int, count: int) -> str:
    told = f"{unscored} of {count} answers could not be scored"
    if failed == unscored:
        return told
    requests = f"{failed - unscored} of {count} requests failed"
    return f"{requests}, {told}" if unscored else requests


def _expected(run: Run) -> dict[str, int]:
    """Questions per language, as the harness noted it when it started.

    Where some languages ran under a limit and others did not, the limited ones
    are measured by the whole task.
    """
    mixed = len({source.facts.limit for source in run.sources}) > 1
    expected: dict[str, int] = {}
    for source in run.sources:
        counts = source.facts.questions.get(source.task)
        if counts:
            whole, asked = counts
            expected[source.language] = max(expected.get(source.language, 0), whole if mixed else asked)
    return expected


def _most_asked(runs: Sequence[Run], languages: Sequence[_ByLanguage]) -> dict[str, dict[str, int]]:
    """By data set: the most questions any run has, for languages whose own number nobody noted."""
    most: dict[str, dict[str, int]] = {}
    for run, by_language in zip(runs, languages, strict=True):
        found = most.setdefault(run.dataset, {})
        for language, records in by_language.items():
            found[language] = max(found.get(language, 0), len(records))
    return most


def _fullest(languages: _ByLanguage) -> dict[str, int]:
    """Per language: the size of the language that holds all its questions and more, if there is one.

    Only parallel data sets ask the same questions in every language; where
    each language has questions of its own, sizes may differ and mean nothing.
    """
    asked = {language: {record["qa_id"] for record in records} for language, records in languages.items()}
    return {
        language: max((len(languages[other]) for other in asked if asked[other] > ids), default=0)
        for language, ids in asked.items()
    }
