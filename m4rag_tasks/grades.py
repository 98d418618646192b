"""Grades: how far a retrieved passage helps to answer a question, from 1 to 5, as a judge sees it.

A grades file is JSONL, one line for each question × passage, or CSV with the same
columns. A judge is a model or a person; both are written alike:

    question_id, passage_id   what is graded
    grade      1 to 5, or null where the judge's answer names none
    judge      the model, or the annotator
    parse      the rule that read the grade ("json", "bare_number", …; "human"), or "invalid"
    rank, setting, dataset, language, image_id    where the passage was found, for which question
    revision, template, cache     of the judge; digest of its prompt; key of the retrieval cache
    passages_key                  of the corpus and of how it was cut: only there do equal ids mean equal texts

The first four have to be there (in CSV `grade` may be empty), the others may be missing
or null. Further fields are passed over, so that people can keep remarks beside their grades.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from m4rag_tasks import json_lines
from m4rag_tasks.errors import GradesError
from retrieval_cache.files import atomic_file

LOWEST, HIGHEST = 1, 5
HUMAN, INVALID = "human", "invalid"

_NUMBERS = ("grade", "rank")
_NUMBER = re.compile(r"[0-9]{1,9}(\.0+)?")
_REQUIRED = ("question_id", "passage_id", "grade", "judge")
_DIGITS = 8
_MEND = "docs/judge.md shows the format."


@dataclass(frozen=True, slots=True)
class Grade:
    """One judge's grade of one passage for one question; None where its answer names none. See the module's head."""

    question_id: str
    passage_id: str
    grade: int | None
    judge: str
    parse: str = HUMAN
    rank: int | None = None
    setting: str | None = None
    dataset: str | None = None
    language: str | None = None
    image_id: str | None = None
    revision: str | None = None
    template: str | None = None
    cache: str | None = None
    passages_key: str | None = None


_KINDS = {field.name: int if field.name in _NUMBERS else str for field in fields(Grade)}


def read_grades(paths: Iterable[Path]) -> list[Grade]:
    """All grades of the files, in their order.

    Raises `GradesError` that names file and line for what is no grade, and for the same
    passage graded twice by one judge for one question in one setting of a data set.
    """
    found: dict[tuple[str | None, ...], str] = {}
    grades: list[Grade] = []
    for path in paths:
        before = len(grades)
        for where, entry in _entries(path):
            grade = _grade(entry, where)
            key = _identity(grade)
            if key in found:
                raise GradesError(
                    f"{where}: {grade.judge} grades passage {grade.passage_id} for question {grade.question_id} "
                    f"a second time; the first is {found[key]}. Keep one."
                )
            found[key] = where
            grades.append(grade)
        if len(grades) == before:
            raise GradesError(f"{path} holds no grades. Check that it is the right file. {_MEND}")
    return grades


def _identity(grade: Grade) -> tuple[str | None, ...]:
    """What can be graded once."""
    place = (grade.dataset, grade.setting, grade.question_id, grade.passages_key, grade.passage_id)
    return (grade.judge, grade.revision, grade.template, *place)


def write_grades(path: Path, grades: Sequence[Grade]) -> None:
    """Write a grades file (JSONL), whole or not at all.

    Raises `GradesError` if a file is there already that holds other grades: they would be lost.
    """
    if path.is_file() and path.stat().st_size:
        new = {_identity(grade) for grade in grades}
        lost = [grade for grade in read_grades([path]) if _identity(grade) not in new]
        if lost:
            raise GradesError(
                f"{path} holds {len(lost)} grades that are not among the new ones, e.g. by {lost[0].judge} for "
                f"question {lost[0].question_id}, and would be overwritten. Name another file, or move that one away."
            )
    with atomic_file(path) as file:
        for grade in grades:
            file.write((json.dumps(asdict(grade), ensure_ascii=False) + "\n").encode("utf-8"))


def by_judge(grades: Iterable[Grade]) -> dict[str, list[Grade]]:
    """The grades of each judge by its name, in order of first appearance.

    Another revision of a model or another prompt makes another judge: its name then says which.
    """
    identities: dict[tuple[str, str | None, str | None], list[Grade]] = {}
    for grade in grades:
        identities.setdefault((grade.judge, grade.revision, grade.template), []).append(grade)
    named: dict[str, list[Grade]] = {}
    for (name, revision, template), own in identities.items():
        alike = [other for other in identities if other[0] == name]
        told = [
            f"{what} {value or 'not known'}"
            for what, value, place in (("revision", revision, 1), ("template", (template or "")[:_DIGITS], 2))
            if len({other[place] for other in alike}) > 1
        ]
        named[f"{name} ({', '.join(told)})" if told else name] = own
    return named


def of_judge(grades: Iterable[Grade], judge: str | None = None) -> tuple[str, list[Grade]]:
    """One judge's name and grades.

    `judge` is a name of `by_judge`, and may be None where there is only one. Raises `GradesError` where the judge
    is not there, or not said.
    """
    named = by_judge(grades)
    if judge is None and len(named) > 1:
        raise GradesError(
            f"The grades are of {len(named)} judges: {'; '.join(named)}. Grades of several are never mixed: choose one."
        )
    if judge is not None and judge not in named:
        raise GradesError(f"There are no grades by {judge!r}. There are some by: {'; '.join(named) or 'nobody'}.")
    name = judge if judge is not None else next(iter(named))
    return name, named[name]


def of_passages(grades: Iterable[Grade], passages_key: str | None) -> list[Grade]:
    """Those of the passages with this key, and those that do not say of which; all of them if it is None."""
    return [grade for grade in grades if passages_key in (grade.passages_key, None) or grade.passages_key is None]


def grades_by_passage(grades: Iterable[Grade]) -> dict[tuple[str, str], float]:
    """One judge's grade by question id and passage id; what it gave no grade is left out.

    A passage that is graded in several settings has the mean of its grades.
    """
    given: dict[tuple[str, str], list[int]] = defaultdict(list)
    for item in grades:
        if item.grade is not None:
            given[item.question_id, item.passage_id].append(item.grade)
    return {key: math.fsum(values) / len(values) for key, values in given.items()}


def with_grades(
    records: Iterable[Mapping[str, Any]], by_passage: Mapping[tuple[str, str], float]
) -> list[dict[str, Any]]:
    """Copies of the records, with `grade` (a float from 1 to 5, or None) in each of their passages."""
    return [
        {
            **record,
            "passages": [
                {**passage, "grade": by_passage.get((record["question_id"], passage["id"]))}
                for passage in record.get("passages") or ()
            ],
        }
        for record in records
    ]


def check_same_caches(records: Iterable[Mapping[str, Any]], grades: Iterable[Grade]) -> None:
    """Raise `GradesError` if the graded passages of a setting are from another retrieval cache than the shown ones.

    Passages are named by their place in the article: cut otherwise, the same id is another text.
    """
    graded: dict[tuple[str, str], set[str]] = defaultdict(set)
    for grade in grades:
        if grade.cache and grade.dataset and grade.setting:
            graded[grade.dataset, grade.setting].add(grade.cache)
    for dataset, setting, cache in sorted(
        {(record["dataset"], record["setting"], record["cache"]) for record in records if record.get("cache")}
    ):
        other = graded.get((dataset, setting))
        if other and cache not in other:
            raise GradesError(
                f"The grades of {setting} on {dataset} are of passages from the retrieval cache "
                f"{', '.join(sorted(other))}, and the run read {cache}. Judge the passages of that one."
            )


# --- one line ---------------------------------------------------------------


def _entries(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Where each entry stands, and its fields."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise GradesError(f"The grades {path} cannot be read ({error.strerror}). Check the path.") from error
    except UnicodeDecodeError as error:
        raise GradesError(f"{path} is not UTF-8 text ({error.reason}). Save it as UTF-8.") from error
    return _rows(path, text) if path.suffix.lower() == ".csv" else _lines(path, text)


def _lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    # Not splitlines: a remark may hold U+2028, which ends a line for Python but not in JSONL.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line or line.isspace():
            continue
        try:
            entry = json_lines.loads(line)
        except (ValueError, RecursionError) as error:
            raise GradesError(f"{path}:{number}: this is no JSON ({error}). {_MEND}") from error
        if not isinstance(entry, dict):
            raise GradesError(f"{path}:{number}: a JSON object is needed, not {type(entry).__name__}. {_MEND}")
        yield f"{path}:{number}", entry


def _rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
        if missing:
            raise GradesError(f"{path}:1: the columns {', '.join(missing)} are missing. {_MEND}")
        for row in reader:
            if None in row or None in row.values():
                raise GradesError(f"{path}:{reader.line_num}: not as many cells as there are columns. {_MEND}")
            yield f"{path}:{reader.line_num}", {name: _cell(name, value) for name, value in row.items()}
    except csv.Error as error:
        raise GradesError(f"{path}:{reader.line_num}: this is no CSV ({error}). {_MEND}") from error


def _cell(name: str, value: str) -> Any:
    """An empty cell is nothing; numbers are numbers (spreadsheets may write 4 as 4.0)."""
    value = value.strip()
    return float(value) if name in _NUMBERS and _NUMBER.fullmatch(value) else value or None


def _grade(entry: Mapping[str, Any], where: str) -> Grade:
    missing = [name for name in _REQUIRED if name not in entry]
    if missing:
        raise GradesError(f"{where}: {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing. {_MEND}")
    known: dict[str, Any] = {}
    for name, given in entry.items():
        wanted = _KINDS.get(name)
        if wanted is None or given is None:
            continue
        value = int(given) if isinstance(given, float) and given.is_integer() else given
        if type(value) is not wanted or value == "":
            what = "a whole number" if wanted is int else "a text"
            raise GradesError(f"{where}: {name} is {value!r}, not {what}. {_MEND}")
        known[name] = value
    if empty := [name for name in _REQUIRED if name not in known and name != "grade"]:
        raise GradesError(f"{where}: {', '.join(empty)} must not be empty. {_MEND}")
    grade = known.setdefault("grade", None)
    if grade is None:
        known.setdefault("parse", INVALID)
    elif not LOWEST <= grade <= HIGHEST:
        raise GradesError(f"{where}: the grade {grade} is not from {LOWEST} to {HIGHEST}. {_MEND}")
    return Grade(**known)
