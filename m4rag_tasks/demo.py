"""`m4rag demo`: the whole system on the bundled mini benchmark, with no hub and no GPU.

Has the captions written by a stand-in for a model (stored answers) and imports them,
builds the retrieval cache of every setting, runs the real `lmms-eval` command with
the bundled reader on all of them and with readers that read less on some, lets the
bundled judge grade the passages of two, and writes the report. Whatever is already
built is not built again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from m4rag_tasks import context_import, images, retrieval, sources, suite
from m4rag_tasks.context_sets import CONTEXTS_VARIABLE, SETS_VARIABLE
from m4rag_tasks.errors import RunError
from m4rag_tasks.grades import write_grades
from m4rag_tasks.judge_import import import_grades
from m4rag_tasks.report import text_table, write_report
from m4rag_tasks.suite import DATASETS, SETTINGS, Task
from m4rag_tasks.written_samples import read_written
from retrieval_cache import build_cache

MINI = DATASETS["mini"]
JUDGED = ("mmrag", "textrag_caption_bm25")
IN_ENGLISH = ("norag", "textrag_caption", "mmrag")
"""Settings that are run again with the prompt in English."""
SIZES = (250, 500, 1000, 2000)
"""Characters that the smaller readers read: stand-ins for models of several sizes."""
FOR_SIZES = ("norag", "mmrag", "oracle")
SIZES_REMARK = (
    "The readers stand in for models of several sizes: in place of parameters, their size is the number of "
    "characters that they read, in millions."
)
TAIL_LINES = 40
WRITER = "stand-in"
"""Whose captions they are: no model's, but answers that are stored with the benchmark."""


def run_demo(folder: Path) -> int:
    """Everything for mini, into `folder`; prints the settings table and the report's path.

    Raises `RunError` if lmms-eval leaves no samples, with the end of its log.
    """
    write_captions(folder)
    build_caches()
    runs = _emptied(folder / "m4rag-demo-runs")
    evaluate(runs, folder)
    page, report = write_report(
        [runs],
        folder / "report",
        lambda _, image_id: images.find_image(MINI, image_id),
        suite.language_names(),
        grades=[judge(folder)],
        sizes={_reader(size): f"{size}M" for size in SIZES},
        remarks=[SIZES_REMARK],
    )
    print(text_table(report))
    print(f"Report: {page}")
    return 0


def write_captions(folder: Path) -> None:
    """Captions by a writing task, imported as a named context set, which the settings then use."""
    written = _emptied(folder / "m4rag-demo-written")
    stored = sources.MINI_FOLDER / "contexts" / "caption.jsonl"
    model = ["m4rag_replay", "--model_args", f"responses={stored},name={WRITER}"]
    lmms_eval(model, suite.select(MINI.key, "make_caption"), written, folder / "lmms-eval-captions.log")
    # A set is never changed, and this one says when it was written.
    os.environ[CONTEXTS_VARIABLE] = str(_emptied(folder / "m4rag-demo-contexts").resolve())
    kept = context_import.store(context_import.look(read_written([written])), WRITER)
    os.environ[SETS_VARIABLE] = f"{MINI.codes}:{kept.kind}={kept.name}"
    print(f"captions: {kept.title}", flush=True)


def build_caches() -> None:
    """The retrieval cache of every mini setting that searches."""
    for name in MINI.settings[""]:
        setting = SETTINGS[name]
        if retriever := MINI.retriever(setting):
            print(f"retrieval cache: {name} ({retriever})", flush=True)
            spec, queries = retrieval.build_spec(MINI, setting), retrieval.queries(MINI, setting)
            build_cache(spec, queries, retrieval.cache_root(), progress=lambda line: print(f"  {line}", flush=True))


def evaluate(runs: Path, folder: Path) -> None:
    """The bundled reader on every mini setting, on some with the prompt in English, and smaller readers on some."""
    plain = suite.select(MINI.key, variant="")
    in_english = [task for name in IN_ENGLISH for task in suite.select(MINI.key, name, variant="enprompt")]
    lmms_eval(["m4rag_reader"], plain + in_english, runs, folder / "lmms-eval.log")
    some = [task for task in plain if task.setting.name in FOR_SIZES]
    for size in SIZES:
        model = ["m4rag_reader", "--model_args", f"characters={size},name={_reader(size)}"]
        lmms_eval(model, some, runs, folder / f"lmms-eval-{size}.log")


def judge(folder: Path) -> Path:
    """Grades of the passages of two settings, by the bundled judge; where they are."""
    judged, grades = _emptied(folder / "m4rag-demo-judged"), folder / "grades.jsonl"
    tasks = [task for name in JUDGED for task in suite.select(MINI.key, f"judge_{name}")]
    lmms_eval(["m4rag_overlap_judge"], tasks, judged, folder / "lmms-eval-judge.log")
    found, _ = import_grades([judged])
    grades.unlink(missing_ok=True)  # an earlier demo's, perhaps of another cache or prompt
    write_grades(grades, found)
    print(f"grades: {grades}", flush=True)
    return grades


def lmms_eval(model: list[str], tasks: list[Task], output: Path, log: Path) -> None:
    """All languages of some tasks through the lmms-eval command line. Raises `RunError` if it leaves samples out."""
    groups = ",".join(dict.fromkeys(task.family for task in tasks))
    command = [sys.executable, "-m", "lmms_eval", "--model", *model, "--tasks", groups]
    command += ["--batch_size", "1", "--log_samples", "--output_path", str(output)]
    print("lmms-eval " + " ".join(command[3:]), flush=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as lines:
        # The demo needs no hub; saying so spares the harness its attempts to reach one.
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        subprocess.run(command, stdout=lines, stderr=subprocess.STDOUT, env=environment, check=False)
    # The harness exits with 0 even when it failed, so the samples are what counts.
    answered = {path.stem.split("_samples_", 1)[1] for path in output.rglob("*_samples_*.jsonl")}
    missing = [task.name for task in tasks if task.name not in answered]
    if missing:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-TAIL_LINES:])
        raise RunError(
            f"lmms-eval left no samples of {len(missing)} tasks in {output}, e.g. {missing[0]}. "
            f"The end of its log ({log}):\n{tail}"
        )


def _reader(size: int) -> str:
    return f"m4rag_reader-{size}"


def _emptied(folder: Path) -> Path:
    """A folder of the demo's own without what an earlier one left there."""
    # Its names are our own: what is removed must never be somebody else's folder.
    if folder.exists():
        shutil.rmtree(folder)
    return folder
