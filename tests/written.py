"""Samples of writing tasks as lmms-eval leaves them, made from texts by the functions that the task YAMLs name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from m4rag_tasks import datasets, hooks, suite

DATE = "20260102_030405"


def write_samples(
    folder: Path,
    family: str,
    text: Callable[[Mapping[str, Any]], str],
    *,
    languages: tuple[str, ...] = (),
    model: str = "org/Writer-7B",
    tokens: Callable[[str], int | None] = lambda text: None,
    limit: int = 1024,
    date: str = DATE,
) -> Path:
    """A run folder with the samples of a family of writing tasks, e.g. "m4rag_mini_make_caption"; returns it.

    `text` gives what the model says to a row, `tokens` how many it counted.
    """
    run = folder / model.replace("/", "__")
    run.mkdir(parents=True, exist_ok=True)
    tasks = [task for task in suite.resolve(family) if not languages or task.language.code in languages]
    for task in tasks:
        score = getattr(
            hooks, "__".join(filter(None, ("score", task.dataset.key, task.setting.name, task.variant.name)))
        )
        with (run / f"{date}_samples_{task.name}.jsonl").open("w", encoding="utf-8") as file:
            for number, doc in enumerate(datasets.without_images(datasets.load_rows(task.dataset, task.language))):
                said = text(doc)
                counted = tokens(said)
                counts = [None if counted is None else {"output_tokens": counted}]
                sample = {"doc_id": number, "token_counts": counts, **score(doc, [said]), "input": "…"}
                file.write(json.dumps(sample, ensure_ascii=False) + "\n")
    configs = {
        task.name: {
            "generation_kwargs": {"max_new_tokens": limit},
            "metadata": {
                "versions": {"lmms-eval": "0.7.3"},
                "rows": datasets.rows_digest(datasets.load_rows(task.dataset, task.language), task.dataset),
            },
        }
        for task in tasks
    }
    results = {
        "config": {"model": "qwen2_5_vl", "model_args": f"pretrained=/models/{model},revision=abc123"},
        "model_name": model,
        "configs": configs,
        "n-samples": {},
    }
    (run / f"{date}_results.json").write_text(json.dumps(results), encoding="utf-8")
    return run
