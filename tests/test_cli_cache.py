"""`m4rag cache` verbs that look at caches and move them, on the mini benchmark."""

from __future__ import annotations

import json

import pytest

from m4rag_tasks import datasets, retrieval, suite
from m4rag_tasks.cli import main

SETTING = ("--dataset", "mini", "--setting", "textrag_question_bm25")


def run(capsys, *arguments):
    """Exit code, standard output and standard error of `m4rag cache …`."""
    code = main(["cache", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A cache folder with one setting of the mini benchmark."""
    root = tmp_path_factory.mktemp("built")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M4RAG_CACHE", str(root))
        assert main(["cache", "build", *SETTING]) == 0
    return root


@pytest.fixture
def here(built, monkeypatch):
    """Use the built cache."""
    monkeypatch.setenv("M4RAG_CACHE", str(built))
    return built


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Use an empty cache folder from when it is called."""

    def use():
        monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "elsewhere"))
        return tmp_path / "elsewhere"

    return use


def test_verify_searches_a_sample_again(capsys, here):
    code, out, _ = run(capsys, "verify")
    assert code == 0 and ": ok, 20 queries searched again" in out and "1 of 1 caches" in out
    assert ": ok\n" in run(capsys, "verify", "m4rag_mini_textrag_question_bm25", "--sample", "0")[1]


def test_verify_without_index_says_that_nothing_was_searched(capsys, here, elsewhere, tmp_path):
    assert run(capsys, "push", tmp_path / "remote")[0] == 0
    elsewhere()
    assert run(capsys, "pull", tmp_path / "remote")[0] == 0
    code, out, _ = run(capsys, "verify")
    assert code == 0 and "ok, not searched again: the index " in out and "is not here" in out


