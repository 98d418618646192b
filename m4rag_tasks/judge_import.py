"""What judges said, out of the harness's samples, as grades (`grades`).

Every item of a task that was run has to be there once: a question with each of the passages that
its setting shows, as the data and the retrieval cache have them. A request that failed gave no
grade, so its item is missing; so is one that was judged without its picture. Judge and revision
are what the results file beside the samples says.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from m4rag_tasks import cells, datasets
from m4rag_tasks.errors import GradesError, UnknownNameError
from m4rag_tasks.grades import Grade
from m4rag_tasks.report.results_file import RunFacts, mapping, read_facts, task_config
from m4rag_tasks.suite import family_name, language, resolve

_SAMPLES_NAME = re.compile(r"(?P<date>.+?)_samples_(?P<task>.+)\.jsonl")
_PATTERN = "*_samples_m4rag_*_judge_*.jsonl"
_FIELDS = tuple(field.name for field in fields(Grade) if field.name not in ("judge", "revision"))
_SHOWN = 3

_PLACE = ("dataset", "setting", "variant", "language")
Place = tuple[str, str, str, str]  # data set, judged setting, variant, language


@dataclass(frozen=True)
class Judged:
    """One line of a samples file: where it stands, who judged, the record, and the digest of the rows, if noted."""

    where: str
    judge: str
    revision: str | None
    record: dict[str, Any]
    rows: str | None = None

    @property
    def place(self) -> Place:
        """The task, without the judge."""
        dataset, setting, variant, code = (self.record[name] for name in _PLACE)
        return dataset, setting, variant, code


def import_grades(
    paths: Sequence[Path], judge: str | None = None, revision: str | None = None, partial: bool = False
) -> tuple[list[Grade], list[str]]:
    """The grades in samples files, or below folders of the harness's output, and what is missing, in words.

    `judge` and `revision` are said where the results file does not know them. Raises `GradesError` for
    files that cannot be used, items that are there twice, and, unless `partial`, for missing ones.
    """
    items: dict[tuple[str, str | None, Place, str], Judged] = {}
    for path in tqdm(_samples_files(paths), desc="samples", unit="file", delay=2, disable=None):
        for item in _read(path, judge, revision):
            key = (item.judge, item.revision, item.place, item.record["item"])
            if key in items:
                raise GradesError(
                    f"{item.where}: {item.judge} judges item {item.record['item']} of {item.place[1]} a second time; "
                    f"the first is {items[key].where}. Name one of the files."
                )
            items[key] = item
    missing = _missing(list(items.values()))
    if missing and not partial:
        told = "\n".join(f"- {line}" for line in missing)
        raise GradesError(
            f"Grades are missing:\n{told}\nRun these tasks again (with --use_cache nothing is asked twice, but failed "
            "requests stay in that cache: remove it), or take what is there: --partial"
        )
    graded = [item for item in items.values() if "grade" in item.record and not _is_blank(item)]
    if not graded:
        raise GradesError("There is no grade in these samples. Nothing was written.")
    return sorted(map(_grade, graded), key=_order), missing


def summary(grades: Iterable[Grade]) -> list[list[str]]:
    """A table for people: judge, data set, setting, passages, invalid answers, mean grade."""
    by_run: dict[tuple[str, ...], list[int | None]] = defaultdict(list)
    for grade in grades:
        by_run[grade.judge, str(grade.dataset), str(grade.setting)].append(grade.grade)
    rows = [["judge", "data set", "setting", "passages", "invalid", "mean grade"]]
    for key, given in by_run.items():
        known = [grade for grade in given if grade is not None]
        mean = f"{sum(known) / len(known):.2f}" if known else "-"
        rows.append([*key, f"{len(given):,}", str(len(given) - len(known)), mean])
    return rows


def _samples_files(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise GradesError(f"{path} does not exist. Name samples files, or the --output_path of lmms-eval.")
        below = [path] if path.is_file() else sorted(path.rglob(_PATTERN))
        if not below:
            raise GradesError(
                f"There are no samples of judging tasks below {path}. Run lmms-eval with --log_samples, and name its "
                "--output_path."
            )
        found |= {file.resolve(): file for file in below}
    return list(found.values())


def _read(path: Path, judge: str | None, revision: str | None) -> Iterator[Judged]:
    name = _SAMPLES_NAME.fullmatch(path.name)
    facts, fault = read_facts(path.with_name(f"{name['date']}_results.json"), path.parent.name) if name else (None, "")
    if judge is None and (facts is None or fault):
        raise GradesError(
            f"{path}: the results file that says which model judged is not beside it, or {fault or 'has another name'}."
            " Put it there, or say it: --judge NAME"
        )
    named = judge or facts.identity.name  # type: ignore[union-attr]
    known = revision or (_revision(facts) if facts else None)
    config = task_config(path.with_name(f"{name['date']}_results.json"), name["task"]) if name else {}
    rows = mapping(config.get("metadata")).get("rows")
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise GradesError(f"{path} cannot be read ({error.strerror}). Check the path.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}:{number}"
            yield Judged(where, named, known, _record(line, where), rows)


def _revision(facts: RunFacts) -> str | None:
    return dict(facts.identity.arguments).get("revision")


def _record(line: bytes, where: str) -> dict[str, Any]:
    try:
        sample = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise GradesError(f"{where}: this is no JSON, or it is cut off ({error}). Run that task again.") from error
    record = sample.get("grade") if isinstance(sample, dict) else None
    if not isinstance(record, dict) or not isinstance(record.get("item"), str):
        raise GradesError(f"{where}: this is no sample of a judging task. Name only files of m4rag_…_judge_… tasks.")
    if record.get("parse") == "unscored":
        raise GradesError(
            f"{where}: item {record['item']} could not be recorded ({record.get('fault')}). Mend that, and run that "
            "task again."
        )
    missing = [name for name in ("question_id", "passage_id", "rank", "cache", *_PLACE) if name not in record]
    if missing:
        raise GradesError(f"{where}: the record lacks {', '.join(missing)}. Run that task again.")
    task = _task_name(*(str(record[name]) for name in _PLACE))
    try:
        resolve(task)
    except UnknownNameError as error:
        raise GradesError(
            f"{where}: there is no task {task}. Check that this file is as the harness wrote it; of a language variety "
            "of your own, name the folder: --include_path"
        ) from error
    return record


def _missing(items: Sequence[Judged]) -> list[str]:
    """What is missing of every task that anybody judged, one line a task and judge."""
    there: dict[tuple[str, str | None, Place], list[Judged]] = defaultdict(list)
    for item in items:
        there[item.judge, item.revision, item.place].append(item)
    lines = []
    for (judge, _, place), judged in tqdm(there.items(), desc="items", unit="task", delay=2, disable=None):
        failed = [item.record["item"] for item in judged if "grade" not in item.record]
        expected = _expected(place, judged)
        absent = Counter(expected) - Counter(item.record["item"] for item in judged)
        task, blank = _task_name(*place), [item.record["item"] for item in judged if _is_blank(item)]
        lines += [f"{task} by {judge}: {len(blank)} without their picture, e.g. {_some(blank)}"] if blank else []
        lines += [f"{task} by {judge}: {len(failed)} requests failed, e.g. {_some(failed)}"] if failed else []
        lines += [f"{task} by {judge}: {len(absent)} of {len(expected)}, e.g. {_some(absent)}"] if absent else []
    return lines


def _task_name(dataset: str, setting: str, variant: str, code: str) -> str:
    return f"{family_name(dataset, f'judge_{setting}', variant)}_{code}"


def _is_blank(item: Judged) -> bool:
    """Whether the judge was shown a grey picture (`M4RAG_MISSING_IMAGES`) in place of the question's."""
    return item.record.get("image") == "blank"


