"""A real vision-language model through lmms-eval: what it is given, and what is kept of it."""

from __future__ import annotations

import json
from importlib.metadata import version
from types import SimpleNamespace

import pytest
from harness import results, run_lmms_eval, samples
from PIL import Image

from m4rag_tasks import datasets, hooks, images, prompts, retrieval, rows, suite
from m4rag_tasks.cells import cell as cell_named
from m4rag_tasks.sources import MINI_FOLDER

from . import tiny_models, watch_processor

pytestmark = pytest.mark.e2e

LANGUAGE = "am"
TASK = f"m4rag_mini_mmrag_{LANGUAGE}"
MINI, MMRAG = suite.DATASETS["mini"], suite.SETTINGS["mmrag"]
CELL = cell_named("mini", "mmrag")
# The first three questions are about one picture, the fourth about another.
LIMIT = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory, mini_cache) -> SimpleNamespace:
    """One run of a tiny Qwen2.5-VL: `samples`, `results`, `given` (to the processor), `output`."""
    folder = tmp_path_factory.mktemp("qwen")
    model = tiny_models.save_qwen2_5_vl(folder / "model")
    log = folder / "given.jsonl"
    pixels = tiny_models.IMAGE_SIDE**2
    done = run_lmms_eval(
        *("--model", "qwen2_5_vl"),
        *("--model_args", f"pretrained={model},device=cpu,device_map=cpu,min_pixels={pixels // 4},max_pixels={pixels}"),
        *("--tasks", TASK, "--limit", str(LIMIT), "--gen_kwargs", "max_new_tokens=8"),
        *("--log_samples", "--output_path", str(folder / "out")),
        launcher=(watch_processor.__file__, str(log)),
        M4RAG_CACHE=str(mini_cache),
    )
    output = done.stdout + done.stderr
    found = samples(folder / "out")
    assert list(found) == [TASK], output[-4000:]
    given = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return SimpleNamespace(samples=found[TASK], results=results(folder / "out"), given=given, output=output)


@pytest.fixture
def docs(mini_cache, monkeypatch) -> dict[str, dict]:
    """The rows of the mini benchmark by question id, in a process that can read its caches."""
    monkeypatch.setenv("M4RAG_CACHE", str(mini_cache))
    lines = (MINI_FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    return {rows.row(MINI, doc).question_id: doc for doc in map(json.loads, lines)}


def given_for(run, prompt: str) -> dict:
    """What the processor was given for one prompt."""
    (given,) = [given for given in run.given if prompt in given["text"][0]]
    return given


def test_every_record_is_whole(run, docs):
    assert len(run.samples) == LIMIT
    for sample in run.samples:
        record, answer = sample["accuracy"], sample["filtered_resps"]
        assert isinstance(answer, str)
        assert record["image"] == "shown"
        assert record["language"] == LANGUAGE
        assert record["cache"] == retrieval.open_cache("mini", "mmrag").manifest.key
        assert [passage["rank"] for passage in record["passages"]] == list(range(1, suite.TOP_K + 1))
        assert record == CELL.record(docs[record["question_id"]], answer)


def test_the_model_reads_the_prompt_with_its_passages(run, docs):
    assert len(run.given) == LIMIT
    for sample in run.samples:
        row = rows.row(MINI, docs[sample["accuracy"]["question_id"]])
        prompt = CELL.prompt(row)
        assert sample["input"] == prompt
        hits = retrieval.open_cache("mini", "mmrag").hits(retrieval.query(MINI, MMRAG, row))
        assert [hit.id for hit in hits] == [passage["id"] for passage in sample["accuracy"]["passages"]]
        (text,) = given_for(run, prompt)["text"]
        assert all(hit.text.strip() in text for hit in hits)
        # A chat: the picture's place comes before the prompt, in the user's turn.
        assert text.startswith("<|im_start|>")
        assert text.index("<|image_pad|>") < text.index(prompt)


def test_the_model_sees_the_picture_of_the_question(run, docs):
    from qwen_vl_utils import fetch_image

    for sample in run.samples:
        doc = docs[sample["accuracy"]["question_id"]]
        given = given_for(run, sample["input"])
        # Qwen's own helper scales the picture before the processor gets it.
        picture = fetch_image({"image": Image.open(MINI_FOLDER / doc["image_path"])})
        assert given["images"] == [{"size": list(picture.size), "digest": watch_processor.digest(picture)}]
        assert given["image_tokens"] > 0
        assert given["patches"] == 4 * given["image_tokens"]
    assert len({given["images"][0]["digest"] for given in run.given}) == 2


def test_the_results_say_what_they_were_made_with(run, docs):
    metadata = run.results["configs"][TASK]["metadata"]
    manifest = retrieval.open_cache("mini", "mmrag").manifest
    rows_of_language = datasets.load_rows(MINI, suite.language(LANGUAGE))
    assert metadata == {
        "version": hooks.VERSION,
        "dataset": "mini",
        "setting": "mmrag",
        "variant": "",
        "language": LANGUAGE,
        "revision": None,
        "rows": datasets.rows_digest(rows_of_language, MINI),
        "images": images.summary(MINI, rows_of_language),
        "context": None,
        "contexts": {},
        "retriever": "pixel",
        "cache": manifest.key,
        "hits": manifest.files["hits.arrow"]["sha256"],
        "template": prompts.template_digest("mcq", LANGUAGE),
        "versions": {"lmms-eval": version("lmms-eval"), "m4rag-tasks": version("m4rag-tasks")},
    }
    assert 0 <= run.results["results"][TASK]["accuracy,none"] <= 1
    assert run.results["results"][TASK]["failed,none"] == 0
