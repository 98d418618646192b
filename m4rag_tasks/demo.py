"""`m4rag demo`: the whole system on the bundled mini benchmark, with no hub and no GPU.

Builds the retrieval cache of every setting, runs the real `lmms-eval` command with
the bundled reader on all of them, and writes the report. Whatever is already built
is not built again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from m4rag_tasks import images, retrieval, suite
from m4rag_tasks.errors import RunError
from m4rag_tasks.report import text_table, write_report
from m4rag_tasks.suite import DATASETS, SETTINGS, family_name
from retrieval_cache import build_cache

MINI = DATASETS["mini"]
TAIL_LINES = 40


def run_demo(folder: Path) -> int:
    """Everything for mini, into `folder`; prints the settings table and the report's path.

    Raises `RunError` if lmms-eval leaves no samples, with the end of its log.
    """
    build_caches()
    # A name of our own: what is removed here must never be somebody else's folder.
    runs = folder / "m4rag-demo-runs"
    if runs.exists():
        shutil.rmtree(runs)
    evaluate(runs, folder / "lmms-eval.log")
    names = suite.language_names()
    page, report = write_report([runs], folder / "report", lambda _, image_id: images.find_image(MINI, image_id), names)
    print(text_table(report))
    print(f"Report: {page}")
    return 0


def build_caches() -> None:
    """The retrieval cache of every mini setting that searches."""
    for name in MINI.settings[""]:
        setting = SETTINGS[name]
        if retriever := MINI.retriever(setting):
            print(f"retrieval cache: {name} ({retriever})", flush=True)
            spec, queries = retrieval.build_spec(MINI, setting), retrieval.queries(MINI, setting)
            build_cache(spec, queries, retrieval.cache_root(), progress=lambda line: print(f"  {line}", flush=True))


def evaluate(runs: Path, log: Path) -> None:
    """The bundled reader on every mini setting, through the lmms-eval command line."""
    groups = ",".join(family_name(MINI.key, setting) for setting in MINI.settings[""])
    command = [sys.executable, "-m", "lmms_eval", "--model", "m4rag_reader", "--tasks", groups]
    command += ["--batch_size", "1", "--log_samples", "--output_path", str(runs)]
    print("evaluating: lmms-eval " + " ".join(command[3:]), flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        # The demo needs no hub; saying so spares the harness its attempts to reach one.
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)
    # The harness exits with 0 even when it failed, so the samples are what counts.
    answered = {path.stem.split("_samples_", 1)[1] for path in runs.rglob("*_samples_*.jsonl")}
    missing = [task.name for task in suite.select(MINI.key) if task.name not in answered]
    if missing:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-TAIL_LINES:])
        raise RunError(
            f"lmms-eval left no samples of {len(missing)} tasks in {runs}, e.g. {missing[0]}. "
            f"The end of its log ({log}):\n{tail}"
        )
