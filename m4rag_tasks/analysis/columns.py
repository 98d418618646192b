"""Records of one run as arrays, and runs put side by side question by question.

Every analysis starts here, so that records are walked through once and not in inner loops.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from m4rag_tasks import metrics
from m4rag_tasks.analysis.passages import UNKNOWN, floats, shown
from m4rag_tasks.intervals import Codes, Floats
from m4rag_tasks.metrics import NoRecordsError, PairingError, Record, RecordError

Objects = NDArray[np.object_]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Variety:
    """What records say of a language variety: the language it belongs to and its resource class."""

    base_language: str | None
    resource: str | None


@dataclass(frozen=True)
class Columns:
    """One run: N questions in the order of their ids, one value of each array per question.

    strata, images: numbers that tell apart the language varieties (in alphabetical order) and the images.
    score: 1 right, 0 wrong, nan where there is nothing to score. gold, prediction: option numbers from 1;
    prediction is 0 where none was read or the answer is a text. answer_rank, grade_rank: rank of the first
    passage in which the gold answer stands, that is graded 4 or more; 0 where there is none, -1 where records do
    not say (or no passage was shown). chosen_rank: likewise of the chosen option where that is wrong.
    wrong_options: share of the wrong options that stand in a passage (nan: unknown). best_rank: of the passage
    graded best, the first of them. grade: mean of the passages' grades, nan unless all are graded. context_answer,
    query_answer: whether the gold answer stands in the context shown and in what was searched with (1, 0, -1).
    context_chars: length of the passages or context shown. tokens: of the whole prompt as the model counted them.
    nan: not recorded. records: what all of this was read from.
    """

    question_id: Objects
    language: Objects
    image: Objects
    strata: Codes
    images: Codes
    score: Floats
    invalid: Mask
    gold: Codes
    prediction: Codes
    choices: Codes
    records: Objects
    answer_rank: Codes
    grade_rank: Codes
    chosen_rank: Codes
    wrong_options: Floats
    best_rank: Codes
    grade: Floats
    context_answer: Codes
    query_answer: Codes
    context_chars: Floats
    tokens: Floats
    varieties: Mapping[str, Variety]

    def __len__(self) -> int:
        return len(self.score)

    @cached_property
    def scored(self) -> Mask:
        """Which questions have a score."""
        return ~np.isnan(self.score)

    def told(self, key: str) -> list[Any]:
        """What records say of a further key, None where they do not."""
        return [record.get(key) for record in self.records]

    def split(self, key: str) -> dict[str, Mask]:
        """Which questions have which value of a further key, values as texts in alphabetical order."""
        told = [None if value is None else str(value) for value in self.told(key)]
        names = sorted(set(told) - {None})
        codes = numbered(told, [None, *names])
        return {name: codes == place for place, name in enumerate(names, start=1)}

    def within(self, languages: Collection[str]) -> Mask:
        """Which questions are of some language varieties."""
        return np.array([name in languages for name in sorted(self.varieties)], dtype=bool)[self.strata]

    def take(self, chosen: NDArray[Any] | slice) -> Columns:
        """The run cut to some questions, by a mask, by their numbers or by a slice."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "varieties"}
        cut = {name: values[chosen] for name, values in arrays.items()}
        left = set(np.flatnonzero(np.bincount(cut["strata"])).tolist())
        names = [name for place, name in enumerate(sorted(self.varieties)) if place in left]
        cut |= {"strata": dense(cut["strata"]), "images": dense(cut["images"])}
        return Columns(**cut, varieties={name: self.varieties[name] for name in names})

    def of_languages(self, languages: Iterable[str]) -> Columns:
        """The run cut to some language varieties."""
        wanted = set(languages)
        if wanted >= self.varieties.keys():
            return self
        return self.take(self.within(wanted))

    def by_language(self) -> dict[str, Columns]:
        """The run cut to each of its varieties, in alphabetical order."""
        ordered = self.take(np.argsort(self.strata, kind="stable"))
        ends = np.cumsum(np.bincount(self.strata)).tolist()
        places = zip(sorted(self.varieties), [0, *ends], ends, strict=False)
        return {name: ordered.take(slice(start, end)) for name, start, end in places}


def columns(records: Iterable[Record]) -> Columns:
    """Records of one run (one model, data set, setting and variant) as arrays.

    Raises `NoRecordsError` without records, `IdsError` where question ids repeat, and `RecordError`
    for a record without id, language or (where it was scored) image, or with a score other than 0 and 1.
    """
    ordered = sorted(records, key=_question_id)
    if not ordered:
        raise NoRecordsError("there are no records to analyse")
    metrics.check_ids(ordered)
    gold, prediction = (_numbers([record.get(key) for record in ordered]) for key in ("gold", "prediction"))
    choices = _numbers([_choices(record) for record in ordered])
    passages = [record.get("passages") or () for record in ordered]
    language, image = [_language(record) for record in ordered], [record.get("image_id") for record in ordered]
    return Columns(
        question_id=_objects([record["question_id"] for record in ordered]),
        language=_objects(language),
        image=_objects(image),
        strata=numbered(language, sorted(set(language))),
        images=numbered(image, dict.fromkeys(image)),
        score=_scores(ordered, image),
        invalid=np.array([record.get("parse") == "invalid" for record in ordered], dtype=bool),
        gold=gold,
        prediction=prediction,
        choices=choices,
        records=_objects(ordered),
        **vars(shown(passages, gold, prediction, choices)),
        context_answer=_flags([record.get("context_has_answer") for record in ordered]),
        query_answer=_flags([record.get("query_has_answer") for record in ordered]),
        context_chars=floats([record.get("context_chars") for record in ordered]),
        tokens=floats([record.get("input_tokens") for record in ordered]),
        varieties={
            name: Variety(record.get("base_language"), record.get("resource"))
            for name, record in dict(zip(language, ordered, strict=True)).items()
        },
    )


