"""Records given by hand: as few keys as an analysis needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def record(question: int, score: float | None, language: str = "hi", **more: Any) -> dict[str, Any]:
    """One record; a score of None is a request that failed. Of four options the second is right."""
    made: dict[str, Any] = {
        "question_id": f"{question:04}-{language}",
        "language": language,
        "base_language": language,
        "resource": {"hi": "high", "am": "low", "sw": "low"}.get(language, "mid"),
        "image_id": f"{question}.png",
        "parse": "failed_request" if score is None else "json",
        "gold": 2,
        "prediction": {1: 2, 0: 3}.get(score),
        "choices": 4,
    }
    return {**made, **({} if score is None else {"score": float(score)}), **more}


def run(scores: Sequence[float | None], language: str = "hi", **more: Any) -> list[dict[str, Any]]:
    """Records of one language; a list among `more` has one value per question."""
    return [
        record(
            number,
            score,
            language,
            **{key: value[number] if isinstance(value, list) else value for key, value in more.items()},
        )
        for number, score in enumerate(scores)
    ]


def passage(
    number: int = 1, answer: bool | None = None, grade: int | None = None, options: Sequence[int] | None = None
):
    """A passage as records hold it; what is None is not recorded."""
    known = {"has_answer": answer, "grade": grade, "has_options": options}
    return {"id": f"p{number}", "rank": number, **{key: value for key, value in known.items() if value is not None}}
