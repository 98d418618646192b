"""Real WorldCuisines rows: published answers replayed, and every variety in every setting we offer."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures import LARGE_QUESTIONS, SMALL_QUESTIONS, worldcuisines_copy
from harness import results, run_lmms_eval, run_m4rag, samples
from published import PROMPT_TYPES, RENAMED

from m4rag_tasks import prompts
from m4rag_tasks.report import compare, load_runs, write_report
from m4rag_tasks.suite import language_names, resolve

pytestmark = pytest.mark.e2e

PUBLISHED = {"qwen2-vl-7b-instruct": 61.21, "pangea-7b": 56.03}

# Score of a loaded record → what the published file's name adds.
OPEN_ENDED = {"score": "", "dual": "_dual", "multi": "_multi"}

GROUPS = (
    "m4rag_wc_norag",
    "m4rag_wc_norag_oe",
    "m4rag_wc_oracle",
    "m4rag_wc_textrag_oracle_bm25",
    "m4rag_wc_textrag_caption_bm25",
    "m4rag_wc_textrag_question_bm25",
)
LARGE, LARGE_OPEN_ENDED, LOCAL = "m4rag_wc_large_norag_th", "m4rag_wc_large_norag_oe_th", "m4rag_wc_oracle_localctx_th"


# --- published answers ----------------------------------------------------------


def replayed(shared_data: Path, out: Path, answers: str, group: str) -> list[Mapping[str, Any]]:
    """The records of published answers to all 12,000 questions, read under the published rule."""
    responses = shared_data / "worldcuisines" / "predictions" / f"{answers}_small.parquet"
    done = run_lmms_eval(
        *("--model", "m4rag_replay", "--tasks", group, "--log_samples", "--output_path", str(out)),
        *("--model_args", f"responses={responses},name={answers}"),
        M4RAG_DATA=str(shared_data),
        HF_DATASETS_CACHE=str(out / "converted"),
    )
    assert len(samples(out)) == len(resolve(group)), done.stdout[-3000:] + done.stderr[-3000:]
    (run,) = load_runs([out], [], "worldcuisines")
    assert len(run.records) == 12_000
    return run.records


def published_cells(shared_data: Path, scores: str) -> dict[tuple[int, str], float]:
    """Published accuracies in percent by prompt type and language."""
    path = shared_data / "worldcuisines" / "published_scores" / f"{scores}_small.json"
    published = json.loads(path.read_text(encoding="utf-8"))
    ours = {theirs: code for code, theirs in RENAMED.items()}
    return {
        (prompt_type, ours.get(language, language)): figure
        for prompt_type, title in PROMPT_TYPES.items()
        for language, figure in published[title].items()
        if language != "avg_score"
    }


def cells(records: Iterable[Mapping[str, Any]], score: Callable[[Mapping[str, Any]], float]) -> dict:
    """Accuracies in percent by prompt type and language."""
    found = defaultdict(list)
    for record in records:
        found[record["prompt_type"], record["language"]].append(100 * score(record))
    return {cell: mean(scores) for cell, scores in found.items()}


@pytest.fixture(scope="module")
def multiple_choice(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """The published multiple-choice answers of both models: `folder` with a run of each, and their `records`."""
    folder = tmp_path_factory.mktemp("published")
    found = {model: replayed(shared_data, folder / model, f"{model}_mc", "m4rag_wc_norag") for model in PUBLISHED}
    return SimpleNamespace(folder=folder, records=found)


@pytest.mark.parametrize("model", PUBLISHED)
def test_replayed_answers_give_every_published_cell(shared_data, multiple_choice, model):
    records = multiple_choice.records[model]
    published = published_cells(shared_data, f"{model}_mc")
    assert len(published) == 120
    assert cells(records, lambda record: record["score"]) == pytest.approx(published, abs=0.005)
    # The published figure is a mean of rounded means: one rounding step apart from ours at the most.
    assert 100 * mean(record["score"] for record in records) == pytest.approx(PUBLISHED[model], abs=0.011)


def test_two_published_models_are_reported_without_an_empty_section(multiple_choice, tmp_path):
    names = language_names()
    page, report = write_report([multiple_choice.folder], tmp_path / "report", lambda *_: None, names, "worldcuisines")
    assert report.models == sorted(f"{model}_mc" for model in PUBLISHED)
    assert all(section.tables or section.missing for section in report.sections)
    assert all(table.rows for section in report.sections for table in section.tables)
    told = {section.key: " ".join(section.missing) for section in report.sections}
    assert "no gain to set against size" in told["size"] and "no retrieval setting was run" in told["positions"]
    assert page.stat().st_size < 15_000_000
    assert len(report.examples) == 24


def test_two_published_models_are_compared_by_language(multiple_choice, tmp_path):
    qwen, pangea = (multiple_choice.folder / model for model in PUBLISHED)
    text, page = compare(qwen, pangea, language_names(), tmp_path / "compared", "worldcuisines")
    (row,) = [line for line in text.splitlines() if line.startswith("WorldCuisines, No retrieval  ")]
    # The published averages are 61.21 and 56.03.
    assert "−5.2 [" in row and row.endswith(" 30")
    with (page.parent / "tables" / "compared_by_language.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30
    assert all(row["p"] and float(row["p_adjusted"]) >= float(row["p"]) for row in rows)
    # What one model alone has right and the other alone has, in every variety, is what separates their scores.
    records = [{record["question_id"]: record for record in multiple_choice.records[model]} for model in PUBLISHED]
    gained = sum(records[1][one]["score"] > records[0][one]["score"] for one in records[0])
    assert sum(int(row["gained"]) for row in rows) == gained


def test_replayed_open_ended_answers_give_every_published_cell(shared_data, tmp_path):
    model = "qwen2-vl-7b-instruct_oe"
    records = replayed(shared_data, tmp_path, model, "m4rag_wc_norag_oe")
    for name, suffix in OPEN_ENDED.items():
        published = published_cells(shared_data, f"{model}{suffix}")
        assert len(published) == 120
        assert cells(records, lambda record, name=name: record[name]) == pytest.approx(published, abs=0.005)


# --- the grid -----------------------------------------------------------------


@pytest.fixture(scope="module")
def run(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """One run of the reader over a small copy: its `samples` and `results`, and the copy's `rows`."""
    folder = tmp_path_factory.mktemp("wc")
    rows = worldcuisines_copy(folder, shared_data)
    out, cache, converted = folder / "out", folder / "cache", folder / "converted"
    environment = {"M4RAG_DATA": str(folder), "M4RAG_CACHE": str(cache), "HF_DATASETS_CACHE": str(converted)}
    run_m4rag("cache", "build", *(group for group in GROUPS if "bm25" in group), **environment)
    tasks = ",".join([*GROUPS, LARGE, LARGE_OPEN_ENDED, LOCAL])
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", tasks, "--log_samples", "--output_path", str(out)), **environment
    )
    assert samples(out), done.stdout[-3000:] + done.stderr[-3000:]
    return SimpleNamespace(samples=samples(out), results=results(out), rows=rows)


