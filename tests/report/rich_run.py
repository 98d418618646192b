"""Runs in which every section of a report has something to say: three sizes, variants, evidence, grades, costs."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from . import make_run as make

MODELS = {"org/model-3b": -0.05, "org/model-7b": 0.0, "org/model-32b": 0.1}
SETTINGS = {"norag": 0.4, "mmrag": 0.55, "textrag_caption": 0.6, "oracle": 0.9}
VARIANTS = {"oracle": ("enprompt", "localctx")}
QUESTIONS = 24


def write(folder: Path) -> tuple[Path, Path]:
    """The runs and the grades file."""
    chance, grades = random.Random(7), []
    for model, more in MODELS.items():
        for setting, right in SETTINGS.items():
            for variant in ("", *VARIANTS.get(setting, ())):
                counts = {}
                for language in make.QUESTION:
                    records = [
                        one_record(chance, number, language, setting, variant, right + more)
                        for number in range(QUESTIONS)
                    ]
                    counts[make.task_name(setting, language, records)] = (QUESTIONS, QUESTIONS)
                    path = make.write_task(folder / "runs", setting, language, records, model)
                    path.write_text(with_tokens(path.read_text(encoding="utf-8")), encoding="utf-8")
                    grades += [line for record in records for line in graded(record)]
                make.write_results(folder / "runs", counts, model)
    file = folder / "grades.jsonl"
    unique = {(line["question_id"], line["passage_id"]): line for line in grades}
    file.write_text("".join(f"{json.dumps(line)}\n" for line in unique.values()), encoding="utf-8")
    return folder / "runs", file


def one_record(
    chance: random.Random, number: int, language: str, setting: str, variant: str, right: float
) -> dict[str, Any]:
    score, gold = int(chance.random() < right), number % 4 + 1
    searched = setting not in ("norag", "oracle")
    passages = [passage(chance, number, rank) for rank in range(1, 6)] if searched else []
    length = {"norag": 0, "oracle": 600}.get(setting, 3000 + 40 * len(setting))
    record = make.record(
        number,
        language,
        setting,
        score,
        dataset="wc",
        variant=variant,
        image_id=f"images/{number % 12}.png",
        gold=gold,
        prediction=gold if score else gold % 4 + 1,
        passages=passages,
        context_chars=length,
    )
    if setting == "oracle":
        record["context_has_answer"] = True
    if not score and chance.random() < 0.1:
        record |= {"parse": "invalid", "prediction": None}
    return record


def passage(chance: random.Random, number: int, rank: int) -> dict[str, Any]:
    return {
        "id": f"article {number}:{rank}",
        "title": f"Article {number}",
        "rank": rank,
        "score": 1 / rank,
        "has_answer": chance.random() < 0.5 / rank,
        "has_options": [option for option in (1, 2, 3, 4) if chance.random() < 0.2],
    }


def with_tokens(lines: str) -> str:
    samples = [json.loads(line) for line in lines.splitlines()]
    for sample in samples:
        tokens = 100 + sample["accuracy"]["context_chars"] // 4
        sample["token_counts"] = [{"input_tokens": tokens, "output_tokens": 5}]
    return "".join(f"{json.dumps(sample, ensure_ascii=False)}\n" for sample in samples)


def graded(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "question_id": record["question_id"],
            "passage_id": one["id"],
            "grade": 1 + (int(record["qa_id"]) * 7 + one["rank"] * 3) % 5,
            "judge": "org/judge-72b",
        }
        for one in record["passages"]
    ]