def test_damage_is_named_and_the_exit_code_says_so(capsys, here, elsewhere, tmp_path):
    run(capsys, "export", "--output", tmp_path / "elsewhere")
    elsewhere()
    path = next((tmp_path / "elsewhere").rglob("passages.arrow"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    code, out, _ = run(capsys, "verify")
    assert code == 1 and "passages.arrow was changed" in out and "0 of 1 caches" in out


def test_an_export_is_read_by_tasks(capsys, here, elsewhere, tmp_path):
    dataset, setting = suite.DATASETS["mini"], suite.SETTINGS["textrag_question_bm25"]
    asked = [retrieval.query(dataset, setting, row) for row in datasets.all_rows(dataset)][::20]
    whole = retrieval.open_cache("mini", setting.name)
    root = tmp_path / "elsewhere"
    code, out, _ = run(capsys, "export", *SETTING, "--output", root)
    elsewhere()
    assert code == 0 and f"M4RAG_CACHE={root} lmms-eval" in out
    exported = retrieval.open_cache("mini", setting.name)
    assert exported.folder.is_relative_to(root) and exported.key == whole.key
    assert [exported.hits(query) for query in asked] == [whole.hits(query) for query in asked]
    code, out, _ = run(capsys, "info")
    assert code == 0 and out.startswith("* mini textrag_question_bm25") and "export: " in out
    assert "ok, not searched again: an export has no index" in run(capsys, "verify")[1]


def test_of_a_data_set_what_is_built_is_exported_and_the_rest_is_named(capsys, here, tmp_path):
    code, out, err = run(capsys, "export", "--dataset", "mini", "--output", tmp_path / "out")
    assert code == 0 and "mini textrag_question_bm25: " in out and out.count(" passages, ") == 1
    left_out = [line for line in err.splitlines() if "left out: " in line]
    searching = [name for name in suite.DATASETS["mini"].settings[""] if suite.SETTINGS[name].retriever]
    assert len(left_out) == len(searching) - 1
    assert any("m4rag cache build --dataset mini --setting mmrag" in line for line in left_out)


def test_a_trec_run(capsys, here, tmp_path):
    path = tmp_path / "run.trec"
    assert run(capsys, "export", "--trec", path) == (0, f"{path}: 2700 lines\n", "")
    assert len(path.read_text().splitlines()) == 2700


def test_push_and_pull(capsys, here, elsewhere, tmp_path):
    code, out, _ = run(capsys, "push", tmp_path / "remote", "--with-index")
    assert code == 0 and "1 of 1 caches were sent" in out
    assert "0 of 1 caches were sent" in run(capsys, "push", tmp_path / "remote")[1]
    root = elsewhere()
    code, out, _ = run(capsys, "pull", tmp_path / "remote", *SETTING, "--with-index")
    assert code == 0 and "540 queries" in out and f"1 caches are in {root}." in out
    assert retrieval.open_cache("mini", "textrag_question_bm25").folder.is_relative_to(root)
    assert "20 queries searched again" in run(capsys, "verify")[1]


def test_evaluation_by_answers_and_by_qrels(capsys, here, tmp_path):
    code, out, err = run(capsys, "evaluate", *SETTING, "--json", tmp_path / "scores.json")
    lines = out.splitlines()
    assert (code, err) == (0, "") and lines[0].startswith("mini textrag_question_bm25, bm25, key ")
    assert lines[1].split() == ["language", "questions", "Answer@1", "Answer@5"]
    assert [line.split()[0] for line in lines[-3:-1]] == ["macro", "micro"]
    (found,) = json.loads((tmp_path / "scores.json").read_text())
    assert 0.1 < found["micro"]["Answer@1"]["value"] <= found["micro"]["Answer@5"]["value"] <= 1
    assert found["micro"]["Answer@5"]["queries"] == 540 and len(found["languages"]) == len(lines) - 5

    cache = retrieval.open_cache("mini", "textrag_question_bm25")
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("".join(f"{q} 0 {cache.ranking(q)[1].passage_id} 1\n" for q in cache.query_ids()))
    code, out, err = run(capsys, "evaluate", *SETTING, "--qrels", qrels)
    assert code == 0 and "holds 5 passages per question" in err
    micro = dict(zip(out.splitlines()[1].split()[2:], out.splitlines()[-2].split()[2:], strict=True))
    assert (micro["nDCG@10"], micro["R@5"], micro["RR@10"]) == ("0.6309", "1.0000", "0.5000")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["evaluate", "--qrels", "/nowhere.tsv"], "the qrels /nowhere.tsv cannot be read"),
        (["push", "hf://us/caches"], "is not an address of caches"),
        (["push", "/dev/null"], "is not a folder"),
        (["pull", "/nowhere"], "is not a folder"),
        (["pull", "hf://datasets/us/caches"], "HF_HUB_OFFLINE is set"),
        (["verify", "m4rag_mini_textrag_question_bm26"], "m4rag_mini_textrag_question_bm25"),
        (["verify", "--setting", "mmrag"], "--dataset"),
        (["export", "m4rag_mini_mmrag", "--output", "/tmp/x"], "m4rag cache build"),
        (["export", "m4rag_mini_norag", "--output", "/tmp/x"], "search no corpus"),
    ],
)
def test_what_cannot_be_done_is_said(capsys, here, monkeypatch, arguments, hint):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "") and hint in err


@pytest.mark.parametrize("verb", [["export", "--output", "x"], ["push", "/tmp"]])
def test_an_empty_cache_folder(capsys, elsewhere, verb):
    elsewhere()
    code, out, err = run(capsys, *verb)
    assert (code, out) == (1, "") and "There is no finished cache in" in err


@pytest.mark.parametrize(
    "arguments", [["export"], ["export", "--output", "a", "--trec", "b"], ["verify", "--sample", "-1"]]
)
def test_misuse_is_exit_code_2(here, arguments):
    with pytest.raises(SystemExit) as caught:
        main(["cache", *arguments])
    assert caught.value.code == 2
