"""One samples file of the harness: read line by line, checked, prompts left on disk.

A line carries the whole prompt, five passages and all; a full run would not fit
in memory with them. So only what tables need is kept of each line, with the
place where the line starts: `read_exchange` goes back there for the few
questions that a report shows in full.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from m4rag_tasks import json_lines, suite
from m4rag_tasks.errors import RunError, UnknownNameError
from m4rag_tasks.records import scored
from m4rag_tasks.report.checks import DEFAULTS, SCORES, UNSCORED, Record, fault, is_unscored

RECORD_KEY = "accuracy"

# Texts stay on disk; see `_slim` for what is kept of them.
_TEXTS = frozenset(("question", "options", "passages", "references", "scores"))
# What a record without scores is told of its task by those beside it.
_OF_TASK = ("dataset", "setting", "variant", "kind", "language", "base_language", "register", "resource")
_SHOWN_IDS = 5


class NotOursError(RunError):
    """A samples file of a task that does not belong to this suite."""


class BrokenSamplesError(RunError):
    """A samples file with a line that cannot be used."""


@dataclass
class Samples:
    """The records of one samples file without their texts, and where in the file each line starts."""

    path: Path
    records: list[Record] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Exchange:
    """What the model was asked and what it said, word for word, with the whole record."""

    prompt: str
    response: str
    record: Record


def read_samples(path: Path, shown: str, rule: str | None = None, task: str = "") -> Samples:
    """All records of a samples file; `shown` is how messages call the file, `task` whose it is.

    With a `rule` (one of `answers.RULES`) the stored answers are read and scored again.
    Raises `NotOursError` where the first line holds no record of ours,
    `BrokenSamplesError` for a line that cannot be used, and where question ids repeat:
    nobody can tell which answers belong together.
    """
    samples = Samples(path)
    repeated: list[str] = []
    for number, offset, line in _lines(path):
        sample = _parse(line, number, shown)
        record = _record(sample, number, shown)
        if rule is not None and not is_unscored(record):
            record = _scored_again(record, sample, rule)
        question_id = record["question_id"]
        if question_id in samples.offsets:
            repeated.append(question_id)
            continue
        samples.records.append(record if is_unscored(record) else _slim(record) | _tokens(sample))
        samples.offsets[question_id] = offset
    if repeated:
        raise _repeated(shown, repeated)
    if not samples.records:
        raise BrokenSamplesError(f"{shown} is empty. Run that task again.")
    samples.records = _told_their_task(samples.records, task, shown)
    _check_same_task(samples, shown)
    return samples


def read_exchange(samples_path: Path, offset: int) -> Exchange:
    """The prompt, the raw response and the stored record of the line that starts at `offset`."""
    with samples_path.open("rb") as file:
        file.seek(offset)
        sample = json.loads(file.readline())
    # The harness drops `resps` where the filtered answer says the same.
    response = sample.get("resps", sample.get("filtered_resps", ""))
    return Exchange(_first_text(sample.get("input", "")), _first_text(response), sample[RECORD_KEY])


def count_lines(path: Path) -> int:
    """How many lines that are not blank a file has; none where it cannot be read."""
    try:
        return sum(1 for _ in _lines(path))
    except OSError:
        return 0


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """Line number from 1, byte offset and content of each line that is not blank."""
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.isspace():
                yield number, offset, line
            offset += len(line)


def _parse(line: bytes, number: int, shown: str) -> Mapping[str, Any]:
    try:
        sample = json_lines.loads(line)
    except (ValueError, RecursionError):
        what = "is not JSON" if line.endswith(b"\n") else "is cut off: the run was stopped while it was written"
        raise BrokenSamplesError(f"{shown}, line {number} {what}. Run that task again.") from None
    if not isinstance(sample, dict):
        raise BrokenSamplesError(f"{shown}, line {number} is not a JSON object. Run that task again.")
    return sample


def _record(sample: Mapping[str, Any], number: int, shown: str) -> Record:
    record = sample.get(RECORD_KEY)
    if not isinstance(record, dict):
        if number == 1:
            raise NotOursError(f"{shown} is not from a task of this suite; it was not read.")
        raise BrokenSamplesError(f"{shown}, line {number} has no record under {RECORD_KEY!r}. Run that task again.")
    if is_unscored(record):
        return record
    record = {**DEFAULTS, **record}
    if wrong := fault(record):
        raise BrokenSamplesError(f"{shown}, line {number}: the record {wrong}. Run that task again.")
    return record


def _scored_again(record: Record, sample: Mapping[str, Any], rule: str) -> Record:
    # The record was made from the filtered answer, so that is what is read again.
    answer = _first_text(sample.get("filtered_resps", ""))
    kept = {key: value for key, value in record.items() if key not in ("score", "strict", "scores")}
    return {**kept, **scored(record, answer, rule)}


def _slim(record: Record) -> Record:
    """A record without its texts: of options their number, of passages what stands in them, of scores each one."""
    # The same text once in memory: most values repeat in every record of a file.
    kept = {
        key: sys.intern(value) if type(value) is str else value for key, value in record.items() if key not in _TEXTS
    }
    found = [passage.get("score") for passage in record["passages"]]
    kept["choices"] = len(record["options"])
    kept["passages"] = [_passage(one) for one in record["passages"]]
    kept["best_score"] = max(found) if found and {int, float}.issuperset(map(type, found)) else None
    if record["kind"] == "open_ended":
        kept["prediction"] = None if record["prediction"] is None else ""
        kept.update({name: record["scores"][name] for name in SCORES if "score" in record})
    return kept


def _passage(passage: Mapping[str, Any]) -> Record:
    """What tables need of a passage, the same one once in memory: it stands under many questions."""
    name, has_answer, standing = passage.get("id"), passage.get("has_answer"), passage.get("has_options")
    return _passage_once(
        name if isinstance(name, str) else None,
        has_answer if isinstance(has_answer, bool) else None,
        tuple([number for number in standing if type(number) is int]) if isinstance(standing, list) else None,
    )


@functools.lru_cache(maxsize=1 << 18)
def _passage_once(name: str | None, has_answer: bool | None, has_options: tuple[int, ...] | None) -> Record:
    return {"id": name, "has_answer": has_answer, "has_options": has_options}


def _tokens(sample: Mapping[str, Any]) -> Record:
    """How many tokens the prompt had, where the model's backend reported it; the last request's, if several."""
    counts = sample.get("token_counts")
    known = counts[-1] if isinstance(counts, list) and counts else None
    number = known.get("input_tokens") if isinstance(known, dict) else None
    return {"input_tokens": number} if isinstance(number, int) else {}


def _told_their_task(records: list[Record], task: str, shown: str) -> list[Record]:
    """The records, those that could not be scored with the facts of their task."""
    unscored = [record for record in records if is_unscored(record)]
    if not unscored:
        return records
    full = next((record for record in records if not is_unscored(record)), None)
    facts = {key: full.get(key) for key in _OF_TASK} if full else _facts_of(task)
    if not facts:
        raise BrokenSamplesError(
            f"{shown}: none of its {len(unscored)} answers could be scored ({unscored[0].get('fault')}). "
            "Mend that and run that task again."
        )
    return [_stub(record, facts) if is_unscored(record) else record for record in records]


def _stub(record: Record, facts: Record) -> Record:
    told = str(record.get("fault") or "no reason was noted")
    nothing = {"image_id": None, "gold": None, "prediction": None, "choices": 0, "best_score": None}
    question_id = record["question_id"]
    return {"question_id": question_id, "qa_id": question_id, "parse": UNSCORED, "fault": told, **nothing, **facts}


def _facts_of(name: str) -> Record:
    """What the suite knows of one task; nothing where it is none of its leaves."""
    try:
        (task,) = suite.resolve(name)
    except (UnknownNameError, ValueError):
        return {}
    return {
        "dataset": task.dataset.key,
        "setting": task.setting.name,
        "variant": task.variant.name,
        "kind": task.variant.kind,
        "language": task.language.code,
        "base_language": "en" if task.variant.asked == "en" else task.language.language,
        "register": task.language.register,
        "resource": task.language.resource,
    }


def _repeated(shown: str, ids: list[str]) -> BrokenSamplesError:
    unique = list(dict.fromkeys(ids))
    more = f" and {len(unique) - _SHOWN_IDS} more" if len(unique) > _SHOWN_IDS else ""
    return BrokenSamplesError(
        f"{shown} holds answers to the same question more than once: {', '.join(unique[:_SHOWN_IDS])}{more}. "
        "Two runs that started in the same second wrote to this file. "
        "Move it out of the folder and run that task again."
    )


def _check_same_task(samples: Samples, shown: str) -> None:
    keys = ("dataset", "setting", "variant", "kind", "language")
    tasks = {tuple(record[key] for key in keys) for record in samples.records}
    if len(tasks) > 1:
        found = "; ".join(" ".join(filter(None, task)) for task in sorted(tasks)[:3])
        raise BrokenSamplesError(f"{shown} mixes records of several tasks ({found}). Run those tasks again.")


def _first_text(value: object) -> str:
    """The text inside the lists that the harness may wrap around an answer."""
    while isinstance(value, list | tuple):
        value = value[0] if value else ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
