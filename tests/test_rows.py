"""Rows in the published layouts, their faults, and what is refused."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from m4rag_tasks import rows
from m4rag_tasks.errors import DataError
from m4rag_tasks.suite import DATASETS

CVQA, WC = DATASETS["cvqa"], DATASETS["wc"]


def cvqa_doc(**changes):
    return {
        "ID": "5920942824275514756_0",
        "Subset": "('Telugu', 'India')",
        "Question": "పువ్వు పేరు?",
        "Translated Question": "Which flower?",
        "Options": ["గులాబీ", "కమలం", " మల్లెపూవు", "మందార"],
        "Translated Options": ["Rose", "Lotus", "Jasmine", "Hibiscus"],
        "Label": 1,
        "Category": "People and everyday life",
        "image_path": "cvqa_images/1.jpg",
        **changes,
    }


def wc_doc(**changes):
    return {
        "qa_id": "407",
        "lang": "nan",
        "food_id": "1137",
        "prompt_type": 1,
        "question": "What is this?",
        "options": ["a", "b", "c"],
        "answer": "b",
        "mcq_answer_index": 1,
        "image_path": "images/1137_0.jpg",
        **changes,
    }


def test_a_question_is_asked_in_two_wordings():
    local, english = rows.row(CVQA, cvqa_doc()), rows.row(CVQA, cvqa_doc(), "en")
    assert (local.question_id, local.answer) == ("5920942824275514756_0-local", "కమలం")
    assert (english.question_id, english.answer) == ("5920942824275514756_0-en", "Lotus")
    assert local.language == english.language == "te_india"
    assert (local.asked, english.asked) == ("local", "en")
    assert local.image_id == english.image_id == "cvqa_images/1.jpg"


@pytest.mark.parametrize("nothing", ["", None])
def test_without_a_path_the_image_is_known_by_its_number(nothing):
    assert rows.row(CVQA, cvqa_doc(image_path=nothing)).image_id == "5920942824275514756"
    assert rows.image_id(CVQA, {"ID": "17_3"}) == "17"
    assert rows.image_id(CVQA, {"ID": "unnumbered"}) == "unnumbered"


@pytest.mark.parametrize("subset", [("Sinhala", "Sri_Lanka"), ["Sinhala", "Sri_Lanka"], "('Sinhala', 'Sri_Lanka')"])
def test_subsets_are_pairs_or_the_text_of_one(subset):
    row = rows.row(CVQA, cvqa_doc(Subset=subset))
    assert (row.language, row.country) == ("si_sri_lanka", "Sri Lanka")


@pytest.mark.parametrize("subset", ["Sinhala", "('Sinhala',)", "__import__('os').getcwd()", "(1, 2)", None, "((", ""])
def test_anything_else_is_no_subset_and_is_never_run(subset):
    with pytest.raises(DataError, match="is not a pair of language and country"):
        rows.variety_code(CVQA, subset)


@given(st.one_of(st.text(), st.integers(), st.lists(st.text()), st.none()))
def test_reading_a_subset_gives_a_code_or_an_error_for_people(value):
    try:
        assert "/" in rows.variety_code(CVQA, value)
    except DataError as error:
        assert repr(value) in str(error)


@given(st.tuples(st.text(st.characters(exclude_characters="/")), st.text(st.characters(exclude_characters="/"))))
def test_every_pair_of_texts_comes_back(pair):
    expected = "/".join(part.strip() for part in pair)
    assert rows.variety_code(CVQA, repr(pair)) == rows.variety_code(CVQA, list(pair)) == expected


@pytest.mark.parametrize(
    ("changes", "asked", "fault"),
    [
        ({"Options": []}, "local", "no options in the column 'Options'"),
        ({"Translated Options": None}, "en", "no options in the column 'Translated Options'"),
        ({"Question": "  "}, "local", "no question in the column 'Question'"),
        ({"Translated Question": None}, "en", "no question in the column 'Translated Question'"),
        ({"Label": -1}, "local", r"its label is hidden \(-1\)"),
        ({"Label": 4}, "local", "label 4 for 4 options"),
        ({"Label": None}, "local", "label None for 4 options"),
        ({"Label": 1.0}, "local", "the label 1.0 is no integer"),
        ({"Label": "1"}, "local", "the label '1' is no integer"),
        ({"Label": True}, "local", "the label True is no integer"),
        ({"Options": "['a', 'b']"}, "local", "are no list of strings"),
        ({"Translated Options": [1, 2]}, "en", "are no list of strings"),
        ({"Options": ["a", None, "b"]}, "local", "are no list of strings"),
    ],
)
def test_a_question_that_cannot_be_asked_is_named(changes, asked, fault):
    with pytest.raises(DataError, match=fault) as raised:
        rows.row(CVQA, cvqa_doc(**changes), asked)
    assert f"5920942824275514756_0-{asked}" in str(raised.value)


def test_min_nan_and_line_breaks_stay_as_they_are():
    row = rows.row(WC, wc_doc(question=" What\nis this? "))
    assert (row.question_id, row.language, row.question) == ("407-nan", "nan", " What\nis this? ")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"question": "Which <CUISINE> dish?"}, ["open field"]),
        ({"question": "From <LOCATION"}, ["open field"]),
        ({"question": "Is 3 <B> or a<b?"}, []),
        ({"options": ["A ", "b", "a"]}, ["option twice"]),
        ({"options": ["a", "B", "b"]}, ["right answer twice"]),
    ],
)
def test_known_faults_are_kept_and_said(changes, found):
    assert rows.faults(rows.row(WC, wc_doc(**changes))) == found


def test_the_faults_of_the_published_data_are_all_found(shared_data):
    counts = {}
    for task in (1, 2):
        for doc in pq.read_table(shared_data / "worldcuisines" / f"test_small_task{task}.parquet").to_pylist():
            for fault in rows.faults(rows.row(WC, doc)):
                counts[fault] = counts.get(fault, 0) + 1
    assert counts["open field"] == 114
    assert counts["right answer twice"] >= 40
    assert counts["option twice"] + counts["right answer twice"] >= 198


def test_real_cvqa_rows_are_read_in_english(shared_data):
    found = [
        rows.row(CVQA, doc, "en") for doc in pq.read_table(shared_data / "cvqa" / "cvqa_sample.parquet").to_pylist()
    ]
    assert len({row.question_id for row in found}) == 138
    assert len({row.language for row in found}) == 10
    assert {len(row.options) for row in found} == {4}