def ids(rows: Iterable[Mapping[str, Any]], questions: Mapping[int, Sequence[str]], language: str) -> set[str]:
    """The ids of some questions in one language."""
    wanted = [qa_id for qa_ids in questions.values() for qa_id in qa_ids]
    return {f"{row['qa_id']}-{row['lang']}" for row in rows if row["qa_id"] in wanted and row["lang"] == language}


def test_every_variety_runs_in_every_setting(run):
    leaves = [task for group in GROUPS for task in resolve(group)]
    assert set(run.samples) == {*(task.name for task in leaves), LARGE, LARGE_OPEN_ENDED, LOCAL}
    for task in leaves:
        records = [line["accuracy"] for line in run.samples[task.name]]
        assert {record["question_id"] for record in records} == ids(run.rows, SMALL_QUESTIONS, task.language.code)
        assert {record["language"] for record in records} == {task.language.code}
        assert {record["base_language"] for record in records} == {task.language.language}
        assert {record["register"] for record in records} == {task.language.register}
        assert {record["retriever"] for record in records} == {task.setting.retriever}
        if task.variant.kind == "mcq":
            assert {record["parse"] for record in records} == {"json"}


def test_the_oracle_context_is_the_dish_s_description(run):
    for task in resolve("m4rag_wc_oracle"):
        for line in run.samples[task.name]:
            intro, text = line["input"].splitlines()[:2]
            assert intro == prompts.words(task.template)["context_intro"]
            assert len(text) > 40
            assert line["accuracy"]["context"] == "food-kb:Text Description"


