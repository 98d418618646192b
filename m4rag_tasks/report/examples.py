"""A few questions in full: what retrieval repaired, what it broke, what it left as it was.

The choice is made by rule, not by hand: every kind of change gets its turn,
languages take turns, and among equals a digest of the question id decides, so
that the same runs always show the same questions.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from m4rag_tasks.report.checks import Record, is_failed
from m4rag_tasks.report.pictures import FindImage, data_uri
from m4rag_tasks.report.runs import Place, Run, partner
from m4rag_tasks.report.samples import Exchange, read_exchange

BASE_SETTING = "norag"
ORACLE_SETTING = "oracle"
_TOLD = {
    "repaired": "wrong without retrieval, right in a retrieval setting",
    "broken": "right without retrieval, wrong in a retrieval setting",
    "mixed": "settings disagree",
    "wrong": "wrong in every setting",
    "right": "right in every setting",
}
# Order of turns: the first two teach most, so they come round most often.
_TURNS = ("repaired", "broken", "repaired", "broken", "mixed", "wrong", "right")
# A response can be a long chain of thought, a prompt five articles: enough to judge by.
_LONGEST_TEXT = 20_000


@dataclass(frozen=True)
class PassageShown:
    """One retrieved passage as the record names it."""

    rank: str
    title: str
    score: str


@dataclass(frozen=True)
class Answer:
    """What a model answered to one question in one setting and variant."""

    setting: str
    title: str
    outcome: str  # "right" | "wrong" | "not understood"
    choice: int | None
    response: str
    prompt: str
    image: str | None
    retriever: str | None
    context: str | None
    passages: tuple[PassageShown, ...]


@dataclass(frozen=True)
class Example:
    """One question, asked in one way, and every setting's answer to it.

    `options` are those the model saw, none where the question is open-ended; then
    `references` are the texts that are right: its own first, that of every variety last.
    """

    model: str
    dataset: str
    asking: str
    question_id: str
    language: str
    worded_in: str
    country: str | None
    category: str | None
    kind: str
    kind_told: str
    question: str
    options: tuple[str, ...]
    gold: int
    references: tuple[str, ...]
    image_id: str | None
    image: str | None
    answers: tuple[Answer, ...]


_Picture = Callable[[str, str], "str | None"]


def pick_examples(runs: Sequence[Run], find_image: FindImage, per_model: int = 12) -> list[Example]:
    """At most `per_model` telling questions for each model, shared by its data sets and ways of asking."""
    by_model: dict[str, dict[tuple[str, str], list[Run]]] = {}
    for run in runs:
        by_model.setdefault(run.model, {}).setdefault((run.dataset, run.asking), []).append(run)
    examples = []
    # Settings, languages and models ask about the same images: each is read and shrunk once.
    picture = functools.cache(functools.partial(data_uri, find_image))
    for parts in by_model.values():
        for number, same in enumerate(parts.values()):
            # Shares of whole examples that add up to `per_model`.
            count = per_model * (number + 1) // len(parts) - per_model * number // len(parts)
            questions = _by_question(same)
            for question_id, kind in _pick(questions, _partners(same), count):
                examples.append(_example(questions[question_id], kind, same, picture))
    return examples


def _partners(runs: Sequence[Run]) -> dict[str, str]:
    """Retrieval run → the run without retrieval that it is measured against, by their names."""
    names = {run.name for run in runs}
    # The oracle is told the answer: that it helps says nothing about retrieval.
    retrieving = [run for run in runs if run.setting not in (BASE_SETTING, ORACLE_SETTING)]
    found = {run.name: partner(run, BASE_SETTING, names) for run in retrieving}
    return {name: base for name, base in found.items() if base is not None}


def _pick(
    questions: Mapping[str, Mapping[str, Record]], partners: Mapping[str, str], count: int
) -> list[tuple[str, str]]:
    """Question ids with their kind, kinds and languages in turn; none with a failed request."""
    waiting: dict[str, list[tuple[str, str]]] = {}
    for question_id, records in questions.items():
        if any(map(is_failed, records.values())):
            continue
        language = next(iter(records.values()))["language"]
        waiting.setdefault(_kind(records, partners), []).append((language, question_id))
    for pairs in waiting.values():
        pairs.sort(key=lambda pair: hashlib.sha256(pair[1].encode(errors="backslashreplace")).hexdigest())
    used: Counter[str] = Counter()
    picked: list[tuple[str, str]] = []
    while len(picked) < count and any(waiting.get(kind) for kind in _TURNS):
        for kind in _TURNS:
            if waiting.get(kind) and len(picked) < count:
                chosen = min(waiting[kind], key=lambda pair: used[pair[0]])
                waiting[kind].remove(chosen)
                used[chosen[0]] += 1
                picked.append((chosen[1], kind))
    return picked


def _by_question(runs: Sequence[Run]) -> dict[str, dict[str, Record]]:
    """Question id → setting with variant → record."""
    found: dict[str, dict[str, Record]] = {}
    for run in runs:
        for record in run.records:
            found.setdefault(record["question_id"], {})[run.name] = record
    return found


def _kind(records: Mapping[str, Record], partners: Mapping[str, str]) -> str:
    scores = {setting: record["score"] for setting, record in records.items()}
    if len(set(scores.values())) == 1:
        return "right" if 1 in scores.values() else "wrong"
    changes = {(scores.get(base), scores.get(setting)) for setting, base in partners.items()}
    if (0, 1) in changes:
        return "repaired"
    return "broken" if (1, 0) in changes else "mixed"


def _example(records: Mapping[str, Record], kind: str, runs: Sequence[Run], picture: _Picture) -> Example:
    first = next(iter(records.values()))
    question_id = first["question_id"]
    asked = [run for run in runs if run.name in records]
    exchanges = [_exchange(run.places[question_id]) for run in asked]
    stored = exchanges[0].record
    golds = stored.get("references") or {}
    return Example(
        model=asked[0].model,
        dataset=first["dataset"],
        asking=asked[0].asking,
        question_id=question_id,
        language=first["language"],
        worded_in=str(first.get("base_language") or first["language"]),
        country=first.get("country"),
        category=first.get("category"),
        kind=kind,
        kind_told=_TOLD[kind],
        question=stored["question"],
        options=() if golds else tuple(stored["options"]),
        gold=first["gold"],
        references=tuple(dict.fromkeys((golds["single"], *golds["dual"], *golds["multi"]))) if golds else (),
        image_id=first["image_id"],
        image=picture(first["dataset"], first["image_id"]),
        answers=tuple(
            _answer(run, records[run.name], exchange) for run, exchange in zip(asked, exchanges, strict=True)
        ),
    )


def _exchange(place: Place) -> Exchange:
    return read_exchange(place.path, place.offset)


def _answer(run: Run, record: Record, exchange: Exchange) -> Answer:
    prediction = record["prediction"]
    return Answer(
        setting=run.name,
        title=run.short_title,
        outcome=_outcome(record),
        choice=prediction if isinstance(prediction, int) else None,
        response=_cut(exchange.response),
        prompt=_cut(exchange.prompt),
        image=record.get("image"),
        retriever=record.get("retriever"),
        context=record.get("context"),
        passages=tuple(
            PassageShown(_plain(passage.get("rank")), _plain(passage.get("title")), _plain(passage.get("score")))
            for passage in exchange.record["passages"]
        ),
    )


def _outcome(record: Record) -> str:
    if record["score"] == 1:
        return "right"
    return "not understood" if record["prediction"] is None else "wrong"


def _plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _cut(text: str) -> str:
    """A long text without its middle: a chain of thought gives its answer at the end."""
    if len(text) <= _LONGEST_TEXT:
        return text
    half = _LONGEST_TEXT // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half:,} characters left out …]\n{text[-half:]}"
