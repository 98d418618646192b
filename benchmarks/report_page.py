"""`m4rag report` on runs of the size of WorldCuisines' large test set: how long, how much memory, how big a page.

60,000 questions (30 varieties × 2,000, the same 1,000 images in each) in three settings, with evidence and a
judge's grade for every passage: one samples file per task, as lmms-eval writes them.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Row, apart, save

VARIETIES = 30
QUESTIONS = 2_000
IMAGES = 1_000
PASSAGES = 5
SETTINGS = {"norag": 0.45, "mmrag": 0.55, "oracle": 0.92}
MODEL = "org/model-7b"
SECONDS, MEGABYTES = 20, 15
_DATE = "20260301_120000"
_PROMPT = "Answer the question about the picture. " * 60


def write_runs(root: Path) -> int:
    """Run folder and grades file below `root`; returns the number of records."""
    from m4rag_tasks import suite

    chance = random.Random(0)
    folder = root / "runs" / MODEL.replace("/", "__")
    folder.mkdir(parents=True)
    languages = list(suite.own_codes(suite.DATASETS["wc"]).values())[:VARIETIES]
    counts = {}
    with (root / "grades.jsonl").open("w", encoding="utf-8") as grades:
        for setting, right in SETTINGS.items():
            for language in languages:
                task = f"m4rag_wc_{setting}_{language}"
                with (folder / f"{_DATE}_samples_{task}.jsonl").open("w", encoding="utf-8") as file:
                    for number in range(QUESTIONS):
                        record = _record(chance, number, language, setting, right)
                        file.write(_sample(number, record))
                        grades.writelines(_grades(chance, record))
                counts[task] = {"original": QUESTIONS, "effective": QUESTIONS}
    results = {
        "model_name": MODEL,
        "n-samples": counts,
        "config": {"model": "qwen2_5_vl"},
        "lmms_eval_version": "0.7.3",
    }
    (folder / f"{_DATE}_results.json").write_text(json.dumps(results), encoding="utf-8")
    return len(SETTINGS) * len(languages) * QUESTIONS


def report(root: str) -> dict[str, Any]:
    """Writes the report; seconds and sizes."""
    from m4rag_tasks import suite
    from m4rag_tasks.report import write_report

    start = time.perf_counter()
    folder = Path(root)
    page, written = write_report(
        [folder / "runs"],
        folder / "report",
        lambda *_: None,
        suite.language_names(),
        grades=[folder / "grades.jsonl"],
    )
    return {
        "seconds": time.perf_counter() - start,
        "bytes": page.stat().st_size,
        "sections": sum(bool(section.tables) for section in written.sections),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        records = write_runs(Path(folder))
        found = apart("benchmarks.report_page:report", folder)
    seconds, size = found["seconds"], found["bytes"] / 1e6
    what = f"{records // len(SETTINGS):,} questions in {len(SETTINGS)} settings, all passages graded"
    save(
        "report_page",
        f"The report's page: {what}",
        [
            Row("samples read, analysed and drawn", f"{seconds:.1f} s", wanted=f"< {SECONDS} s", met=seconds < SECONDS),
            Row("size of the page", f"{size:.1f} MB", wanted=f"< {MEGABYTES} MB", met=size < MEGABYTES),
            Row("peak memory", f"{found['peak_bytes'] / 1e6:,.0f} MB"),
        ],
        [
            f"{found['sections']} sections of the analysis with tables; prompts of {len(_PROMPT):,} characters; "
            "no pictures."
        ],
    )


def _record(chance: random.Random, number: int, language: str, setting: str, right: float) -> dict[str, Any]:
    score, gold = int(chance.random() < right), number % 5 + 1
    shown = [_passage(chance, number, rank) for rank in range(1, PASSAGES + 1)] if setting == "mmrag" else []
    return {
        "question_id": f"{number}-{language}",
        "qa_id": str(number),
        "dataset": "wc",
        "setting": setting,
        "variant": "",
        "kind": "mcq",
        "language": language,
        "base_language": language.partition("_")[0],
        "register": None,
        "resource": ("high", "mid", "low")[len(language) % 3],
        "prompt_type": str(number % 4 + 1),
        "image_id": f"images/{number % IMAGES}.jpg",
        "image": "shown",
        "question": f"What is the dish of question {number} called in this place?",
        "options": [f"dish {number} {option}" for option in range(5)],
        "gold": gold,
        "faults": [],
        "prediction": gold if score else gold % 5 + 1,
        "parse": "json",
        "score": float(score),
        "strict": float(score),
        "passages": shown,
        "context_chars": 4_000 if shown else 700 if setting == "oracle" else 0,
        "retriever": "mme5" if shown else None,
        "context": "dish texts" if setting == "oracle" else None,
        "template": "t" * 12,
        "cache": "c" * 12 if shown else None,
    }


def _passage(chance: random.Random, number: int, rank: int) -> dict[str, Any]:
    return {
        "id": f"{number * 7 % 9_973}:{rank}",
        "title": f"Article {number * 7 % 9_973}",
        "rank": rank,
        "score": 1 / rank,
        "has_answer": chance.random() < 0.4 / rank,
        "has_options": [option for option in range(1, 6) if chance.random() < 0.15],
    }


def _sample(number: int, record: dict[str, Any]) -> str:
    said = [json.dumps({"answer": record["prediction"]})]
    tokens = [{"input_tokens": 600 + record["context_chars"] // 4, "output_tokens": 8}]
    sample = {"doc_id": number, "filtered_resps": said, "input": _PROMPT, "accuracy": record, "token_counts": tokens}
    return json.dumps(sample, ensure_ascii=False) + "\n"


def _grades(chance: random.Random, record: dict[str, Any]) -> list[str]:
    return [
        json.dumps(
            {
                "question_id": record["question_id"],
                "passage_id": one["id"],
                "grade": chance.randint(1, 5),
                "judge": "org/judge-72b",
                "setting": record["setting"],
                "dataset": "wc",
            }
        )
        + "\n"
        for one in record["passages"]
    ]


if __name__ == "__main__":
    main()
