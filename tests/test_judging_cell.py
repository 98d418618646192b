"""Judging tasks: which items there are, what the judge is shown, and what is recorded of a grade."""

from __future__ import annotations

import argparse
import math

import pytest
from fixtures import cvqa_copy

from m4rag_tasks import cells, datasets, hooks, preflight, suite
from m4rag_tasks.cli_cache.choose import datasets_and_settings
from m4rag_tasks.grades import Grade
from retrieval_cache import RetrievedPassage

MINI = suite.DATASETS["mini"]
SETTING = "textrag_question_bm25"


@pytest.fixture(scope="module")
def table():
    return datasets.load_rows(MINI, suite.language("am"))


@pytest.fixture
def cache(mini_cache, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(mini_cache))


@pytest.fixture
def docs(cache, table):
    return getattr(hooks, f"docs__mini__judge_{SETTING}__am")(table)


def score(doc, answer):
    return getattr(hooks, f"score__mini__judge_{SETTING}")(doc, [answer])


def test_every_retrieval_setting_is_judged_in_each_wording_of_the_questions():
    retrieval_settings = [name for name, setting in suite.SETTINGS.items() if setting.retriever]
    for dataset in suite.DATASETS.values():
        judged = {task.setting.judges for task in suite.select(dataset.key, work="judge")}
        assert judged == {name for name in retrieval_settings if name in dataset.settings[""]}
        assert {task.setting.work for task in suite.resolve(f"m4rag_{dataset.key}")} == {"answer"}
    variants = {task.variant.name for task in suite.resolve("m4rag_cvqa_judge_mmrag")}
    assert variants == {"", "en"}
    assert {task.variant.name for task in suite.select("wc", work="judge")} == {""}


def test_each_passage_of_each_question_is_an_item_and_no_image_is_touched(docs, table, monkeypatch):
    hits = cells.cell("mini", SETTING)
    assert len(docs) == sum(len(hits.hits(hits.row(doc))) for doc in datasets.without_images(table))
    cell = cells.cell("mini", f"judge_{SETTING}")
    ids = [cell.record_id(doc) for doc in docs]
    assert len(set(ids)) == len(docs)
    assert ids[:6] == [f"{docs[0]['qa_id']}-am#{rank}" for rank in range(1, 6)] + [f"{docs[5]['qa_id']}-am#1"]
    # What the harness does with a data set.
    assert set(docs.features) == {*table.features, "rank"} == set(docs.column_names)
    fewer = docs.remove_columns("image_path")
    assert "image_path" not in fewer.features and len(fewer) == len(docs) and fewer[7]["rank"] == 3
    assert [doc["rank"] for doc in docs[3:7]] == [4, 5, 1, 2]
    assert docs[-1]["rank"] == 5
    with pytest.raises(IndexError):
        docs[len(docs)]


def test_the_judge_is_shown_the_passage_with_the_right_answer(docs):
    cell, plain = cells.cell("mini", f"judge_{SETTING}"), cells.cell("mini", SETTING)
    for doc in docs[5:8]:
        row = cell.row(doc)
        prompt = getattr(hooks, f"prompt__mini__judge_{SETTING}")(doc)
        hit = plain.hits(plain.row(doc))[doc["rank"] - 1]
        assert (
            f"Question: {row.question}\nRight answer: {row.answer}\n\nPassage: {hit.title}\n{hit.text.strip()}"
            in prompt
        )
        assert prompt.endswith('{"explanation": "<explanation>", "grade": <number>}')
        others = [other.text for other in plain.hits(plain.row(doc)) if other.rank != hit.rank]
        assert not any(text in prompt for text in others)


