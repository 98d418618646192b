"""From a model's captions to an evaluation that searched with them: write, import, build, evaluate."""

from __future__ import annotations

import json

import pytest
from harness import results, run_lmms_eval, run_m4rag, samples

from m4rag_tasks import suite
from m4rag_tasks.mini.build import DATA

LANGUAGES = suite.own_codes(suite.DATASETS["mini"]).values()


@pytest.mark.e2e
def test_captions_that_a_model_wrote_are_imported_searched_with_and_named_in_every_record(tmp_path):
    stored = DATA / "contexts/caption.jsonl"
    folders = {"M4RAG_CONTEXTS": str(tmp_path / "contexts"), "M4RAG_CACHE": str(tmp_path / "cache")}
    run_lmms_eval(
        *("--model", "m4rag_replay", "--model_args", f"responses={stored},name=Stand-In", "--log_samples"),
        *("--tasks", "m4rag_mini_make_caption", "--output_path", str(tmp_path / "written")),
        **folders,
    )
    written = samples(tmp_path / "written")
    assert {task: len(found) for task, found in written.items()} == {
        f"m4rag_mini_make_caption_{code}": 60 for code in LANGUAGES
    }
    group = results(tmp_path / "written")["results"]["m4rag_mini_make_caption"]
    assert (group["written,none"], group["empty,none"], group["cutoff,none"]) == (1, 0, 0)

    # One language is left out: the import names it, stores nothing, and takes all in one go.
    files = sorted((tmp_path / "written").rglob("*_samples_*.jsonl"))
    partial = run_m4rag("context", "import", *map(str, files[1:]), check=False, **folders)
    assert partial.returncode == 1 and "missing by language: am 60 of 60" in partial.stderr
    assert not (tmp_path / "contexts").exists()
    assert (
        "mini:caption:stand-in: 540 of 540 texts" in run_m4rag("context", "import", *map(str, files), **folders).stdout
    )
    lines = (tmp_path / "contexts/mini/caption/stand-in.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(map(json.loads, lines), key=str) == sorted(
        map(json.loads, stored.read_text(encoding="utf-8").splitlines()), key=str
    )

    chosen = {**folders, "M4RAG_CONTEXT_SETS": "mini:caption=stand-in"}
    run_m4rag("cache", "build", "m4rag_mini_textrag_caption_bm25", **chosen)
    assert "made from mini:caption:stand-in@" in run_m4rag("cache", "info", **chosen).stdout
    task = "m4rag_mini_textrag_caption_bm25"
    # Without the choice the bundled captions are meant, and the cache is not theirs.
    refused = run_m4rag("preflight", f"{task}_en", "--no-images", check=False, **folders)
    assert refused.returncode == 1
    assert "mini:caption:stand-in@" in refused.stdout and "task 'mini:caption@" in refused.stdout
    run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", task, "--log_samples", "--output_path", str(tmp_path / "run")),
        **chosen,
    )
    records = [sample["accuracy"] for found in samples(tmp_path / "run").values() for sample in found]
    assert len(records) == 540 and {record["context"] for record in records} == {"mini:caption:stand-in"}
    noted = results(tmp_path / "run")["configs"][f"{task}_en"]["metadata"]["contexts"]["caption"]
    assert noted["name"] == "mini:caption:stand-in" and len(noted["sha256"]) == 64
