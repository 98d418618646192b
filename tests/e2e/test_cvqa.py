"""CVQA in its own schema: all varieties in both wordings, the variants, the ways to keep a copy, what stops a run."""

from __future__ import annotations

import ast
import base64
import io
from pathlib import Path
from statistics import mean
from types import SimpleNamespace

import pytest
from fixtures import CVQA_FORMS, cvqa_copy
from harness import results, run_lmms_eval, run_m4rag, samples
from PIL import Image, ImageChops

from m4rag_tasks import prompts, suite
from m4rag_tasks.report import load_runs
from retrieval_cache import list_caches

from .test_openai import parts, stub_server

pytestmark = pytest.mark.e2e

CVQA = suite.DATASETS["cvqa"]
GROUP, LANGUAGE, RESOURCE = "m4rag_cvqa_mmrag", "m4rag_cvqa_norag_es", "m4rag_cvqa_norag_low_resource"
# A variety whose questions in the sample are real. No leaf may be in two of the things that are run together.
VARIETY = "jv_indonesia"
VARIANTS = {
    variant: f"m4rag_cvqa_oracle_{variant}_{VARIETY}" for variant in suite.VARIANTS if variant not in ("", "oe")
}


@pytest.fixture(scope="module")
def data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A copy of CVQA: its `folder`, its `rows`, and the `environment` of commands that read it."""
    folder = tmp_path_factory.mktemp("cvqa")
    rows = cvqa_copy(folder, shared_data)
    return SimpleNamespace(folder=folder, rows=rows, environment=environment(folder))


@pytest.fixture(scope="module")
def run(data: SimpleNamespace) -> Path:
    """Output of one lmms-eval run of the reader, over groups and one leaf of each variant."""
    run_m4rag("cache", "build", GROUP, "--retriever", "pixel", **data.environment)
    out = data.folder / "out"
    tasks = ",".join([GROUP, LANGUAGE, RESOURCE, *VARIANTS.values()])
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", tasks, "--log_samples", "--output_path", str(out)), **data.environment
    )
    assert samples(out), done.stdout[-3000:] + done.stderr[-3000:]
    return out


def environment(folder: Path) -> dict[str, str]:
    """Settings under which nothing outside a folder is read or written."""
    cache, converted = folder / "cache", folder / "converted"
    return {"M4RAG_DATA": str(folder), "M4RAG_CACHE": str(cache), "HF_DATASETS_CACHE": str(converted)}


def leaves(name: str) -> list[str]:
    return [task.name for task in suite.resolve(name)]


def asked(data: SimpleNamespace, record: dict) -> tuple[dict, str]:
    """The row behind a record, and the way in which it was asked."""
    name, _, wording = record["question_id"].rpartition("-")
    (row,) = [row for row in data.rows if row["ID"] == name]
    return row, wording


def one_line(text: str) -> str:
    return " ".join(text.split())


# --- the grid -----------------------------------------------------------------


def test_every_leaf_answers_its_own_questions(run, data):
    found = samples(run)
    assert set(found) == {*leaves(GROUP), *leaves(LANGUAGE), *leaves(RESOURCE), *VARIANTS.values()}
    assert len(leaves(GROUP)) == 78
    names = [line["accuracy"]["question_id"] for leaf in leaves(GROUP) for line in found[leaf]]
    assert sorted(names) == sorted(f"{row['ID']}-{wording}" for row in data.rows for wording in ("local", "en"))


def test_records_say_what_was_asked_of_whom(run, data):
    (built,) = list_caches(Path(data.environment["M4RAG_CACHE"]))
    for leaf in leaves(GROUP):
        task = suite.all_tasks()[leaf]
        for line in samples(run)[leaf]:
            record = line["accuracy"]
            row, wording = asked(data, record)
            language, country = ast.literal_eval(row["Subset"])
            translated = "Translated " if wording == "en" else ""
            assert wording == task.variant.asked
            assert record["question"] == row[f"{translated}Question"]
            assert record["options"] == row[f"{translated}Options"]
            assert record["gold"] == row["Label"] + 1
            assert record["language"] == task.language.code
            assert task.language.datasets["cvqa"] == f"{language}/{country}"
            assert record["base_language"] == ("en" if wording == "en" else task.language.language)
            assert record["country"] == country.replace("_", " ") == task.language.country
            assert record["category"] == row["Category"]
            assert record["resource"] == task.language.resource
            assert (record["retriever"], record["cache"]) == ("pixel", built.manifest.key)
            assert [passage["rank"] for passage in record["passages"]] == [1, 2, 3, 4, 5]


def test_the_picture_is_searched_with(run, data):
    """Articles of the corpus show the pictures of some questions; text alone would not find them."""
    found = {
        line["accuracy"]["question_id"]: [passage["title"] for passage in line["accuracy"]["passages"]]
        for leaf in leaves(GROUP)
        for line in samples(run)[leaf]
    }
    for row in data.rows[::8]:
        assert row["Translated Question"] in found[f"{row['ID']}-local"]


@pytest.mark.parametrize("group", [GROUP, f"{GROUP}_local", f"{GROUP}_en", LANGUAGE, RESOURCE])
def test_a_group_is_the_mean_over_its_leaves(run, group):
    table, found = results(run)["results"], samples(run)
    members = leaves(group)
    assert table[group]["accuracy,none"] == pytest.approx(mean(table[leaf]["accuracy,none"] for leaf in members))
    scores = [line["accuracy"]["score"] for leaf in members for line in found[leaf]]
    assert table[group]["micro,none"] == pytest.approx(mean(scores))


def test_a_language_is_all_its_countries_and_a_resource_class_all_its_varieties():
    countries = {suite.all_tasks()[leaf].language.country for leaf in leaves(LANGUAGE)}
    assert countries == {"Argentina", "Chile", "Colombia", "Ecuador", "Mexico", "Spain", "Uruguay"}
    assert {suite.all_tasks()[leaf].language.resource for leaf in leaves(RESOURCE)} == {"low"}
    assert set(leaves(RESOURCE)) < set(leaves("m4rag_cvqa_norag_local"))


@pytest.mark.parametrize(
    ("variant", "words", "prefix", "context"),
    [
        ("en", "en", "Translated ", "oracle"),
        ("enprompt", "en", "", "oracle"),
        ("localctx", "jv_ngoko", "", "oracle_local"),
        ("enprompt_localctx", "en", "", "oracle_local"),
    ],
)
def test_a_variant_changes_what_its_name_says(run, data, variant, words, prefix, context):
    lines = samples(run)[VARIANTS[variant]]
    assert lines
    for line in lines:
        row, _ = asked(data, line["accuracy"])
        assert line["accuracy"]["variant"] == variant
        assert line["accuracy"]["context"] == f"cvqa:{context}"
        assert line["accuracy"]["template"] == prompts.template_digest("mcq", words)
        shown = line["input"].splitlines()
        spoken = prompts.words(words)
        assert f"{spoken['question_label']} {one_line(row[f'{prefix}Question'])}" in shown
        assert spoken["instruction_with_context"] in shown
        options = [f"{number}. {one_line(text)}" for number, text in enumerate(row[f"{prefix}Options"], start=1)]
        assert shown[shown.index(spoken["options_label"]) + 1 :][: len(options)] == options
        local, english = row["Options"][row["Label"]], row["Translated Options"][row["Label"]]
        texts = {"oracle": f"The picture shows this: {english}.", "oracle_local": f"{row['Question']} {local}"}
        assert shown[:2] == [spoken["context_intro"], one_line(texts[context])]


def test_the_report_keeps_wordings_and_variants_apart(run, data):
    notes: list[str] = []
    runs = {(loaded.setting, loaded.variant): loaded for loaded in load_runs([run], notes)}
    assert notes == []
    assert set(runs) == {("mmrag", ""), ("mmrag", "en"), ("norag", ""), *(("oracle", variant) for variant in VARIANTS)}
    for variant in ("", "en"):
        assert len(runs["mmrag", variant].languages) == 39
        assert len(runs["mmrag", variant].records) == len(data.rows)


def test_weights_that_are_not_here_are_asked_for(data):
    done = run_m4rag("cache", "build", f"{GROUP}_b3", check=False, **data.environment)
    assert done.returncode == 1
    assert "raghavlite/B3_Qwen2_7B" in done.stderr and "--model" in done.stderr
    assert "Traceback" not in done.stderr


# --- the ways to keep a copy ----------------------------------------------------


@pytest.mark.parametrize(("form", "embedded"), [*((form, True) for form in CVQA_FORMS), ("clone", False)])
def test_every_form_of_a_local_copy_is_read(shared_data, tmp_path, form, embedded):
    cvqa_copy(tmp_path, shared_data, form=form, embedded=embedded)
    done = run_m4rag("preflight", "m4rag_cvqa_norag", check=False, **environment(tmp_path))
    assert "78 of 78 tasks are ready" in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]


def test_a_model_sees_the_picture_that_its_row_holds(shared_data, tmp_path):
    """A saved data set with pictures in it, through lmms-eval; its rows have a fault of the published data too."""
    rows = cvqa_copy(tmp_path, shared_data, form="dataset_dict", embedded=True, fault="option twice")
    task = f"m4rag_cvqa_norag_{VARIETY}"
    found, requests = evaluate_server(tmp_path, task, {})
    assert len(found[task]) == len(requests)
    held = pictures_by_number(tmp_path)
    by_prompt = {parts(request, "text")[0]["text"]: request for request in requests}
    for line in found[task]:
        record = line["accuracy"]
        (row,) = [row for row in rows if f"{row['ID']}-local" == record["question_id"]]
        assert record["image"] == "shown"
        assert record["image_id"] == row["ID"].rpartition("_")[0]
        assert record["faults"] == (["right answer twice"] if row["Label"] < 2 else ["option twice"])
        sent = sent_picture(by_prompt[line["input"]])
        assert ImageChops.difference(sent, held[record["image_id"]].convert("RGB")).getbbox() is None


def pictures_by_number(folder: Path) -> dict[str, Image.Image]:
    """The pictures that the rows of a saved data set hold, by the number in the question's id."""
    import datasets

    table = datasets.load_from_disk(folder / "cvqa" / "test")["test"]
    return {name.rpartition("_")[0]: picture for name, picture in zip(table["ID"], table["image"], strict=True)}


