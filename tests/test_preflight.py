"""Preflight finds what would stop a run, before any model is loaded."""

from __future__ import annotations

import shutil

import datasets as hf_datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from m4rag_tasks import hooks, images, preflight, prompts, retrieval, sources, suite
from m4rag_tasks.cells import cell as cell_named
from m4rag_tasks.cli import main
from retrieval_cache import CacheError
from retrieval_cache.corpus import known


def test_a_ready_task_has_no_findings():
    assert preflight.preflight(suite.resolve("m4rag_mini_norag_en")) == []


def test_every_task_that_cannot_run_is_named_once():
    findings = preflight.preflight(suite.resolve("m4rag_mini_mmrag"))
    assert [finding.where for finding in findings] == [task.name for task in suite.resolve("m4rag_mini_mmrag")]
    assert all("m4rag cache build --dataset mini --setting mmrag" in finding.problem for finding in findings)


def test_findings_are_told_by_problem():
    findings = [preflight.Finding(*pair) for pair in (("a", "no cache"), ("b", "no rows"), ("c", "no cache"))]
    assert preflight.in_lines(findings) == ["a and 1 more: no cache", "b: no rows"]


def test_a_broken_picture_is_found_unless_pictures_are_left_out(monkeypatch, tmp_path):
    folder = shutil.copytree(images.image_folders(suite.DATASETS["mini"])[0], tmp_path / "mini")
    for path in folder.glob("images/*"):
        path.write_bytes(b"not a picture")
    monkeypatch.setattr(images, "image_folders", lambda dataset: [folder])
    tasks = suite.resolve("m4rag_mini_norag_en")
    (finding,) = preflight.preflight(tasks)
    assert "cannot be read" in finding.problem
    assert preflight.preflight(tasks, open_images=False) == []


def test_a_run_is_stopped_with_one_line_per_problem():
    names = ["m4rag_mini_mmrag", "m4rag_mini_norag", "mmmu_val", "m4rag_somebody_elses"]
    said, tasks = stopped(names), suite.resolve("m4rag_mini_mmrag")
    assert len(said.splitlines()) == 1
    assert "--setting mmrag" in said and f"{tasks[0].name} and {len(tasks) - 1} more" in said


def test_a_run_that_can_go_on_goes_on():
    preflight.stop_unless_ready(["m4rag_mini_norag", "m4rag_somebody_elses"], images=True)


def stopped(names, *, pictures=False):
    """What a run is stopped with."""
    with pytest.raises(SystemExit) as stop:
        preflight.stop_unless_ready(names, images=pictures)
    return str(stop.value)


# --- data that a run would stumble over ---------------------------------------

LEAVES = ["m4rag_wc_norag_nan", "m4rag_wc_norag_en"]