def test_a_record_has_all_that_a_grade_needs(docs):
    found = score(docs[6], '{"explanation": "…", "grade": 4}')
    record = found["grade"]
    assert (found["invalid"], found["failed"]) == (0.0, 0.0)
    assert record["item"] == f"{record['question_id']}#2"
    fields = {name: record[name] for name in Grade.__dataclass_fields__ if name in record}
    grade = Grade(judge="somebody", **fields)
    assert (grade.grade, grade.parse, grade.rank, grade.setting, grade.dataset) == (4, "json", 2, SETTING, "mini")
    assert None not in (grade.language, grade.image_id, grade.template, grade.cache)
    hits = cells.cell("mini", SETTING)
    assert grade.passage_id == hits.hits(hits.row(docs[6]))[1].id


def test_no_grade_and_no_answer_are_told_apart(docs):
    given = [score(doc, answer) for doc, answer in zip(docs, ("Score: 5", "2", "between 3 and 4"), strict=False)]
    assert [found["invalid"] for found in given] == [0.0, 0.0, 1.0]
    judged = [found["grade"] for found in given]
    assert judged[2]["grade"] is None
    assert hooks.mean_grade(judged) == 3.5
    assert math.isnan(hooks.mean_grade(judged[2:]))
    dead = score(docs[3], "[LMMS_EVAL_REQUEST_FAILED after 5 retries]")
    assert dead["failed"] == 1.0 and dead["invalid"] == 0.0 and "grade" not in dead["grade"]
    assert math.isnan(hooks.mean_grade([*judged, dead["grade"]]))
    assert math.isnan(hooks.mean_grade([judged[0], judged[0]]))


def test_an_item_that_cannot_be_scored_stops_no_run(docs, monkeypatch):
    monkeypatch.setattr(cells.JudgingCell, "passage", lambda *_: 1 / 0)
    found = score(docs[3], "4")
    assert found["failed"] == 1.0
    assert found["grade"]["item"] == f"{docs[3]['qa_id']}-am#4"
    assert math.isnan(hooks.mean_grade([found["grade"]]))


def test_preflight_looks_at_every_passage(cache):
    tasks = suite.select("mini", f"judge_{SETTING}", "am")
    assert preflight.preflight(tasks) == []


def test_cvqa_s_questions_are_judged_in_both_wordings_with_as_many_passages_as_were_found(
    data, shared_data, monkeypatch
):
    cvqa_copy(data, shared_data)
    found = [RetrievedPassage(f"p-{rank}", "p", "Title", f"text {rank}", "su", rank, 1.0) for rank in (1, 2)]
    # The second question has one passage only.
    monkeypatch.setattr(cells.JudgingCell, "hits", lambda cell, row: found[: 2 - (row.qa_id == second)])
    cvqa = suite.DATASETS["cvqa"]
    rows = datasets.load_rows(cvqa, suite.language("su_indonesia"))
    first, second = rows["ID"][:2]
    for variant, ending, question in (("", "local", "Question"), ("en", "en", "Translated Question")):
        cell = cells.cell("cvqa", "judge_mmrag", variant)
        docs = cell.docs(rows)
        assert [cell.record_id(doc) for doc in docs[:3]] == [
            f"{first}-{ending}#1", f"{first}-{ending}#2", f"{second}-{ending}#1"
        ]  # fmt: skip
        prompt = cell.prompt(cell.row(docs[1]))
        assert f"Question: {' '.join(docs[1][question].split())}\n" in prompt and "Passage: Title\ntext 2\n" in prompt


def test_a_judge_s_cache_is_that_of_the_setting_it_judges():
    named = argparse.Namespace(
        tasks=[f"m4rag_mini_judge_{SETTING}", f"m4rag_mini_{SETTING}"], dataset=None, setting=None
    )
    assert datasets_and_settings(named) == [(MINI, suite.SETTINGS[SETTING])]


def test_without_its_cache_a_task_stops_with_the_command_that_builds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    with pytest.raises(SystemExit, match=f"m4rag cache build --dataset mini --setting {SETTING}"):
        getattr(hooks, f"metadata__mini__judge_{SETTING}__am")
