"""Writes run folders as lmms-eval 0.7.3 lays them out, from scores given by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from m4rag_tasks.records import references, scored
from m4rag_tasks.suite import family_name, languages

DATE = "20260301_120000"
QUESTION = {
    "am": "ይህ ምግብ ምን ይባላል?",
    "ar": "ما اسم هذا الطبق؟",
    "en": "What is this dish called?",
    "hi": "इस व्यंजन का नाम क्या है?",
    "ko_formal": "이 음식의 이름은 무엇입니까?",
    "zh_cn": "这道菜叫什么？",
}
OPTIONS = {
    "am": ["እንጀራ", "ዶሮ ወጥ", "ቂጣ", "ሽሮ"],
    "ar": ["كشري", "فلافل", "كسكس", "منسف"],
    "en": ["Injera", "Doro wat", "Kitcha", "Shiro"],
    "hi": ["खीर", "ढोकला", "पोहा", "इडली"],
    "ko_formal": ["비빔밥", "김치찌개", "떡국", "잡채"],
    "zh_cn": ["火锅", "小笼包", "粽子", "汤圆"],
}


ANSWER = "Injera"
EVERYWHERE = {"en": "Injera bread", "am": "እንጀራ"}


def record(number: int, language: str, setting: str, score: int | None, **changes: Any) -> dict[str, Any]:
    """One record; a score of None is a request that failed. Right answers choose 2, wrong ones 3."""
    made: dict[str, Any] = {
        "question_id": f"{number}-{language}",
        "qa_id": str(number),
        "dataset": "mini",
        "setting": setting,
        "variant": "",
        "kind": "mcq",
        "language": language,
        **variety(language),
        "prompt_type": None,
        "image_id": f"images/{number}.png",
        "image": "shown",
        "question": QUESTION.get(language, QUESTION["en"]),
        "options": OPTIONS.get(language, OPTIONS["en"]),
        "gold": 2,
        "faults": [],
        "prediction": {1: 2, 0: 3}.get(score),
        "parse": "failed_request" if score is None else "json",
        "strict": float(score or 0),
        "passages": _passages(setting),
        "retriever": "pixel" if setting == "mmrag" else None,
        "context": "dish texts" if setting == "oracle" else None,
        "template": "t" * 12,
        "cache": "c" * 12 if setting == "mmrag" else None,
    }
    if score is not None:
        made["score"] = float(score)
    return {**made, **changes}


def variety(language: str) -> dict[str, str | None]:
    """What the suite knows of a language variety."""
    known = languages().get(language)
    return {key: getattr(known, key, None) for key in ("register", "resource")} | {
        "base_language": known.language if known else language
    }


def open_record(number: int, language: str, setting: str, answer: str | None, **changes: Any) -> dict[str, Any]:
    """One open-ended record, whose question `ANSWER` is the answer to; an answer of None is a request that failed."""
    made = record(number, language, setting, 0, variant="oe", kind="open_ended", **changes)
    kept = {key: value for key, value in made.items() if key not in ("score", "strict")}
    golds = {"references": references(ANSWER, EVERYWHERE)}
    said = "[LMMS_EVAL_REQUEST_FAILED 1]" if answer is None else answer
    return {**kept, **golds, **scored({**kept, **golds}, said), "response": said}


def old(made: Mapping[str, Any]) -> dict[str, Any]:
    """A record as earlier versions wrote it."""
    new = ("variant", "kind", "base_language", "register", "resource", "faults")
    return {key: value for key, value in made.items() if key not in new}


def unscored(number: int, language: str, fault: str = "the picture is gone") -> dict[str, Any]:
    """What is left of a record where scoring broke down."""
    return {"question_id": f"{number}-{language}", "parse": "unscored", "fault": fault}


def sample(doc_id: int, accuracy: Mapping[str, Any], response: str | None = None) -> dict[str, Any]:
    """One line of a samples file."""
    said = response if response is not None else json.dumps({"answer": accuracy.get("prediction")})
    return {
        "doc_id": doc_id,
        "target": str(accuracy.get("gold")),
        "filtered_resps": [said],
        "doc_hash": "same for all",
        "input": f"Answer the question.\n{accuracy.get('question')}",
        "accuracy": accuracy,
    }


def write_task(
    root: Path,
    setting: str,
    language: str,
    records: Sequence[Mapping[str, Any]],
    model: str = "org/model-7b",
    date: str = DATE,
    task: str | None = None,
) -> Path:
    """One samples file; records with a `response` key say that instead of their prediction."""
    folder = root / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{date}_samples_{task or task_name(setting, language, records)}.jsonl"
    lines = []
    for number, one in enumerate(records):
        made = sample(number, {key: value for key, value in one.items() if key != "response"}, one.get("response"))
        lines.append(json.dumps(made, ensure_ascii=False))
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def task_name(setting: str, language: str, records: Sequence[Mapping[str, Any]]) -> str:
    """What the suite calls the task of these records."""
    first = records[0] if records else {}
    return f"{family_name(first.get('dataset', 'mini'), setting, first.get('variant', ''))}_{language}"


def write_results(
    root: Path,
    counts: Mapping[str, tuple[int, int]],
    model: str = "org/model-7b",
    date: str = DATE,
    **config: Any,
) -> Path:
    """The results file; `counts` says per task how many questions it has and how many were to be asked."""
    folder = root / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{date}_results.json"
    content = {
        "results": {},
        "configs": {},
        "n-samples": {task: {"original": whole, "effective": asked} for task, (whole, asked) in counts.items()},
        "config": {"model": "qwen2_5_vl", "model_args": f"pretrained={model}", "limit": None, "offset": 0, **config},
        "lmms_eval_version": "0.7.3",
        "model_name": model,
        "system_instruction_sha": None,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def write_run(
    root: Path,
    scores: Mapping[str, Mapping[str, Sequence[int | None]]],
    model: str = "org/model-7b",
    date: str = DATE,
    changes: Mapping[str, Any] | None = None,
    **config: Any,
) -> Path:
    """A whole run: setting → language → one score per question; returns `root`. `changes` are made to every record."""
    counts = {}
    for setting, by_language in scores.items():
        for language, values in by_language.items():
            records = [
                record(number, language, setting, score, **(changes or {}))
                for number, score in enumerate(values, start=1)
            ]
            write_task(root, setting, language, records, model, date)
            counts[task_name(setting, language, records)] = (len(values), len(values))
    write_results(root, counts, model, date, **config)
    return root


def _passages(setting: str) -> list[dict[str, Any]]:
    if setting in ("norag", "oracle"):
        return []
    return [{"id": f"p{rank}", "title": f"Article {rank}", "rank": rank, "score": 1 / rank} for rank in (1, 2)]
