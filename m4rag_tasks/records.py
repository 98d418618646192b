"""The record of one answered question: how its answer was read and scored. Pure.

The harness keeps neither the question nor its identity in the samples file, so a
task returns a record as the value of its metric `accuracy`: who was asked what, by
which prompt and passages, and these fields about the answer:

    prediction   the option's number (multiple choice) or the answer's text (open-ended), or None
    parse        the rule that read it, "invalid", "failed_request", or "unscored"
    score        1.0 right, 0.0 wrong; absent when there is nothing to score: a dead server is
                 not a wrong answer. Open-ended: single reference, as published without suffix.
    strict       multiple choice only: the score under the reference program's rule
    references   open-ended only: the golds {"single": str, "dual": [str], "multi": [str]}
    scores       open-ended only: `open_ended.scores`

and about what was shown (`evidence`):

    passages            per passage its id, title, rank, score, has_answer, has_options
    context_chars       characters of the passages or of the context; 0 where nothing is shown
    context_has_answer  only where a context is shown: whether the right answer stands in it
    query_has_answer    only where was searched: whether it stands in what was searched with
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from m4rag_tasks import open_ended
from m4rag_tasks.answers import parse

Record = dict[str, Any]

FAILED = "failed_request"


def references(answer: str, everywhere: Mapping[str, str]) -> dict[str, Any]:
    """The golds of one open-ended question: its own, with the English one, with those of all varieties.

    `everywhere` maps the data set's codes of varieties to the right answer in each.
    """
    dual = dict.fromkeys([answer, everywhere.get("en", answer)])
    return {"single": answer, "dual": list(dual), "multi": list(dict.fromkeys([*dual, *everywhere.values()]))}


def scored(record: Mapping[str, Any], answer: str, rule: str = "m4rag") -> Record:
    """The fields about the answer, read by one of `answers.RULES`."""
    if record.get("references") is not None:
        return _scored_open_ended(record["references"], answer, rule)
    parsed = parse(answer, record["options"], rule)
    fields: Record = {"prediction": parsed.choice, "parse": parsed.rule}
    if parsed.rule != FAILED:
        fields["score"] = float(parsed.choice == record["gold"])
        fields["strict"] = float(parse(answer, record["options"], "reference").choice == record["gold"])
    return fields


def _scored_open_ended(golds: Mapping[str, Any], answer: str, rule: str) -> Record:
    read = open_ended.read(answer, rule)
    fields: Record = {"prediction": read.text, "parse": read.rule}
    if read.rule != FAILED:
        gold = open_ended.Gold(golds["single"], tuple(golds["dual"]), tuple(golds["multi"]))
        fields["scores"] = open_ended.scores(read.text, gold)
        fields["score"] = fields["scores"]["single"]
    return fields


def metrics_of(record: Record, kind: str) -> dict[str, Any]:
    """What a task returns to the harness for one question: a value for each metric of its base."""
    failed = "score" not in record
    values = {
        "accuracy": record,
        "micro": record.get("score", math.nan),
        "invalid": float(record["parse"] == "invalid"),
        "failed": float(failed),
    }
    if kind == "mcq":
        return {**values, "strict": record.get("strict", math.nan)}
    scores = record.get("scores", {})
    names = {"dual": "dual", "multi": "multi", "exact": "exact_single"}
    return {**values, **{metric: scores.get(name, math.nan) for metric, name in names.items()}}