@dataclass(frozen=True)
class Paired:
    """The N questions that each of R runs scored, in the same order.

    scores: R × N. runs: the R runs cut to these questions. images, strata: each question's image and language
    variety, counted from 0; languages: the varieties that strata count. failed: questions that lack a score
    in at least one of the runs.
    """

    runs: tuple[Columns, ...]
    scores: Floats
    images: Codes
    strata: Codes
    languages: tuple[str, ...]
    failed: int


def paired(*runs: Columns) -> Paired:
    """The runs side by side, over the varieties that all of them hold.

    Raises `PairingError` where these varieties hold other questions in one run than in another, or a question is
    about another image, and `NoRecordsError` where nothing was scored in all runs.
    """
    shared = set.intersection(*(set(run.varieties) for run in runs))
    if not shared:
        raise PairingError(f"no language variety is in both runs: {_listed(runs[0])} here, {_listed(runs[-1])} there")
    cut = [run.of_languages(shared) for run in runs]
    for run in cut[1:]:
        _check_same_questions(cut[0], run)
    scored = np.logical_and.reduce([run.scored for run in cut])
    if not scored.any():
        raise NoRecordsError(f"none of the {len(scored)} questions was scored in all runs")
    kept = tuple(cut) if scored.all() else tuple(run.take(scored) for run in cut)
    return Paired(
        runs=kept,
        scores=np.stack([run.score for run in kept]),
        images=kept[0].images,
        strata=kept[0].strata,
        languages=tuple(sorted(kept[0].varieties)),
        failed=int((~scored).sum()),
    )


def dense(values: Codes) -> Codes:
    """The same groups, counted from 0 without gaps; after a part was left out."""
    used = np.zeros(int(values.max(initial=0)) + 1, dtype=bool)
    used[values] = True
    return (np.cumsum(used) - 1)[values]


def numbered(values: Sequence[Any], names: Iterable[Any]) -> Codes:
    """The place of each value among the names, from 0."""
    number = {name: place for place, name in enumerate(names)}
    return np.array([number[value] for value in values], dtype=np.intp)


def _check_same_questions(one: Columns, other: Columns) -> None:
    if len(one) != len(other) or not (one.question_id == other.question_id).all():
        only_one = sorted(set(one.question_id) - set(other.question_id))
        only_other = sorted(set(other.question_id) - set(one.question_id))
        example = (only_one or only_other)[0]
        raise PairingError(
            f"the runs do not hold the same questions: {len(only_one)} are only in the first, {len(only_other)} only "
            f"in the second (e.g. {example})"
        )
    # What could not be scored does not say which image it was about.
    moved = (one.image != other.image) & one.scored & other.scored
    if moved.any():
        first = one.question_id[int(moved.argmax())]
        raise PairingError(f"{int(moved.sum())} questions are about another image in the second run (e.g. {first})")


def _listed(run: Columns) -> str:
    return ", ".join(sorted(run.varieties)[:3])


def _question_id(record: Record) -> str:
    if not isinstance(record.get("question_id"), str):
        raise RecordError(f"a record has no question_id: {str(dict(record))[:100]}")
    return record["question_id"]


def _language(record: Record) -> str:
    if record.get("language") is None:
        raise RecordError(f"the record of question {record['question_id']} has no language")
    return record["language"]


def _choices(record: Record) -> int:
    """How many options there were; records of samples files may hold the number in place of the texts."""
    return len(record["options"]) if record.get("options") is not None else record.get("choices") or 0


def _scores(records: Sequence[Record], images: Sequence[Any]) -> Floats:
    values = floats([record.get("score") for record in records])
    wrong = ~((values == 0) | (values == 1) | np.isnan(values))
    if wrong.any():
        first = records[int(wrong.argmax())]
        raise RecordError(f"score of question {first['question_id']} is {first['score']!r}; it must be 0 or 1")
    lacking = np.array([image is None for image in images], dtype=bool) & ~np.isnan(values)
    if lacking.any():
        raise RecordError(f"the record of question {records[int(lacking.argmax())]['question_id']} has no image_id")
    return values


def _numbers(values: Sequence[Any]) -> Codes:
    return np.array([value if type(value) is int else 0 for value in values], dtype=np.intp)


def _flags(values: Sequence[bool | None]) -> Codes:
    if odd := [value for value in values if value not in (None, True, False)]:
        raise RecordError(f"a record holds {odd[0]!r} where yes or no is expected")
    return np.array([UNKNOWN if value is None else int(value) for value in values], dtype=np.intp)


def _objects(values: Sequence[Any]) -> Objects:
    # np.array would make a second dimension of values that are sequences.
    return np.fromiter(values, dtype=object, count=len(values))