def test_a_context_in_the_question_s_language_is_shown_where_asked_for(run):
    rows = {f"{row['qa_id']}-{row['lang']}": row for row in run.rows}
    for line in run.samples[LOCAL]:
        row = rows[line["accuracy"]["question_id"]]
        assert line["input"].splitlines()[1] == " ".join(f"{row['question']} {row['answer']}".split())
        assert line["accuracy"]["context"] == "wc:oracle_local"


def test_open_ended_prompts_show_no_options_and_records_carry_all_golds(run):
    rows = {f"{row['qa_id']}-{row['lang']}": row for row in run.rows}
    for task in resolve("m4rag_wc_norag_oe"):
        words = prompts.words(task.template)
        for line in run.samples[task.name]:
            record = line["accuracy"]
            row = rows[record["question_id"]]
            shown = line["input"].splitlines()
            assert words["open_instruction"] in shown and words["options_label"] not in shown
            assert not {f"{number}. {option}" for number, option in enumerate(row["options"], start=1)} & set(shown)
            english = rows[f"{row['qa_id']}-en"]["answer"]
            everywhere = {other["answer"] for other in rows.values() if other["qa_id"] == row["qa_id"]}
            assert line["target"] == record["references"]["single"] == row["answer"]
            assert set(record["references"]["dual"]) == {row["answer"], english}
            assert set(record["references"]["multi"]) == everywhere
            # The reader answers multiple-choice questions only: it says nothing, which is an answer that is wrong.
            assert (record["prediction"], record["parse"], record["score"]) == (None, "invalid", 0.0)


def test_test_large_is_a_data_set_of_its_own(run):
    for leaf in (LARGE, LARGE_OPEN_ENDED):
        records = [line["accuracy"] for line in run.samples[leaf]]
        assert {record["question_id"] for record in records} == ids(run.rows, LARGE_QUESTIONS, "th")
        assert {record["dataset"] for record in records} == {"wc_large"}
    assert ids(run.rows, SMALL_QUESTIONS, "th") < ids(run.rows, LARGE_QUESTIONS, "th")


def test_known_faults_of_the_published_rows_are_said(run):
    """As they are in the real rows: four options, the same option twice, a field of the template left open."""
    faults, choices = {}, {}
    for task in resolve("m4rag_wc_norag"):
        for line in run.samples[task.name]:
            record = line["accuracy"]
            faults[record["question_id"]] = record["faults"]
            choices[record["question_id"]] = len(record["options"])
    assert {name for name, count in choices.items() if count != 5} == {name for name in choices if "683-" in name}
    rows = {name: row for row in run.rows if (name := f"{row['qa_id']}-{row['lang']}") in faults}
    assert {name for name, found in faults.items() if "open field" in found} == {
        name for name, row in rows.items() if "<" in row["question"]
    }
    doubled = {name: row for name, row in rows.items() if len(set(row["options"])) < len(row["options"])}
    assert doubled
    for name, row in doubled.items():
        times = row["options"].count(row["options"][row["mcq_answer_index"]])
        assert ("right answer twice" if times > 1 else "option twice") in faults[name]


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_is_the_mean_over_its_leaves(run, group):
    table = run.results["results"]
    leaves = [table[task.name]["accuracy,none"] for task in resolve(group)]
    assert table[group]["accuracy,none"] == pytest.approx(mean(leaves))


def test_a_clone_of_the_hub_s_repository_is_read(shared_data, tmp_path):
    worldcuisines_copy(tmp_path, shared_data, clone=True)
    environment = {"M4RAG_DATA": str(tmp_path), "HF_DATASETS_CACHE": str(tmp_path / "converted")}
    done = run_m4rag("preflight", "m4rag_wc_norag", "m4rag_wc_large_oracle_oe", check=False, **environment)
    assert "60 of 60 tasks are ready" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


# --- what stops a run -----------------------------------------------------------


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
