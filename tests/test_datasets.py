"""Rows of local copies: real columns, real faults, and nothing unusable let through."""

from __future__ import annotations

import datasets as hf_datasets
import pyarrow as pa
import pytest
from local_copies import WorldCuisines, cvqa_row, cvqa_rows, wc_row

from m4rag_tasks import contexts, datasets, retrieval, rows, sources
from m4rag_tasks.errors import DataError, HiddenLabelError
from m4rag_tasks.suite import DATASETS, SETTINGS, languages

CVQA, MINI, WC = DATASETS["cvqa"], DATASETS["mini"], DATASETS["wc"]


@pytest.fixture
def wc_folder(tmp_path, monkeypatch):
    return WorldCuisines(tmp_path, monkeypatch)


def rows_of(code):
    place = sources.source(WC)
    table = hf_datasets.load_dataset(place.path, place.name, split=WC.split, **place.kwargs)
    return datasets.rows_of_language(table, WC, languages()[code])


def test_both_parts_are_read_and_only_the_language_asked_for(wc_folder):
    wc_folder([wc_row("1"), wc_row("2", "en")], [wc_row("3")])
    assert rows_of("nan")["qa_id"] == ["1", "3"]


def test_min_nan_is_a_language_and_not_a_missing_value(wc_folder):
    row = next(datasets.all_rows(WC))
    assert row.language == "nan"
    assert row.question_id == "1-nan"
    assert row.gold == 1


def test_hidden_labels_are_refused(wc_folder):
    wc_folder([wc_row(label=-1)])
    with pytest.raises(HiddenLabelError, match=r"label -1.*e\.g\. 1"):
        rows_of("nan")


def test_a_label_beyond_the_options_names_the_question(wc_folder):
    with pytest.raises(DataError, match="question 1-nan: label 4 for 4 options"):
        rows.row(WC, wc_row(label=4))


def test_repeated_question_ids_are_refused(wc_folder):
    wc_folder([wc_row("1")], [wc_row("1")])
    with pytest.raises(DataError, match="occur more than once"):
        rows_of("nan")


def test_a_language_without_rows_is_refused(wc_folder):
    with pytest.raises(DataError, match="no rows for language 'yue'"):
        rows_of("yue")


def test_a_missing_data_folder_or_file_is_named(wc_folder, tmp_path, monkeypatch):
    wc_folder([wc_row()])
    (tmp_path / "data/worldcuisines/test_small_task1.parquet").unlink()
    with pytest.raises(DataError, match=r"no local copy, none of .*test_small_task1\.parquet, "):
        sources.source(WC)
    monkeypatch.setenv("M4RAG_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="is not a folder"):
        sources.source(WC)


def test_without_a_local_copy_the_hub_is_named():
    place = sources.source(WC)
    assert (place.path, place.name) == ("worldcuisines/vqa-v1.1", "task1")


def test_a_hub_that_cannot_be_reached_is_said_so():
    with pytest.raises(DataError, match=r"\(task1\) cannot be loaded .* M4RAG_DATA"):
        next(datasets.all_rows(WC))


def test_queries_hold_what_the_setting_names_and_never_the_answer(wc_folder):
    row = next(datasets.all_rows(MINI))
    question = retrieval.query(MINI, SETTINGS["textrag_question_bm25"], row)
    caption = retrieval.query(MINI, SETTINGS["textrag_caption"], row)
    image = retrieval.query(MINI, SETTINGS["mmrag"], row)
    oracle = retrieval.query(MINI, SETTINGS["textrag_oracle"], row)
    answer = row.options[row.gold - 1].casefold()
    assert question.text == row.question
    assert caption.text.endswith(row.question) and len(caption.text) > len(row.question)
    assert image.text == row.question and image.image_path.is_file()
    assert answer in oracle.text.casefold()
    assert not [query for query in (question, caption, image) if answer in query.text.casefold()]


# --- columns and labels -------------------------------------------------------


@pytest.mark.parametrize(
    ("types", "changes", "fault"),
    [
        ({"options": pa.string()}, {"options": "['a', 'b']"}, "'options' holds string, not lists of strings"),
        ({"options": pa.list_(pa.int64())}, {"options": [1, 2]}, "'options' holds .*int64.*, not lists of strings"),
        (
            {"mcq_answer_index": pa.float64()},
            {"mcq_answer_index": 1.0},
            "'mcq_answer_index' holds double, not integers",
        ),
        ({"mcq_answer_index": pa.string()}, {"mcq_answer_index": "1"}, "'mcq_answer_index' holds string, not integers"),
        ({"question": pa.int64()}, {"question": 5}, "'question' holds int64, not strings"),
        ({"image_path": pa.int64()}, {"image_path": 5}, "'image_path' holds int64, not strings"),
    ],
)
def test_columns_of_another_type_are_refused_before_anything_runs(wc_folder, types, changes, fault):
    wc_folder([wc_row(**changes)], types=types)
    with pytest.raises(DataError, match=fault):
        rows_of("nan")
    with pytest.raises(DataError, match=fault):
        list(datasets.all_rows(WC))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"mcq_answer_index": None}, "1 questions have no label, e.g. 2"),
        ({"mcq_answer_index": 4}, "1 questions have a label that is none of their options in 'options'.*, e.g. 2"),
        ({"mcq_answer_index": -2}, "1 questions have a label that is none of their options in 'options'.*, e.g. 2"),
        ({"options": []}, "1 questions lack options in 'options', e.g. 2"),
        ({"options": None}, "1 questions lack options in 'options', e.g. 2"),
        ({"options": ["a", None]}, "1 questions lack options in 'options', e.g. 2"),
    ],
)
def test_labels_and_options_that_do_not_fit_are_found_before_the_first_question(wc_folder, changes, fault):
    wc_folder([wc_row("1"), wc_row("2", **changes)])
    with pytest.raises(DataError, match=rf"WorldCuisines, nan: {fault}"):
        datasets.check_options(rows_of("nan"), WC, languages()["nan"], "local")