def _expected(place: Place, judged: Sequence[Judged]) -> list[str]:
    """The ids of all items of a task, from the data and the cache that all of them are of."""
    dataset, setting, variant, code = place
    cell = cells.cell(dataset, f"judge_{setting}", variant)
    variety = language(code)
    cell.check(variety)
    key = cell.cache.manifest.key if cell.cache else None
    if other := next((item for item in judged if item.record["cache"] != key), None):
        raise GradesError(
            f"{other.where}: the judge saw passages of the retrieval cache {other.record['cache']}, and {setting} on "
            f"{dataset} reads {key} now. Judge the passages of that one, or set M4RAG_CACHE to where the other is."
        )
    rows = datasets.load_rows(cell.dataset, variety)
    digest = datasets.rows_digest(rows, cell.dataset)
    # The judge knew the right answer: where that was another one, its grades are of another question.
    if other := next((item for item in judged if item.rows not in (None, digest)), None):
        raise GradesError(
            f"{other.where}: the judge was asked about other rows of {dataset} than those that are here now: questions "
            "or answers changed. Import the grades where those rows are, or judge again."
        )
    return [cell.record_id(doc) for doc in cell.docs(datasets.without_images(rows))]


def _grade(item: Judged) -> Grade:
    told = {name: item.record[name] for name in _FIELDS if item.record.get(name) is not None}
    return Grade(**{"grade": None, **told, "judge": item.judge, "revision": item.revision})


def _order(grade: Grade) -> tuple[Any, ...]:
    return (grade.judge, grade.dataset, grade.setting, grade.language, grade.question_id, grade.rank)


def _some(ids: Iterable[str]) -> str:
    """ "a, b, c, …" for messages."""
    listed = sorted(ids)
    return ", ".join(listed[:_SHOWN]) + (", …" if len(listed) > _SHOWN else "")