def sent_picture(request: dict) -> Image.Image:
    (picture,) = parts(request, "image_url")
    return Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2]))).convert("RGB")


def evaluate_server(folder: Path, task: str, more: dict[str, str]) -> tuple[dict[str, list[dict]], list[dict]]:
    """Samples of a model behind a server that answers option 2, and the requests that it got."""
    with stub_server(dead="") as (address, requests):
        done = run_lmms_eval(
            *("--model", "openai"),
            *("--model_args", f"model=stub,base_url={address},api_key=none,httpx_trust_env=False"),
            *("--tasks", task, "--log_samples", "--output_path", str(folder / "out")),
            **environment(folder),
            **more,
        )
    found = samples(folder / "out")
    assert list(found) == [task], done.stdout[-3000:] + done.stderr[-3000:]
    return found, requests


# --- what stops a run, and what does not -----------------------------------------


def test_hidden_labels_stop_a_run(shared_data, tmp_path):
    cvqa_copy(tmp_path, shared_data, fault="hidden labels")
    task = f"m4rag_cvqa_norag_{VARIETY}"
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", task, "--log_samples", "--output_path", str(tmp_path / "out")),
        **environment(tmp_path),
    )
    assert done.returncode == 1
    assert f"CVQA, {VARIETY}:" in done.stderr and "hidden labels (label -1)" in done.stderr
    assert "use a revision with labels" in done.stderr
    assert not samples(tmp_path / "out")


