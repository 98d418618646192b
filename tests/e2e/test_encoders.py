"""The multimodal settings over their own retrievers: built by the command line, read by the tasks and by lmms-eval.

The models are tiny and random, so what they find means nothing; that every question gets its passages, and every
record says what found them, shows that the way from weights to results is whole.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import results, run_lmms_eval, run_m4rag, samples

from benchmarks import tiny_encoders
from m4rag_tasks import datasets, retrieval, suite
from retrieval_cache import CacheEntry, list_caches

pytestmark = pytest.mark.e2e

TASK = "m4rag_mini_mmrag_am"


def asked(retriever: str, model: Path) -> tuple[str, ...]:
    what = ("--dataset", "mini", "--setting", "mmrag", "--retriever", retriever, "--model", str(model))
    return ("cache", "build", *what)


def files(root: Path) -> dict[str, bytes]:
    """What a build made, without what only helps builds."""
    found = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if not name.parts[0].startswith(".")}


def built(folder: Path, retriever: str, model: Path) -> CacheEntry:
    """The cache that the command makes of mini's questions and pictures with a model of ours."""
    done = run_m4rag(*asked(retriever, model), M4RAG_CACHE=str(folder / "cache"))
    assert "mini mmrag: 540 queries" in done.stdout, done.stderr[-2000:]
    (entry,) = list_caches(folder / "cache")
    made_by = entry.manifest.retriever
    assert made_by.name == retriever and made_by.revision.startswith("sha256:")
    assert made_by.instruction.startswith("Represent the given image")
    assert entry.manifest.libraries["index"]["precision"] in ("float32", "bfloat16")
    assert str(folder) not in (entry.folder / "manifest.json").read_text()
    return entry


def test_mme5_from_weights_to_results(tmp_path):
    entry = built(tmp_path, "mme5", tiny_encoders.save_mllama(tmp_path / "model"))
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", TASK, "--log_samples", "--output_path", str(tmp_path / "out")),
        M4RAG_CACHE=str(tmp_path / "cache"),
    )
    found = samples(tmp_path / "out")
    assert list(found) == [TASK], (done.stdout + done.stderr)[-3000:]
    for sample in found[TASK]:
        assert sample["accuracy"]["cache"] == entry.manifest.key
        assert len(sample["accuracy"]["passages"]) == suite.TOP_K
    assert results(tmp_path / "out")["configs"][TASK]["metadata"]["retriever"] == "mme5"
    # Two processes share the work, and it ends in the same bytes.
    torchrun = ("-m", "torch.distributed.run", "--nproc_per_node", "2")
    run_m4rag(*asked("mme5", tmp_path / "model"), launcher=torchrun, M4RAG_CACHE=str(tmp_path / "two"))
    assert files(tmp_path / "two") == files(tmp_path / "cache")


def test_b3_from_weights_to_what_tasks_read(tmp_path, monkeypatch):
    entry = built(tmp_path, "b3", tiny_encoders.save_b3(tmp_path / "model"))
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "cache"))
    cache = retrieval.open_cache("mini", "mmrag")
    assert cache.key == entry.manifest.key
    mini, mmrag = suite.DATASETS["mini"], suite.SETTINGS["mmrag"]
    for row in datasets.all_rows(mini):
        assert len(cache.hits(retrieval.query(mini, mmrag, row))) == suite.TOP_K
