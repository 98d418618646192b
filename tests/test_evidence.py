"""What records say of the texts that a model is shown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks import cells, datasets, evidence, hooks, suite
from m4rag_tasks.mini.build import DATA
from m4rag_tasks.rows import Row
from retrieval_cache import RetrievedPassage
from retrieval_cache.evaluation import answered

SETTING = "textrag_question_bm25"


def row(answer="Injera", options=("Shiro", "Injera", "Doro wat")):
    return Row("1-am", "1", "am", "local", "What is it?", tuple(options), 2, answer, "1.png")


def hit(text, title="Bread"):
    return RetrievedPassage("a-001", "a", title, text, "en", 1, 2.5)


def test_the_answer_stands_in_a_passage_whatever_its_case_width_and_spaces():
    found = evidence.of_passage(hit("Eaten with ＩＮＪＥＲＡ and doro\n  wat."), row())
    assert found == {
        "id": "a-001", "title": "Bread", "rank": 1, "score": 2.5, "has_answer": True, "has_options": [2, 3]
    }  # fmt: skip
    assert evidence.of_passage(hit("Nothing.", title="Injera"), row())["has_answer"]
    assert not evidence.of_passage(hit("Nothing."), row())["has_answer"]


def test_an_empty_answer_stands_nowhere():
    assert not evidence.holds_answer("anything", row(answer=" "))


@given(st.text(), st.text(min_size=1), st.text())
def test_an_answer_set_off_by_spaces_is_always_found(before, answer, after):
    if answer.strip() and evidence.normalised(answer):
        assert evidence.holds_answer(f"{before} {answer} {after}", row(answer))


@pytest.fixture(scope="module")
def doc():
    lines = (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return next(entry for entry in map(json.loads, lines) if entry["lang"] == "en")


def test_records_say_what_the_context_holds_and_how_long_it_is(doc):
    nothing = hooks.score__mini__norag(doc, ["1"])["accuracy"]
    assert nothing["context_chars"] == 0 and "context_has_answer" not in nothing and "query_has_answer" not in nothing
    oracle = hooks.score__mini__oracle(doc, ["1"])["accuracy"]
    assert oracle["context_chars"] > 50 and oracle["context_has_answer"] in (True, False)


def test_passages_have_the_answer_where_the_evaluation_of_the_cache_finds_it(mini_cache, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(mini_cache))
    cell = cells.cell("mini", SETTING)
    cell.check(suite.language("am"))
    docs = list(datasets.without_images(datasets.load_rows(suite.DATASETS["mini"], suite.language("am"))))
    answers = {cell.row(one).question_id: [cell.row(one).answer] for one in docs}
    expected = answered(cell.cache, answers)
    found = {}
    for one in docs:
        record = getattr(hooks, f"score__mini__{SETTING}")(one, ["1"])["accuracy"]
        has_answer = [passage["has_answer"] for passage in record["passages"]]
        found[record["question_id"]] = (float(has_answer[0]), float(any(has_answer)))
        assert [record["gold"] in passage["has_options"] for passage in record["passages"]] == has_answer
        assert record["context_chars"] > 0 and record["query_has_answer"] in (True, False)
    assert {name: first for name, (first, _) in found.items()} == expected["Answer@1"]
    assert {name: any_ for name, (_, any_) in found.items()} == expected["Answer@5"]
    assert 0 < sum(any_ for _, any_ in found.values()) < len(found)
