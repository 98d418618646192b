"""Writing tasks: what they ask for, what is recorded of a text, and what a cut-off text looks like."""

from __future__ import annotations

import json
import math

import pytest
from fixtures import cvqa_copy
from hypothesis import given
from hypothesis import strategies as st
from written import write_samples

from m4rag_tasks import cells, datasets, hooks, preflight, prompts, suite
from m4rag_tasks.errors import RunError, TemplateError
from m4rag_tasks.mini.build import DATA
from m4rag_tasks.report import load_runs
from m4rag_tasks.written_text import ends_as_a_text, read

MINI, CVQA = suite.DATASETS["mini"], suite.DATASETS["cvqa"]


@pytest.fixture(scope="module")
def doc():
    lines = (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return next(entry for entry in map(json.loads, lines) if entry["lang"] == "am")


def test_every_data_set_has_its_writing_tasks_in_all_varieties():
    for dataset in suite.DATASETS.values():
        varieties = len(suite.own_codes(dataset))
        names = {task.setting.name for task in suite.select(dataset.key, work="write")}
        assert {"make_caption", "make_queries"} <= names
        assert ("make_oracle" in names) == (dataset is CVQA)
        assert ("make_oracle_translation" in names) == (dataset is not MINI)
        for name in names:
            assert len(suite.select(dataset.key, name, variant="")) == varieties
    assert len(suite.select("cvqa", "make_queries", variant="en")) == len(suite.own_codes(CVQA))


def test_groups_of_answers_hold_no_writing_and_names_stand_for_it():
    for dataset in suite.DATASETS:
        assert {task.setting.work for task in suite.resolve(f"m4rag_{dataset}")} == {"answer"}
        assert {task.setting.work for task in suite.select(dataset)} == {"answer"}
    assert suite.resolve("m4rag_mini_make_caption") == suite.select("mini", "make_caption")
    asked = {task.variant.name for task in suite.resolve("m4rag_cvqa_make_queries")}
    assert asked == {"", "en"}


def test_a_caption_s_instruction_does_not_know_the_answer_and_an_oracle_s_does(data, shared_data):
    cvqa_copy(data, shared_data)
    (task,) = suite.select("cvqa", "make_caption", "id_indonesia")
    doc = datasets.without_images(datasets.load_rows(CVQA, task.language))[0]
    answer = doc["Translated Options"][doc["Label"]]
    caption, oracle = (getattr(hooks, f"prompt__cvqa__{name}")(doc) for name in ("make_caption", "make_oracle"))
    assert doc["Translated Question"] in caption and "in English" in caption
    assert answer not in caption.replace(doc["Translated Question"], "")
    assert f"Right answer: {answer}" in oracle and "Country: Indonesia" in oracle
    translation = hooks.prompt__cvqa__make_oracle_translation(doc)
    assert "into Indonesian." in translation and f"The picture shows this: {answer}." in translation
    assert doc["Question"] in translation and hooks.no_image(doc) == []


def test_queries_are_asked_for_in_both_wordings_and_show_the_caption(data, shared_data):
    cvqa_copy(data, shared_data)
    (task,) = suite.select("cvqa", "make_queries", "su_indonesia", "")
    doc = datasets.without_images(datasets.load_rows(CVQA, task.language))[0]
    local, english = hooks.prompt__cvqa__make_queries(doc), hooks.prompt__cvqa__make_queries__en(doc)
    assert "queries in Sundanese" in local and doc["Options"][doc["Label"]] in local
    assert "queries in English" in english and doc["Translated Options"][doc["Label"]] in english
    assert f"A photo of: {doc['Category']}." in local
    ids = [getattr(hooks, f"score__cvqa__{name}")(doc, ["a\nb"])["written"]["question_id"]
           for name in ("make_caption", "make_queries", "make_queries__en")]  # fmt: skip
    assert ids == [doc["ID"], f"{doc['ID']}-local", f"{doc['ID']}-en"]


def test_what_a_text_s_record_carries(doc):
    found = hooks.score__mini__make_caption(doc, ["<think>hm</think> አንድ ሰው።"])
    record = found["written"]
    assert (record["text"], record["finish"]) == ("አንድ ሰው።", "ended")
    assert record["question_id"] == f"{doc['qa_id']}-am"
    assert (record["makes"], record["written_in"], record["language"]) == ("caption", "am", "am")
    assert record["template"] == prompts.instruction_digest("make_caption")
    assert (found["empty"], found["cutoff"], found["failed"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("answer", "metric"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("<think>so the picture", "cutoff"),
        ("A red plate on a", "cutoff"),
        ("[LMMS_EVAL_REQUEST_FAILED] HTTP 500", "failed"),
    ],
)
def test_a_text_that_cannot_be_used_is_counted_for_what_it_is(doc, answer, metric):
    found = hooks.score__mini__make_caption(doc, [answer])
    assert [found[name] for name in ("empty", "cutoff", "failed")].count(1) == found[metric] == 1
    whole = hooks.score__mini__make_caption(doc, ["A red plate."])
    assert hooks.share_written([found["written"], whole["written"]]) == 0.5


def test_what_cannot_be_recorded_counts_as_failed_and_never_raises(doc, monkeypatch):
    monkeypatch.setattr(hooks.images, "image_status", lambda *_: (_ for _ in ()).throw(OSError("gone")))
    found = hooks.score__mini__make_caption(doc, ["A red plate."])
    assert found["failed"] == 1 and found["written"]["fault"] == "gone"
    assert hooks.share_written([found["written"]]) == 0
    assert math.isnan(hooks.share_written([]))


def test_provenance_names_the_quoted_context_sets():
    made = hooks.metadata__mini__make_queries__am
    assert made["contexts"]["caption"]["name"] == "mini:caption" and len(made["contexts"]["caption"]["sha256"]) == 64
    assert hooks.metadata__mini__make_caption__am["contexts"] == {}


def test_preflight_looks_at_writing_tasks_too(data, shared_data):
    cvqa_copy(data, shared_data)
    tasks = suite.select("cvqa", language="ga_ireland", work="write")
    assert preflight.preflight(tasks, open_images=False) == []
    (data / "cvqa/contexts/caption.jsonl").unlink()
    found = preflight.preflight(tasks, open_images=False)
    assert {finding.where for finding in found} == {
        "m4rag_cvqa_make_queries_ga_ireland",
        "m4rag_cvqa_make_queries_en_ga_ireland",
    }


@pytest.mark.parametrize(
    "text",
    [
        "A dog.",
        "A dog!)",
        '"A dog."',
        "犬です。",
        "「犬です。」",
        "एक कुत्ता।",
        "یہ کتا ہے۔",
        "ውሻ ነው።",
        "นี่คือสุนัข",
        "**A dog.**",
    ],
)
def test_texts_that_end(text):
    assert ends_as_a_text(text)


@pytest.mark.parametrize("text", ["", "A dog", "A dog,", "犬です", "A dog (a", "ውሻ", '"'])
def test_texts_that_do_not(text):
    assert not ends_as_a_text(text)


def test_queries_are_lines_without_bullets_each_once():
    assert read("```\n1. rijsttafel\n- nasi  padang\n\n* rijsttafel\n```", "queries") == (
        "rijsttafel\nnasi padang",
        "ended",
    )
    assert read("1945 Jakarta", "queries")[0] == "1945 Jakarta"


@given(st.text())
def test_any_answer_is_read_and_reading_twice_changes_nothing(answer):
    for makes in ("caption", "queries"):
        text, finish = read(answer, makes)
        assert finish in ("ended", "cut_off", "empty", "failed") and (text is None) == (finish == "failed")
        assert finish != "ended" or text.strip()


def test_a_template_that_is_no_instruction_or_not_there_is_named():
    for name in ("en", "mcq"):
        with pytest.raises(TemplateError, match=f"{name}.jinja"):
            prompts.instruct(name)
    with pytest.raises(TemplateError, match=r"make_caption\.jinja, line \d+: 'language' is undefined"):
        prompts.instruct("make_caption", question="?")


def test_a_report_leaves_out_what_is_no_answer(tmp_path):
    folder = write_samples(tmp_path, "m4rag_mini_make_caption", lambda doc: "A plate.", languages=("en",))
    notes = []
    with pytest.raises(RunError, match="There is no run to report"):
        load_runs([folder], notes)
    (note,) = notes
    assert "no answers" in note and "m4rag context import" in note


def test_cells_know_what_they_do():
    assert cells.cell("mini", "make_caption").setting.work == "write"
    with pytest.raises(KeyError):
        cells.cell("mini", "make_nothing")