def test_only_the_wording_that_is_asked_needs_its_options():
    kenya = languages()["sw_kenya"]
    table = cvqa_rows().map(lambda _: {"Translated Options": ["one"]})
    rows = datasets.rows_of_language(table, CVQA, kenya)
    datasets.check_options(rows, CVQA, kenya, "local")
    with pytest.raises(DataError, match=r"label that is none of their options in 'Translated Options'.*58659_0"):
        datasets.check_options(rows, CVQA, kenya, "en")


def test_a_copy_without_any_native_options_is_asked_in_english(tmp_path, monkeypatch):
    """In JSON Lines a column of nulls has no type of its own."""
    (tmp_path / "cvqa").mkdir()
    table = cvqa_rows().remove_columns(["image", "Options"]).add_column("Options", [None, None])
    table.to_json(tmp_path / "cvqa" / "test.jsonl")
    monkeypatch.setenv("M4RAG_DATA", str(tmp_path))
    kenya = languages()["sw_kenya"]
    found = datasets.load_rows(CVQA, kenya)
    datasets.check_options(found, CVQA, kenya, "en")
    assert rows.row(CVQA, found[0], "en").answer == "three"
    with pytest.raises(DataError, match=r"1 questions lack options in 'Options', e\.g\. 58659_0"):
        datasets.check_options(found, CVQA, kenya, "local")


def test_parts_of_other_types_name_the_columns(wc_folder):
    wc_folder([wc_row(prompt_type="1")], [wc_row("3")], types={"prompt_type": pa.string()})
    with pytest.raises(DataError, match="its parts have other types in prompt_type, so they cannot be read together"):
        rows_of("nan")


# --- varieties ----------------------------------------------------------------


def test_subsets_may_be_stored_as_lists():
    table = cvqa_rows(as_text=False)
    assert isinstance(table[0]["Subset"], list)
    picked = datasets.rows_of_language(table, CVQA, languages()["arz_egypt"])
    assert picked["ID"] == ["58659_1"]
    assert rows.row(CVQA, picked[0]).language == "arz_egypt"


def test_rows_of_varieties_that_no_task_asks_are_warned_of_once(caplog, monkeypatch):
    monkeypatch.setattr(datasets, "_told", set())
    peru = [cvqa_row(number, "('Spanish', 'Peru')", 0, None) for number in (2, 3)]
    table = hf_datasets.concatenate_datasets(
        [cvqa_rows().remove_columns("image"), hf_datasets.Dataset.from_list(peru).remove_columns("image")]
    )
    for code in ("sw_kenya", "arz_egypt"):
        assert len(datasets.rows_of_language(table, CVQA, languages()[code])) == 1
    (message,) = [record.getMessage() for record in caplog.records]
    assert "CVQA: 2 rows are of varieties that no task asks: Spanish/Peru (2)" in message


def test_nothing_is_said_where_every_variety_is_known(caplog, monkeypatch):
    monkeypatch.setattr(datasets, "_told", set())
    datasets.load_rows(MINI, languages()["am"])
    datasets.rows_of_language(cvqa_rows(), CVQA, languages()["sw_kenya"])
    assert not caplog.records


# --- the digest of rows -------------------------------------------------------


def test_the_digest_of_rows_does_not_depend_on_their_order(wc_folder):
    table = hf_datasets.Dataset.from_list([wc_row("1"), wc_row("10"), wc_row("2")])
    assert datasets.rows_digest(table, WC) == datasets.rows_digest(table.select([2, 0, 1]), WC)
    assert datasets.rows_digest(table, WC) != datasets.rows_digest(table.select([0, 1]), WC)


@pytest.mark.parametrize(
    "changes",
    [{"image_path": "images/8_0.jpg"}, {"food_id": "8"}, {"prompt_type": 2}, {"answer": "b"}, {"options": ["a", "c"]}],
)
def test_the_digest_of_rows_tells_what_they_are_about(changes):
    one, other = (hf_datasets.Dataset.from_list([row]) for row in (wc_row(), wc_row(**changes)))
    assert datasets.rows_digest(one, WC) != datasets.rows_digest(other, WC)


def test_the_digest_of_rows_covers_the_category():
    table = cvqa_rows()
    other = table.remove_columns("Category").add_column("Category", ["Sports", "Sports"])
    assert datasets.rows_digest(table, CVQA) != datasets.rows_digest(other, CVQA)


# --- real data ----------------------------------------------------------------


def test_real_rows_of_all_thirty_varieties_are_read_as_they_are(shared_data, monkeypatch):
    monkeypatch.setenv("M4RAG_DATA", str(shared_data))
    by_language = {}
    for row in datasets.all_rows(WC):
        by_language.setdefault(row.language, []).append(row)
        assert contexts.context(WC, "oracle", row)
    assert set(by_language) <= {language.code for language in languages().values() if "wc" in language.datasets}
    assert len(by_language) == 30
    assert {len(rows) for rows in by_language.values()} == {400}
