"""Texts that stand beside the questions: read as they are, one per question and variety, or refused by line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_copies import WorldCuisines, wc_row

from m4rag_tasks import contexts, datasets, rows
from m4rag_tasks.errors import ContextError, DataError
from m4rag_tasks.suite import DATASETS

CVQA, MINI, WC = DATASETS["cvqa"], DATASETS["mini"], DATASETS["wc"]
LINE = {"question_id": "1-nan", "text": "A  red\nstew."}


@pytest.fixture
def wc_folder(tmp_path, monkeypatch):
    return WorldCuisines(tmp_path, monkeypatch)


@pytest.fixture
def captions(wc_folder):
    """Writes the captions of WorldCuisines, as bytes, and gives the text for question 1-nan."""
    path = wc_folder.folder / "contexts" / "caption.jsonl"
    path.parent.mkdir()

    def read(content):
        path.write_bytes(content)
        return contexts.context(WC, "caption", rows.row(WC, wc_row()))

    return read


def test_the_oracle_of_world_cuisines_is_the_dish_text(wc_folder):
    row = next(datasets.all_rows(WC))
    assert contexts.context(WC, "oracle", row) == "A stew."
    with pytest.raises(ContextError, match="1-nan has no oracle context"):
        contexts.context(WC, "oracle", rows.row(WC, wc_row(food_id="8")))


def test_a_text_without_variety_serves_no_question_in_one(captions):
    with pytest.raises(ContextError, match="1-nan has no caption context"):
        captions(json.dumps({"question_id": "1", "text": "English words"}).encode())


def test_where_questions_are_asked_twice_one_text_serves_both(wc_folder, monkeypatch):
    folder = wc_folder.folder.parent / "cvqa" / "contexts"
    folder.mkdir(parents=True)
    (folder / "caption.jsonl").write_text(json.dumps({"question_id": "58_0", "text": "A lake."}), encoding="utf-8")
    doc = {
        "ID": "58_0", "Subset": "('Swahili', 'Kenya')", "Label": 0,
        "Question": "Nini?", "Options": ["a", "b"], "Translated Question": "What?", "Translated Options": ["a", "b"],
    }  # fmt: skip
    for asked in ("local", "en"):
        assert contexts.context(CVQA, "caption", rows.row(CVQA, doc, asked)) == "A lake."


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(LINE).encode(),
        b"\xef\xbb\xbf" + json.dumps(LINE).encode() + b"\r\n\r\n  \n",
        json.dumps({**LINE, "source": "me"}).encode() + b"\n",
    ],
)
def test_marks_and_ends_of_lines_do_not_matter(captions, content):
    assert captions(content) == "A red stew."


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"[1]", r'this is no \{"question_id"'),
        (b"null", r'this is no \{"question_id"'),
        (b'{"question_id": "2-nan"}', r'this is no \{"question_id"'),
        (b'{"question_id": 2, "text": "a"}', r'this is no \{"question_id"'),
        (b'{"question_id": "2-nan", "text": ["a"]}', r'this is no \{"question_id"'),
        (b'{"question_id": "2-nan", "text": null}', r'this is no \{"question_id"'),
        (b'{"question_id": "2-nan", "text": "\xff"}', "this is not UTF-8"),
        (b'{"question_id": "2-nan",', "this is no JSON"),
        (b"[" * 100_000, "this is no JSON"),
        (b'{"question_id": "1-nan", "text": "b"}', "1-nan has two contexts"),
    ],
)
def test_a_line_that_is_no_context_is_named(captions, line, fault):
    with pytest.raises(ContextError, match=rf"caption\.jsonl:2: .*{fault}"):
        captions(json.dumps(LINE).encode() + b"\n" + line)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_in_utf_16_is_named(captions, encoding):
    with pytest.raises(ContextError, match=r"caption\.jsonl:1: this is no"):
        captions(json.dumps(LINE).encode(encoding))


@given(st.binary(max_size=200))
def test_any_line_is_read_or_refused_in_words(line):
    try:
        question_id, text = contexts._entry(Path("x.jsonl"), 1, line)
    except ContextError as error:
        assert str(error).startswith("x.jsonl:1: ")
    else:
        assert json.loads(line)["question_id"] == question_id and json.loads(line)["text"] == text


def test_a_set_that_is_mended_is_read_anew(captions):
    captions(json.dumps(LINE).encode())
    before = contexts.context_digest(WC, "caption")
    assert captions(json.dumps({**LINE, "text": "Another stew."}).encode()) == "Another stew."
    assert contexts.context_digest(WC, "caption") != before


def test_the_digest_of_the_knowledge_base_is_of_its_texts_in_any_order(wc_folder, tmp_path, monkeypatch):
    def digest(name, texts):
        folder = tmp_path / name / "worldcuisines"
        folder.mkdir(parents=True)
        entries = [{"food_id": food_id, "Text Description": text, "name": name} for food_id, text in texts]
        pq.write_table(pa.Table.from_pylist(entries), folder / "food_kb.parquet")
        monkeypatch.setenv("M4RAG_DATA", str(folder.parent))
        return contexts.context_digest(WC, "oracle")

    first = digest("first", [("7", "A stew."), ("8", "A soup.")])
    assert first == digest("second", [("8", "A soup."), ("7", "A stew.")])
    assert first != digest("third", [("7", "A stew."), ("8", "A broth.")])


def test_the_digest_of_what_is_not_there_is_an_error(wc_folder):
    with pytest.raises(ContextError, match=r"There is no context set .*caption\.jsonl"):
        contexts.context_digest(WC, "caption")
    (wc_folder.folder / "food_kb.parquet").unlink()
    with pytest.raises(DataError, match=r"food_kb\.parquet is missing"):
        contexts.context_digest(WC, "oracle")
    assert len(contexts.context_digest(MINI, "oracle")) == 64