def test_native_options_that_are_missing_are_named(shared_data, tmp_path):
    cvqa_copy(tmp_path, shared_data, fault="no options")
    tasks = (f"m4rag_cvqa_norag_{VARIETY}", f"m4rag_cvqa_norag_en_{VARIETY}")
    done = run_m4rag("preflight", *tasks, check=False, **environment(tmp_path))
    assert "1 of 2 tasks are ready" in done.stdout
    assert "3 questions lack options in 'Options'" in done.stdout


def test_a_missing_picture_stops_a_run_or_is_blank_on_request(shared_data, tmp_path):
    rows = cvqa_copy(tmp_path, shared_data)
    task = f"m4rag_cvqa_norag_{VARIETY}"
    ours = [row for row in rows if row["Subset"] == "('Javanese', 'Indonesia')"]
    for row in ours:
        (tmp_path / "cvqa" / row["image_path"]).unlink(missing_ok=True)
    done = run_lmms_eval(
        *("--model", "openai", "--model_args", "model=stub,base_url=http://127.0.0.1:9/v1,api_key=none"),
        *("--tasks", task, "--log_samples", "--output_path", str(tmp_path / "stopped")),
        **environment(tmp_path),
    )
    assert done.returncode == 1
    assert ours[0]["image_path"] in done.stderr and "M4RAG_MISSING_IMAGES=blank" in done.stderr
    assert not samples(tmp_path / "stopped")

    found, requests = evaluate_server(tmp_path, task, {"M4RAG_MISSING_IMAGES": "blank"})
    assert len(found[task]) == len(requests) == len(ours)
    assert {line["accuracy"]["image"] for line in found[task]} == {"blank"}
    assert all(len(sent_picture(request).getcolors()) == 1 for request in requests)
    assert {line["target"] for line in found[task]} == {str(row["Label"] + 1) for row in ours}
