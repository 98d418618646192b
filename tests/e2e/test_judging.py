"""From judge to agreement: judging tasks through the lmms-eval command, grades, and how far judges agree."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from pathlib import Path
from statistics import mean

import pytest
from harness import results, run_lmms_eval, run_m4rag, samples

from m4rag_tasks.grades import read_grades

pytestmark = pytest.mark.e2e

SETTING = "textrag_question_bm25"
TASK = f"m4rag_mini_judge_{SETTING}"


def judge(folder: Path, cache: Path, *arguments: str, tasks: str = f"{TASK}_am,{TASK}_en") -> str:
    """Output of one lmms-eval run of judging tasks."""
    done = run_lmms_eval(
        *("--tasks", tasks, "--log_samples", "--output_path", str(folder), *arguments),
        M4RAG_CACHE=str(cache),
        LMMS_CACHE_RUN_ID="judging",
    )
    output = done.stdout + done.stderr
    assert samples(folder), output[-3000:]
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("judging")


@pytest.fixture(scope="module")
def grades(mini_cache, folder):
    """The overlap judge's grades, begun with a few items, gone on with, and imported."""
    overlap, kept = ("--model", "m4rag_overlap_judge"), ("--use_cache", str(folder / "responses"))
    judge(folder / "begun", mini_cache, *overlap, *kept, "--limit", "7")
    environment = {"M4RAG_CACHE": str(mini_cache)}
    output = str(folder / "overlap.jsonl")
    refused = run_m4rag("judge", "import", str(folder / "begun"), "--output", output, check=False, **environment)
    assert refused.returncode == 1
    assert f"{TASK}_am by m4rag_overlap_judge: 293 of 300, e.g. " in refused.stderr
    assert "ResponseCache stats: 14 hits" in judge(folder / "overlap", mini_cache, *overlap, *kept)
    run_m4rag("judge", "import", str(folder / "overlap"), "--output", output, **environment)
    return read_grades([Path(output)])


def test_every_passage_is_graded_once_and_the_results_are_the_grades_means(grades, folder):
    assert Counter(grade.language for grade in grades) == {"am": 300, "en": 300}
    found = results(folder / "overlap")
    for code in ("am", "en"):
        expected = mean(grade.grade for grade in grades if grade.language == code)
        assert found["results"][f"{TASK}_{code}"]["grade,none"] == pytest.approx(expected)
        assert found["results"][f"{TASK}_{code}"]["failed,none"] == 0
    assert len({grade.grade for grade in grades}) == 5
    # What was graded is said by the samples alone, and by the configuration.
    told = found["configs"][f"{TASK}_en"]["metadata"]
    assert {(grade.cache, grade.judge) for grade in grades} == {(told["cache"], "m4rag_overlap_judge")}


def test_a_second_judge_answers_in_many_ways_and_agrees_as_far_as_it_does(grades, folder, mini_cache):
    forms = ('{{"explanation": "…", "grade": {}}}', "<think>1?</think> Score: {}/5", "**{}**", "I rate it {} out of 5.")
    english = [grade for grade in grades if grade.language == "en"]
    answers = {
        f"{grade.question_id}#{grade.rank}": forms[number % 4].format(grade.grade)
        for number, grade in enumerate(english)
    }
    unclear, dead, *_ = answers
    answers |= {unclear: "between 3 and 4", dead: "[LMMS_EVAL_REQUEST_FAILED after 5 retries] 5"}
    stored = folder / "stored.jsonl"
    stored.write_text("".join(json.dumps({"question_id": k, "response": v}) + "\n" for k, v in answers.items()))
    arguments = f"responses={stored},name=second"
    output = judge(
        folder / "second", mini_cache, "--model", "m4rag_replay", "--model_args", arguments, tasks=f"{TASK}_en"
    )
    found = results(folder / "second")["results"][f"{TASK}_en"]
    assert (found["failed,none"], found["invalid,none"]) == (1.0, pytest.approx(1 / 300))
    assert math.isnan(float(found["grade,none"])) and f"e.g. {dead}" in output
    command = ("judge", "import", str(folder / "second"), "--output", str(folder / "second.jsonl"))
    refused = run_m4rag(*command, check=False, M4RAG_CACHE=str(mini_cache))
    assert f"1 requests failed, e.g. {dead}" in refused.stderr
    assert not (folder / "second.jsonl").exists()
    run_m4rag(*command, "--partial", M4RAG_CACHE=str(mini_cache))
    second = read_grades([folder / "second.jsonl"])
    assert [grade.grade for grade in second if grade.grade is None] == [None] and len(second) == 299
    files = [str(folder / name) for name in ("overlap.jsonl", "second.jsonl")]
    run_m4rag("judge", "agreement", *files, "--csv", str(folder / "kappa.csv"))
    with (folder / "kappa.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["language"] for row in rows} == {"all", "en"}
    assert {(row["items"], row["value"], row["equal"]) for row in rows[2:]} == {("298", "1.0", "1.0")}
