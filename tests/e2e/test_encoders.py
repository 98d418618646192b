"""The multimodal settings over their own retrievers: built by the command line, read by lmms-eval.

The models are tiny and random, so what they find means nothing; that every question gets its passages, and every
record says what found them, shows that the way from weights to results is whole.
"""

from __future__ import annotations

import pytest
from harness import results, run_lmms_eval, run_m4rag, samples

from benchmarks import tiny_encoders
from m4rag_tasks import suite
from retrieval_cache import list_caches

pytestmark = pytest.mark.e2e

TASK = "m4rag_mini_mmrag_am"


@pytest.mark.parametrize(("retriever", "save"), [("mme5", tiny_encoders.save_mllama), ("b3", tiny_encoders.save_b3)])
def test_from_weights_to_results(tmp_path, retriever, save):
    model, root = save(tmp_path / "model"), tmp_path / "cache"
    asked = ("--dataset", "mini", "--setting", "mmrag", "--retriever", retriever, "--model", str(model))
    build = ("cache", "build", *asked, "--tokenizer", "xlm-roberta")
    done = run_m4rag(*build, M4RAG_CACHE=str(root))
    assert "mini mmrag: 540 queries" in done.stdout, done.stderr[-2000:]
    (entry,) = list_caches(root)
    manifest = entry.manifest
    assert manifest.retriever.name == retriever and manifest.retriever.revision.startswith("sha256:")
    assert manifest.retriever.instruction.startswith("Represent the given image")
    assert manifest.libraries["index"]["precision"] in ("float32", "bfloat16")
    assert str(tmp_path) not in (entry.folder / "manifest.json").read_text()

    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", TASK, "--log_samples", "--output_path", str(tmp_path / "out")),
        M4RAG_CACHE=str(root),
    )
    found = samples(tmp_path / "out")
    assert list(found) == [TASK], (done.stdout + done.stderr)[-3000:]
    for sample in found[TASK]:
        assert sample["accuracy"]["cache"] == manifest.key
        assert len(sample["accuracy"]["passages"]) == suite.TOP_K
    assert results(tmp_path / "out")["configs"][TASK]["metadata"]["retriever"] == retriever
