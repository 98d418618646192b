"""Two processes give what one gives."""

from __future__ import annotations

import pytest
from harness import results, run_lmms_eval, samples

pytestmark = pytest.mark.e2e

TASK = "m4rag_mini_textrag_question_bm25_en"
# Odd, so the processes get unequal shares and the harness pads the smaller one.
LIMIT = 5
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def evaluate(folder, cache, launcher=()) -> tuple[list[dict], dict]:
    """Records by question id, and the task's results, of a run of the reader."""
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", TASK, "--limit", str(LIMIT)),
        *("--log_samples", "--output_path", str(folder)),
        launcher=launcher,
        M4RAG_CACHE=str(cache),
        OMP_NUM_THREADS="1",
    )
    found = samples(folder)
    assert TASK in found, (done.stdout + done.stderr)[-4000:]
    records = [sample["accuracy"] for sample in found[TASK]]
    return sorted(records, key=lambda record: record["question_id"]), results(folder)["results"][TASK]


def test_two_processes_give_what_one_gives(tmp_path, mini_cache):
    alone_records, alone = evaluate(tmp_path / "one", mini_cache)
    together_records, together = evaluate(tmp_path / "two", mini_cache, TORCHRUN)
    assert len(alone_records) == LIMIT
    assert together_records == alone_records
    figures = ("accuracy,none", "micro,none", "strict,none", "invalid,none", "failed,none")
    assert {name: together[name] for name in figures} == {name: alone[name] for name in figures}
