"""Texts and grades of a language variety that is kept outside the package are imported where its folder is named."""

from __future__ import annotations

import json
import shutil

import pytest
from written import write_samples

from m4rag_tasks import cells, datasets, outside, retrieval, sources, suite
from m4rag_tasks.cli import main
from m4rag_tasks.grades import read_grades
from retrieval_cache import build_cache

CODE, SETTING = "xx_test", "textrag_question_bm25"
MINI = suite.DATASETS["mini"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of the variety; the mini benchmark asks a few questions in it too."""
    data = shutil.copytree(sources.MINI_FOLDER, tmp_path / "mini")
    monkeypatch.setattr(sources, "MINI_FOLDER", data)
    monkeypatch.setenv("M4RAG_CONTEXTS", str(tmp_path / "contexts"))
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "cache"))
    rows = [json.loads(line) for line in (data / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    new = [row | {"lang": CODE} for row in rows if row["lang"] == "en"][:4]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows + new)
    (data / "questions.jsonl").write_text(lines, encoding="utf-8")
    own = tmp_path / "own"
    own.mkdir()
    header = "{#\nlanguage: Invented\nscript: none that has a name\n#}\n{% extends skeleton %}\n"
    (own / f"{CODE}.jinja").write_text(header, encoding="utf-8")
    outside.use_folders([own])
    yield own
    outside.use_folders([])


def test_texts_of_a_variety_from_outside_become_part_of_the_set(folder, tmp_path, capsys):
    stored = (sources.MINI_FOLDER / "contexts" / "caption.jsonl").read_text(encoding="utf-8")
    captions = {one["question_id"]: one["text"] for one in map(json.loads, stored.splitlines())}

    def caption(doc):
        return captions[f"{doc['qa_id']}-{doc['lang'].replace(CODE, 'en')}"]

    run = write_samples(tmp_path / "out", "m4rag_mini_make_caption", caption)
    write_samples(tmp_path / "out", f"m4rag_mini_make_caption_{CODE}", caption, date="20260102_030405_2")
    outside.use_folders([])
    assert main(["context", "import", str(run)]) == 1
    error = capsys.readouterr().err
    assert f"there is no task m4rag_mini_make_caption_{CODE}" in error and "--include_path" in error
    assert main(["context", "import", str(run), "--include_path", str(folder)]) == 0
    assert "544 of 544 texts in 10 languages" in capsys.readouterr().out


def test_grades_of_a_variety_from_outside_are_imported(folder, tmp_path, capsys):
    setting = suite.SETTINGS[SETTING]
    build_cache(retrieval.build_spec(MINI, setting), retrieval.queries(MINI, setting), retrieval.cache_root())
    cell = cells.cell("mini", f"judge_{SETTING}")
    docs = cell.docs(datasets.without_images(datasets.load_rows(MINI, suite.language(CODE))))
    samples = [cell.metrics_of(cell.record(doc, f"Score: {doc['rank']}")) for doc in docs]
    path = tmp_path / f"20260101_000000_samples_m4rag_mini_judge_{SETTING}_{CODE}.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    output = tmp_path / "grades.jsonl"
    asked = ["judge", "import", str(path), "--judge", "me", "--output", str(output)]
    outside.use_folders([])
    assert main(asked) == 1 and "--include_path" in capsys.readouterr().err
    assert main([*asked, "--include_path", str(folder)]) == 0
    grades = read_grades([output])
    assert len(grades) == 20 and {grade.language for grade in grades} == {CODE}
    assert {len(str(grade.passages_key)) for grade in grades} == {64}
