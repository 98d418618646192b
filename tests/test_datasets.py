"""Rows, contexts and images of local copies: real columns, real faults, and nothing unusable let through."""

from __future__ import annotations

import datasets as hf_datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageFile

from m4rag_tasks import contexts, datasets, images, retrieval, rows, sources
from m4rag_tasks.errors import ContextError, DataError, HiddenLabelError, MissingImageError
from m4rag_tasks.suite import DATASETS, SETTINGS, languages

MINI, WC = DATASETS["mini"], DATASETS["wc"]


def wc_row(qa_id="1", lang="nan", label=0, **changes):
    return {
        "qa_id": qa_id,
        "lang": lang,
        "food_id": "7",
        "prompt_id": "1",
        "prompt_type": 1,
        "question": " What is\nthis? ",
        "options": ["a", "b", "a", "d"],
        "answer": "a",
        "mcq_answer_index": label,
        "image_url": "",
        "image_path": "images/7_0.jpg",
        "lang_status": "full",
        **changes,
    }


@pytest.fixture
def wc_folder(tmp_path, monkeypatch):
    """A local copy of WorldCuisines with one question, its image and its dish; returns a writer of rows."""
    folder = tmp_path / "data" / "worldcuisines"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(folder / "images" / "7_0.jpg")
    kb = [{"food_id": "7", "name": "x", "Text Description": "A stew."}]
    pq.write_table(pa.Table.from_pylist(kb), folder / "food_kb.parquet")
    monkeypatch.setenv("M4RAG_DATA", str(folder.parent))

    def write(task1, task2=None):
        schema = pa.Table.from_pylist([wc_row()]).schema
        pq.write_table(pa.Table.from_pylist(task1, schema), folder / "test_small_task1.parquet")
        pq.write_table(pa.Table.from_pylist(task2 or [wc_row("2", "en")], schema), folder / "test_small_task2.parquet")
        return folder

    write([wc_row()])
    return write


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


def test_a_missing_image_is_an_error_unless_blanks_are_asked_for(wc_folder, monkeypatch):
    doc = wc_row(image_path="images/8_0.jpg")
    with pytest.raises(MissingImageError, match=r"question 1-nan: there is no image 'images/8_0\.jpg'"):
        images.load_image(WC, doc)
    monkeypatch.setenv("M4RAG_MISSING_IMAGES", "blank")
    assert images.image_status(WC, doc) == "blank"
    assert images.load_image(WC, doc).getextrema() == ((127, 127),) * 3


def test_only_blank_may_stand_for_missing_images(wc_folder, monkeypatch):
    monkeypatch.setenv("M4RAG_MISSING_IMAGES", "grey")
    with pytest.raises(DataError, match="'grey'; the only value it takes is 'blank'"):
        images.image_status(WC, wc_row(image_path="images/8_0.jpg"))


def test_a_hub_that_cannot_be_reached_is_said_so():
    with pytest.raises(DataError, match=r"\(task1\) cannot be loaded .* M4RAG_DATA"):
        next(datasets.all_rows(WC))


def test_images_may_lie_elsewhere(wc_folder, tmp_path, monkeypatch):
    (tmp_path / "photos" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "photos" / "images" / "9_0.jpg")
    monkeypatch.setenv("M4RAG_IMAGES", str(tmp_path / "photos"))
    assert images.load_image(WC, wc_row(image_path="images/9_0.jpg")).size == (8, 8)
    assert images.find_image(MINI, "images/injera.png") is not None


def test_an_image_path_cannot_leave_its_folder(wc_folder, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    assert images.find_image(WC, "../../secret.png") is None
    assert images.find_image(WC, str(tmp_path / "secret.png")) is None


def test_an_unreadable_image_is_named(wc_folder, tmp_path):
    (tmp_path / "data/worldcuisines/images/7_0.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"7_0\.jpg cannot be read"):
        images.load_image(WC, wc_row())


def test_an_image_that_is_cut_off_is_an_error_inside_the_harness_too(wc_folder, tmp_path, monkeypatch):
    """lmms-eval lets Pillow fill up what is missing."""
    path = tmp_path / "data/worldcuisines/images/7_0.jpg"
    Image.effect_noise((64, 64), 60).save(path)
    path.write_bytes(path.read_bytes()[:-600])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match=r"7_0\.jpg cannot be read .*truncated"):
        images.load_image(WC, wc_row())
    assert ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_model_that_takes_no_images_needs_none(wc_folder):
    images.show_images(False)
    assert images.image_status(WC, wc_row(image_path="images/8_0.jpg")) == "not shown"


def test_the_oracle_of_world_cuisines_is_the_dish_text(wc_folder):
    row = next(datasets.all_rows(WC))
    assert contexts.context(WC, "oracle", row) == "A stew."
    with pytest.raises(ContextError, match="1-nan has no oracle context"):
        contexts.context(WC, "oracle", rows.row(WC, wc_row(food_id="8")))


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


def test_real_rows_of_all_thirty_varieties_are_read_as_they_are(shared_data, monkeypatch):
    monkeypatch.setenv("M4RAG_DATA", str(shared_data))
    by_language = {}
    for row in datasets.all_rows(WC):
        by_language.setdefault(row.language, []).append(row)
        assert contexts.context(WC, "oracle", row)
    assert set(by_language) <= {language.code for language in languages().values() if "wc" in language.datasets}
    assert len(by_language) == 30
    assert {len(rows) for rows in by_language.values()} == {400}
