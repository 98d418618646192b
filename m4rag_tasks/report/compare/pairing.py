"""Which run of A is set against which of B, and over which questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks.errors import RunError
from m4rag_tasks.report.caveats import caveats
from m4rag_tasks.report.checks import Record
from m4rag_tasks.report.completeness import find_faults
from m4rag_tasks.report.runs import Run
from m4rag_tasks.report.titles import dataset_title, some


@dataclass(frozen=True)
class Pair:
    """A run of A and one of B, cut to the varieties that are complete in both and hold the same questions."""

    title: str
    a: Run
    b: Run
    records_a: tuple[Record, ...]
    records_b: tuple[Record, ...]


def pairs(a: Sequence[Run], b: Sequence[Run], notes: list[str], names: Mapping[str, str]) -> list[Pair]:
    """The pairs of runs that ask alike: of the same setting, or, where none is, the only ones of a data set.

    What cannot be compared is named in `notes`. Raises `RunError` where nothing can be, and where one side holds
    several models.
    """
    _check_one_model(a, "A")
    _check_one_model(b, "B")
    matched = _same_setting(a, b) or _only_ones(a, b)
    if not matched:
        raise RunError(
            "A and B have no run in common: no setting of a data set is in both, asked in the same way. "
            f"A holds {_listed(a)}; B holds {_listed(b)}."
        )
    used = {id(run) for pair in matched for run in pair}
    for side, runs in (("A", a), ("B", b)):
        if alone := [run for run in runs if id(run) not in used]:
            notes.append(f"Only in {side}, so not compared: {_listed(alone)}.")
    _tell_caveats(a, b, notes, names)
    found = [pair for one, other in matched if (pair := _cut(one, other, notes, names))]
    if not found:
        raise RunError(
            "".join(["A and B share no variety that is complete in both.", *(f"\n- {note}" for note in notes)])
        )
    return found


def _check_one_model(runs: Sequence[Run], side: str) -> None:
    models = list(dict.fromkeys(run.model for run in runs))
    if len(models) > 1:
        raise RunError(f"{side} holds runs of {len(models)} models ({some(models)}). Name the folder of one.")


def _same_setting(a: Sequence[Run], b: Sequence[Run]) -> list[tuple[Run, Run]]:
    others = {(run.dataset, run.name): run for run in b}
    return [(run, others[run.dataset, run.name]) for run in a if (run.dataset, run.name) in others]


def _only_ones(a: Sequence[Run], b: Sequence[Run]) -> list[tuple[Run, Run]]:
    """Two settings, or two variants, of one data set: named so, each side has but one that asks alike."""
    found = []
    for run in a:
        own = [other for other in a if (other.dataset, other.asking) == (run.dataset, run.asking)]
        across = [other for other in b if (other.dataset, other.asking) == (run.dataset, run.asking)]
        if len(own) == len(across) == 1:
            found.append((run, across[0]))
    return found


def _tell_caveats(a: Sequence[Run], b: Sequence[Run], notes: list[str], names: Mapping[str, str]) -> None:
    for side, runs in (("A", a), ("B", b)):
        faults = find_faults(runs)
        averaged = [set(run.languages) - set(fault) for run, fault in zip(runs, faults, strict=True)]
        notes += [f"{side}: {note}" for note in caveats(runs, faults, averaged, names)]


def _cut(a: Run, b: Run, notes: list[str], names: Mapping[str, str]) -> Pair | None:
    title = _title(a, b)
    complete_a, complete_b = _complete(a), _complete(b)
    kept = []
    for language in sorted(complete_a.keys() & complete_b.keys()):
        only_a, only_b = _apart(complete_a[language], complete_b[language])
        if only_a or only_b:
            example = next(iter(only_a or only_b))
            notes.append(
                f"{title}, {names.get(language, language)}: not the same questions, so not compared ({len(only_a)} are "
                f"only in A, {len(only_b)} only in B, e.g. {example})."
            )
        else:
            kept.append(language)
    if alone := sorted(complete_a.keys() ^ complete_b.keys()):
        notes.append(
            f"{title}: only one side has these varieties complete: {some(names.get(one, one) for one in alone)}."
        )
    if not kept:
        return None
    return Pair(title, a, b, _flat(complete_a, kept), _flat(complete_b, kept))


def _title(a: Run, b: Run) -> str:
    where = dataset_title(a.dataset, a.asking)
    return f"{where}, {a.short_title}" if a.name == b.name else f"{where}, {a.short_title} → {b.short_title}"


def _complete(run: Run) -> dict[str, list[Record]]:
    (faults,) = find_faults([run])
    return {language: records for language, records in run.languages.items() if language not in faults}


def _apart(a: Sequence[Record], b: Sequence[Record]) -> tuple[list[str], list[str]]:
    ids_a, ids_b = ({record["question_id"] for record in records} for records in (a, b))
    return sorted(ids_a - ids_b), sorted(ids_b - ids_a)


def _flat(by_language: Mapping[str, Sequence[Record]], kept: Sequence[str]) -> tuple[Record, ...]:
    return tuple(record for language in kept for record in by_language[language])


def _listed(runs: Sequence[Run]) -> str:
    return some((f"{dataset_title(run.dataset, run.asking)}, {run.short_title}" for run in runs), "; ")
