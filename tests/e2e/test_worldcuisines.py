"""Real WorldCuisines rows: published answers replayed, and every variety in every setting we offer."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from harness import run_lmms_eval, run_m4rag, samples

from m4rag_tasks.report import load_runs
from m4rag_tasks.suite import select

pytestmark = pytest.mark.e2e

PROMPT_TYPES = {
    "1a. Dish Name (No-Context)": 1,
    "1b. Dish Name (Contextualized)": 3,
    "1c. Dish Name (Adversarial)": 4,
    "2. Regional Cuisine": 2,
}
RENAMED = {"su_loma": "su", "si_formal_spoken": "si"}
PUBLISHED = {"qwen2-vl-7b-instruct": 61.21, "pangea-7b": 56.03}


@pytest.mark.parametrize("model", PUBLISHED)
def test_replayed_answers_give_every_published_cell(shared_data, tmp_path, model):
    folder = shared_data / "worldcuisines"
    responses = folder / "predictions" / f"{model}_mc_small.parquet"
    done = run_lmms_eval(
        *("--model", "m4rag_replay", "--model_args", f"responses={responses}", "--tasks", "m4rag_wc_norag"),
        *("--log_samples", "--output_path", str(tmp_path)),
        M4RAG_DATA=str(shared_data),
    )
    assert len(samples(tmp_path)) >= 30, done.stdout[-3000:] + done.stderr[-3000:]
    (run,) = load_runs([tmp_path], [], "worldcuisines")
    assert len(run.records) == 12_000

    cells = defaultdict(list)
    for record in run.records:
        cells[record["prompt_type"], record["language"]].append(record["score"])
    published = json.loads((folder / "published_scores" / f"{model}_mc_small.json").read_text(encoding="utf-8"))
    compared = 0
    for title, prompt_type in PROMPT_TYPES.items():
        for (kind, language), scores in cells.items():
            if kind == prompt_type:
                cell = published[title][RENAMED.get(language, language)]
                assert 100 * sum(scores) / len(scores) == pytest.approx(cell, abs=0.005), (title, language)
                compared += 1
    assert compared == 120
    overall = 100 * sum(record["score"] for record in run.records) / len(run.records)
    # The published figure is a mean of rounded means: one rounding step apart from ours at the most.
    assert overall == pytest.approx(PUBLISHED[model], abs=0.011)


def test_every_variety_runs_in_every_setting(shared_data, tmp_path):
    cache, out = tmp_path / "cache", tmp_path / "out"
    environment = {"M4RAG_DATA": str(shared_data), "M4RAG_CACHE": str(cache)}
    corpus = shared_data / "corpus_sample" / "articles.jsonl.gz"
    run_m4rag("cache", "build", "--dataset", "wc", "--corpus", str(corpus), **environment)
    groups = "m4rag_wc_norag,m4rag_wc_oracle,m4rag_wc_textrag_oracle_bm25,m4rag_wc_textrag_question_bm25"
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", groups, "--limit", "3", "--log_samples", "--output_path", str(out)),
        **environment,
    )
    found = samples(out)
    assert set(found) == {task.name for task in select("wc")}, done.stdout[-3000:] + done.stderr[-3000:]
    for lines in found.values():
        assert len(lines) == 3
        assert {line["invalid"] for line in lines} == {0}


def test_answers_missing_from_the_responses_file_stop_the_run(shared_data, tmp_path):
    responses = Path(tmp_path / "answers.jsonl")
    responses.write_text('{"question_id": "407-en", "response": "1"}\n', encoding="utf-8")
    done = run_lmms_eval(
        *("--model", "m4rag_replay", "--model_args", f"responses={responses}", "--tasks", "m4rag_wc_norag_en"),
        *("--log_samples", "--output_path", str(tmp_path / "out")),
        M4RAG_DATA=str(shared_data),
    )
    assert done.returncode == 1
    assert "has no answer to 399 of 400 questions" in done.stderr
    assert not samples(tmp_path / "out")


def test_preflight_says_that_the_photos_are_missing(shared_data):
    done = run_m4rag("preflight", "m4rag_wc_norag_en", check=False, M4RAG_DATA=str(shared_data))
    assert done.returncode == 1
    assert "M4RAG_MISSING_IMAGES=blank" in done.stdout