def wc_row(lang, **changes):
    return {
        "qa_id": "1",
        "lang": lang,
        "food_id": "7",
        "prompt_type": 1,
        "question": "What is this?",
        "options": ["a", "b", "c", "d"],
        "answer": "a",
        "mcq_answer_index": 0,
        "image_path": "images/7_0.jpg",
        **changes,
    }


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A local copy of WorldCuisines that is ready to run in two varieties; returns its folder."""
    folder = tmp_path / "data" / "worldcuisines"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(folder / "images" / "7_0.jpg")
    write(folder / "food_kb.parquet", {"food_id": "7", "Text Description": "A stew."})
    write(folder / "test_small_task1.parquet", wc_row("nan"), wc_row("en"))
    write(folder / "test_small_task2.parquet", wc_row("en", qa_id="2"))
    monkeypatch.setenv("M4RAG_DATA", str(folder.parent))
    return folder


def write(path, *rows):
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def test_a_whole_copy_is_ready(copy):
    preflight.stop_unless_ready(LEAVES, images=True)
    assert preflight.preflight([task for name in LEAVES for task in suite.resolve(name)]) == []


def without(row, column):
    return {name: value for name, value in row.items() if name != column}


FAULTS = {
    "hidden labels": (lambda folder: [wc_row("nan", mcq_answer_index=-1), wc_row("en")], "label -1"),
    "no rows": (lambda folder: [wc_row("en")], "no rows for language 'nan'"),
    "missing column": (lambda folder: [without(wc_row("nan"), "options")], "no column options"),
    "missing part": (lambda folder: (folder / "test_small_task2.parquet").unlink(), "no local copy, none of"),
    "no knowledge base": (lambda folder: (folder / "food_kb.parquet").unlink(), "food_kb"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_unusable_data_stops_a_run_and_is_no_surprise_after_preflight(copy, fault):
    spoil, says = FAULTS[fault]
    if rows := spoil(copy):
        write(copy / "test_small_task1.parquet", *rows)
    assert says in stopped(LEAVES[:1])
    (finding,) = preflight.preflight(suite.resolve(LEAVES[0]))
    assert says in finding.problem


def test_missing_pictures_stop_only_a_model_that_looks_at_them(copy):
    (copy / "images" / "7_0.jpg").unlink()
    preflight.stop_unless_ready(LEAVES, images=False)
    assert "7_0.jpg" in stopped(LEAVES, pictures=True)


def test_a_task_without_pictures_asks_for_none(copy, monkeypatch):
    (copy / "images" / "7_0.jpg").unlink()
    assert "7_0.jpg" in stopped(["m4rag_wc_make_caption_nan"], pictures=True)
    preflight.stop_unless_ready(["m4rag_wc_make_oracle_translation_nan"], images=True)
    assert preflight.preflight(suite.resolve("m4rag_wc_make_oracle_translation_nan")) == []
    table = sources.load(suite.DATASETS["wc"], 0)
    assert len(hooks.docs__wc__make_oracle_translation__nan(table)) == 1
    assert hooks.metadata__wc__make_oracle_translation__nan["images"] == "not shown"
    with pytest.raises(SystemExit, match="7_0"):
        hooks.docs__wc__nan(table)


def test_a_hub_that_cannot_be_reached_is_tried_once_for_all_varieties(monkeypatch):
    tried = []

    def unreachable(*_args, **_kwargs):
        tried.append(1)
        raise OSError("no network")

    monkeypatch.setattr(hf_datasets, "load_dataset", unreachable)
    assert f"and {len(suite.resolve('m4rag_wc_norag')) - 1} more" in stopped(["m4rag_wc_norag"])
    assert len(tried) == 1


def test_rows_and_pictures_are_looked_at_once_for_all_settings_and_variants(copy, monkeypatch):
    looked = []
    real = images.check_images
    monkeypatch.setattr(images, "check_images", lambda *about: looked.append(about) or real(*about))
    names = [f"m4rag_wc_{kind}_{code}" for kind in ("norag", "norag_oe", "oracle") for code in ("nan", "en")]
    preflight.stop_unless_ready(names, images=True)
    assert len(looked) == 2


# --- templates ----------------------------------------------------------------


def test_a_broken_template_stops_a_run(monkeypatch, tmp_path):
    folder = shutil.copytree(prompts.templates_dir(), tmp_path / "templates")
    words = folder / "am.jinja"
    kept = [line for line in words.read_text(encoding="utf-8").splitlines() if "question_label" not in line]
    words.write_text("\n".join(kept), encoding="utf-8")
    monkeypatch.setattr(prompts, "templates_dir", lambda: folder)
    prompts.search_also([])
    said = stopped(["m4rag_mini_norag_am", "m4rag_mini_norag_en"])
    assert "am.jinja" in said and "question_label" in said and len(said.splitlines()) == 1


# --- caches -------------------------------------------------------------------

BUILD = ("cache", "build", "--dataset", "mini", "--setting", "textrag_caption_bm25")


def test_a_corpus_is_not_read_where_nothing_was_ever_built(monkeypatch):
    monkeypatch.setattr(known, "file_sha256", lambda path: pytest.fail(f"read {path}"))
    monkeypatch.setattr(known, "_in_process", {})
    assert "--setting textrag_question_bm25" in stopped(["m4rag_mini_textrag_question_bm25"])


def test_the_last_build_is_read_at_the_next_start_and_a_run_keeps_the_one_it_began_with(tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    cell = cell_named("mini", "textrag_caption_bm25")
    retrievers = []
    for more in ([], ["--retriever", "pixel"]):
        assert main([*BUILD, *more]) == 0
        if retrievers:  # a run that began before this build
            retrievers.append(cell.cache.manifest.retriever.name)
        cell.check(suite.language("en"))
        retrievers.append(cell.cache.manifest.retriever.name)
    assert retrievers == ["bm25", "bm25", "pixel"]
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(CacheError, match="no retrieval cache"):
        _ = cell.cache


def test_another_root_is_another_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "here"))
    assert main(BUILD) == 0
    here = retrieval.open_cache("mini", "textrag_caption_bm25")
    assert here is retrieval.open_cache("mini", "textrag_caption_bm25")
    moved = shutil.copytree(tmp_path / "here", tmp_path / "there")
    monkeypatch.setenv("M4RAG_CACHE", str(moved))
    assert moved in retrieval.open_cache("mini", "textrag_caption_bm25").folder.parents
