"""What task YAMLs call: bindings by name, records, aggregations, and leaving with a message."""

from __future__ import annotations

import json
import math

import datasets as hf_datasets
import pytest

from m4rag_tasks import hooks, prompts, suite
from m4rag_tasks.errors import TemplateError
from m4rag_tasks.mini.build import DATA
from m4rag_tasks.plugin import register

MINI = suite.DATASETS["mini"]


@pytest.fixture(scope="module")
def doc():
    lines = (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return next(entry for entry in map(json.loads, lines) if entry["lang"] == "en")


def score(doc, answer, setting="norag"):
    return getattr(hooks, f"score__mini__{setting}")(doc, [answer])


def test_names_carry_the_axes():
    assert callable(hooks.docs__mini__am)
    assert hooks.dataset_path__mini == "json"
    made = hooks.metadata__mini__norag__am
    assert (made["language"], made["variant"], made["retriever"]) == ("am", "", None)
    assert len(made["rows"]) == 64 and made["rows"] != hooks.metadata__mini__norag__ar["rows"]
    for name in ("docs", "docs__", "unheard_of__mini", "__wrapped__"):
        with pytest.raises(AttributeError):
            getattr(hooks, name)


@pytest.mark.parametrize(
    "name",
    ["metadata__wc__norg__en", "docs__wcc__en", "docs__wc__xx_none", "prompt__wc__norag__openended", "image__a__b"],
)
def test_a_name_with_an_axis_that_does_not_exist_is_explained(name):
    with pytest.raises(SystemExit, match="m4rag: "):
        getattr(hooks, name)


def test_a_right_a_wrong_and_an_unreadable_answer(doc):
    gold = doc["mcq_answer_index"] + 1
    right = score(doc, json.dumps({"answer": gold}))
    assert (right["accuracy"]["score"], right["micro"], right["strict"], right["invalid"]) == (1, 1, 1, 0)
    wrong = score(doc, json.dumps({"answer": gold % 4 + 1}))
    assert (wrong["accuracy"]["score"], wrong["strict"], wrong["invalid"]) == (0, 0, 0)
    lenient = score(doc, f"{gold}.")
    assert (lenient["accuracy"]["score"], lenient["strict"]) == (1, 0)
    unreadable = score(doc, "I cannot tell.")
    assert (unreadable["accuracy"]["score"], unreadable["invalid"]) == (0, 1)


@pytest.mark.parametrize("marker", ["[LMMS_EVAL_REQUEST_FAILED] HTTP 500 after 3 tries", "LMMS_EVAL_REQUEST_FAILED"])
def test_a_failed_request_is_no_answer_at_all(doc, marker):
    found = score(doc, marker)
    assert not {"score", "strict"} & found["accuracy"].keys()
    assert found["accuracy"]["parse"] == "failed_request"
    assert found["failed"] == 1
    assert math.isnan(found["micro"]) and math.isnan(found["strict"])
    assert math.isnan(hooks.mean_score([found["accuracy"], score(doc, "1")["accuracy"]]))


@pytest.mark.parametrize("results", [[], [None], [""], ["\ud800"], [["nested"]]])
def test_scoring_never_raises(doc, results):
    """The harness would retry for seconds and then lose all answers of the run."""
    assert hooks.score__mini__norag(doc, results)["invalid"] == 1


def test_repeated_questions_have_no_accuracy(doc):
    record = score(doc, "1")["accuracy"]
    assert math.isnan(hooks.mean_score([record, record]))
    assert hooks.mean([]) != hooks.mean([])


def test_the_oracle_prompt_holds_the_context_and_the_record_names_it(doc):
    prompt = hooks.prompt__mini__oracle(doc)
    assert doc["options"][doc["mcq_answer_index"]] in prompt.split("Question:")[0]
    assert score(doc, "1", "oracle")["accuracy"]["context"] == "mini:oracle"


def test_a_missing_cache_leaves_with_the_command(doc):
    with pytest.raises(SystemExit, match="m4rag cache build --dataset mini --setting mmrag"):
        hooks.prompt__mini__mmrag(doc)
    with pytest.raises(SystemExit, match="m4rag cache build"):
        _ = hooks.metadata__mini__mmrag__en


def test_an_unreadable_template_leaves_with_its_path(doc, monkeypatch):
    def broken(*_args, **_kwargs):
        raise TemplateError("templates/en.jinja:3: not UTF-8")

    monkeypatch.setattr(prompts, "render", broken)
    with pytest.raises(SystemExit, match=r"templates/en\.jinja:3"):
        hooks.prompt__mini__norag(doc)


def test_a_question_that_cannot_be_scored_leaves_the_task_incomplete(doc, monkeypatch):
    """The harness retries what raises here and then drops every answer of the run."""
    monkeypatch.setattr(hooks.images, "image_status", lambda *_: (_ for _ in ()).throw(OSError("gone")))
    found = score(doc, "1")
    assert found["accuracy"] == {"question_id": found["accuracy"]["question_id"], "parse": "unscored", "fault": "gone"}
    assert found["failed"] == 1
    assert math.isnan(hooks.mean_score([found["accuracy"]]))


def test_rows_that_hold_their_images_are_scored_without_them(tmp_path, doc, monkeypatch):
    """The harness takes the image column off the rows that it scores."""
    monkeypatch.setattr(hooks.images, "find_image", lambda *_: None)
    features = hf_datasets.Features({"image_path": hf_datasets.Value("string"), "image": hf_datasets.Image()})
    picture = {"path": str(DATA / "images" / "injera.png"), "bytes": None}
    table = hf_datasets.Dataset.from_dict({"image_path": ["x.png"], "image": [picture]}, features=features)
    hooks.images.check_images(MINI, table)
    assert score(doc, "1")["accuracy"]["image"] == "shown"


def test_each_start_of_the_harness_forgets_the_model_before(doc):
    from lmms_eval.tasks import TaskManager

    register()
    hooks.images.show_images(False)
    assert score(doc, "1")["accuracy"]["image"] == "not shown"
    TaskManager("ERROR", include_defaults=False)
    assert score(doc, "1")["accuracy"]["image"] == "shown"
