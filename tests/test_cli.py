"""The `m4rag` command in this process: what it prints, where, and its exit code."""

from __future__ import annotations

import pytest
from fixtures import cvqa_copy

from m4rag_tasks import plugin, suite
from m4rag_tasks.cli import main
from m4rag_tasks.cli_cache.choose import resolve_all


def run(capsys, *arguments):
    """Exit code, standard output and standard error of one command."""
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_tasks_are_listed_by_axes(capsys):
    code, out, _ = run(capsys, "tasks", "--dataset", "cvqa", "--setting", "mmrag", "--language", "es")
    assert code == 0
    assert len(out.splitlines()) == 3 * 7  # plain, asked in English, with an English prompt
    assert "m4rag_cvqa_mmrag_en_es_chile" in out and "Spanish (Chile) (asked in English)" in out
    _, plain, _ = run(capsys, "tasks", "--dataset", "cvqa", "--setting", "mmrag", "--language", "es", "--variant", "")
    assert len(plain.splitlines()) == 7


def test_groups_are_those_that_hold_nothing_else(capsys):
    _, out, _ = run(capsys, "tasks", "--dataset", "wc", "--setting", "oracle", "--groups")
    names = out.split()
    assert {"m4rag_wc_oracle", "m4rag_wc_oracle_jv", "m4rag_wc_oracle_oe_low_resource"} <= set(names)
    assert "m4rag_wc" not in names
    assert all(suite.resolve(name) for name in names)


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["tasks", "--variant", "open"], "no variant 'open'"),
        (["tasks", "--language", "es_chil"], "Did you mean es_chile"),
        (["preflight", "m4rag_cvqa_mmrag_sunda"], "Did you mean m4rag_cvqa_mmrag_su"),
        (["cache", "build", "m4rag_wc_norag"], "Nothing to build"),
        (["check-language", "tlh"], "There is no language 'tlh'"),
        (["check-language", "en", "--include_path", "/nope"], "names /nope, which is not a folder"),
        (["preflight", "m4rag_minni_*"], "No task or group fits 'm4rag_minni_*'"),
        (["cache", "build", "--dataset", "mini", "--setting", "mmrag_b3"], "mini has no setting 'mmrag_b3'"),
        (["cache", "build", "--dataset", "mini", "--setting", "norag"], "Nothing to build"),
    ],
)
def test_unknown_names_are_errors_with_near_names(capsys, arguments, hint):
    code, _, err = run(capsys, *arguments)
    assert code == 1 and hint in err


def test_a_retriever_whose_weights_are_missing_is_refused_before_anything_is_built(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    code, out, err = run(capsys, "cache", "build", "--dataset", "mini", "--setting", "mmrag", "--retriever", "b3")
    assert (code, out) == (1, "") and not list(tmp_path.iterdir())
    assert "raghavlite/B3_Qwen2_7B" in err and "hf download" in err


def test_a_template_is_checked_by_code(capsys):
    code, out, _ = run(capsys, "check-language", "es_chile", "su_loma")
    assert (code, out) == (0, "es_chile: ok\nsu_loma: ok\n2 of 2 varieties pass.\n")


def test_a_template_outside_is_checked_too_and_its_faults_are_named(capsys, tmp_path):
    (tmp_path / "xx.jinja").write_text(
        '{% extends skeleton %}\n{% set question_label = "Question:" %}\n', encoding="utf-8"
    )
    code, out, _ = run(capsys, "check-language", "xx", "--include_path", str(tmp_path))
    assert code == 1
    assert "xx.jinja" in out and "options_label" in out and out.endswith("0 of 1 varieties pass.\n")


def test_the_cache_that_tasks_read_is_marked(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    setting = ["cache", "build", "--dataset", "mini", "--setting", "textrag_caption_bm25"]
    for more in ([], ["--retriever", "pixel"]):
        assert run(capsys, *setting, *more)[0] == 0
    code, out, _ = run(capsys, "cache", "info")
    marks = {line.split("retriever ")[1].split()[0]: line[0] for line in out.splitlines() if "retriever " in line}
    assert (code, marks) == (0, {"bm25": " ", "pixel": "*"})


# --- preflight and cache, by name and pattern ---------------------------------


def test_preflight_says_each_problem_once(capsys):
    code, out, _ = run(capsys, "preflight", "m4rag_mini_mmrag_*", "m4rag_mini_norag_en")
    tasks = suite.select("mini", "mmrag")
    problem, summary = out.splitlines()
    assert code == 1
    assert f"{tasks[0].name} and {len(tasks) - 1} more: " in problem and "--setting mmrag" in problem
    assert summary == f"1 of {len(tasks) + 1} tasks are ready."


def test_patterns_are_those_of_the_harness():
    from lmms_eval.utils import pattern_match

    known = [*suite.all_tasks(), *suite.groups(), *map(suite.tag, suite.groups())]
    for pattern in (
        "m4rag_mini_judge_*",
        "m4rag_mini_make_*_am",
        "m4rag_wc_norag_[ab]?",
        "m4rag_cvqa_textrag_*_bm25",
        "m4rag_mini_norag",
    ):
        theirs = {task.name for name in pattern_match(pattern, known) for task in suite.resolve(name)}
        assert {task.name for task in resolve_all([pattern])} == theirs
    assert len(resolve_all(["m4rag_mini_norag_e[n],m4rag_mini_norag_en"])) == 1


def test_a_pattern_means_settings_unless_it_says_make_or_judge():
    from lmms_eval.tasks import TaskManager

    for task in suite.all_tasks().values():
        answered = suite.matching(f"m4rag_*_{task.language.code}", [task.name])
        assert answered == ([task.name] if task.setting.work == "answer" else [])
    assert {task.setting.work for task in resolve_all(["m4rag_mini_*"])} == {"answer"}
    assert {task.setting.work for task in resolve_all(["m4rag_mini_judge_*_am"])} == {"judge"}
    assert suite.matching("*", ["mmmu_judge_val"]) == ["mmmu_judge_val"]
    plugin.register()
    manager = TaskManager.__new__(TaskManager)
    manager._all_tasks, manager.model_name = ["m4rag_mini_make_caption_am", "mmmu_make_val"], None
    assert manager.match_tasks(["m*"]) == ["mmmu_make_val"]


@pytest.fixture
def cvqa(shared_data, tmp_path, monkeypatch):
    """A small copy of CVQA with its contexts and corpus, and an empty cache; returns the copy's own folder."""
    cvqa_copy(tmp_path / "data", shared_data)
    monkeypatch.setenv("M4RAG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data" / "cvqa"


def test_settings_that_cannot_be_built_are_named_first_and_the_rest_is_built(capsys, cvqa):
    (cvqa / "contexts" / "caption.jsonl").unlink()
    code, out, err = run(capsys, "cache", "build", "m4rag_cvqa_textrag_*_bm25")
    assert code == 1
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "cvqa textrag_oracle_bm25",
        "cvqa textrag_question_bm25",
    ]
    refused = err.index("m4rag: cvqa textrag_caption_bm25: There is no context set")
    assert "caption.jsonl" in err and refused < err.index("passages: cutting")


def test_a_context_that_is_missing_for_one_question_does_not_keep_the_rest_from_being_built(capsys, cvqa):
    path = cvqa / "contexts" / "caption.jsonl"
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    code, out, err = run(capsys, "cache", "build", "m4rag_cvqa_textrag_caption_bm25,m4rag_cvqa_textrag_question_bm25")
    assert code == 1 and "cvqa textrag_question_bm25: " in out and "has no caption context" in err


def test_a_corpus_that_tasks_would_not_read_is_refused_before_anything_is_built(capsys, cvqa, tmp_path):
    build = ("cache", "build", "m4rag_cvqa_textrag_question_bm25", "--corpus")
    own = cvqa / "corpus.jsonl"
    same, other = tmp_path / "same.jsonl", tmp_path / "other.jsonl"
    same.write_bytes(own.read_bytes())
    other.write_text("".join(own.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    code, out, err = run(capsys, *build, str(other))
    assert (code, out) == (1, "")
    assert str(own) in err and str(other) in err and "Leave --corpus out" in err
    assert not (tmp_path / "cache" / "hits").exists()
    assert run(capsys, *build, str(same))[0] == 0
    own.unlink()
    assert run(capsys, *build, str(other))[0] == 0


def test_broken_lines_of_a_corpus_are_left_out_where_that_is_asked_for(capsys, cvqa):
    build = ("cache", "build", "m4rag_cvqa_textrag_question_bm25")
    with (cvqa / "corpus.jsonl").open("a", encoding="utf-8") as corpus:
        corpus.write("no article\n")
    code, _, err = run(capsys, *build)
    assert code == 1 and "corpus.jsonl:" in err and "not JSON" in err
    code, _, err = run(capsys, *build, "--max-broken", "20%")
    assert code == 0 and "m4rag: left out: " not in err and "left out: " in err
    assert "1 broken lines left out" in run(capsys, "cache", "info")[1]
    for limit in ("-1", "100%", "some", "1.5"):
        with pytest.raises(SystemExit):
            run(capsys, *build, "--max-broken", limit)


def test_a_folder_of_shards_may_lie_where_the_corpus_does(capsys, cvqa):
    build = ("cache", "build", "m4rag_cvqa_textrag_question_bm25")
    assert run(capsys, *build)[0] == 0
    (cvqa / "corpus").mkdir()
    (cvqa / "corpus.jsonl").rename(cvqa / "corpus" / "part-0.jsonl")
    code, out, err = run(capsys, *build)
    assert code == 0 and "cutting" not in err  # the same bytes, hence the same passages
    assert run(capsys, *build, "--corpus", str(cvqa / "corpus"))[1] == out


def test_another_k_is_built_and_said_not_to_be_read(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    build = ("cache", "build", "--dataset", "mini", "--setting", "textrag_question_bm25")
    code, _, err = run(capsys, *build, "--k", "3")
    assert code == 0 and "tasks read k = 5 only" in err
    assert "tasks read k" not in run(capsys, *build)[2]


MINI = ("--dataset", "mini", "--setting", "textrag_question_bm25")


def test_shards_are_built_shown_and_merged(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("retrieval_cache.retrievers.Bm25Retriever.query_block", 256)
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "one"))
    code, out, _ = run(capsys, "cache", "build", *MINI, "--shard", "2/2")
    assert code == 0 and "shard 2/2 done, " in out and "m4rag cache merge" in out
    assert "searches are done; not finished" in run(capsys, "cache", "info")[1]
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path / "two"))
    code, _, err = run(capsys, "cache", "merge", *MINI, "--from", str(tmp_path / "one"))
    assert code == 1 and "were not searched: searches 1–256 of" in err
    assert run(capsys, "cache", "build", *MINI, "--shard", "1/2")[0] == 0
    code, out, _ = run(capsys, "cache", "merge", *MINI)
    assert code == 0 and "540 queries, key " in out
    assert "1 complete caches" in run(capsys, "cache", "info")[1]


def test_passages_of_another_length_are_built_and_read(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    for more in ([], ["--max-tokens", "64", "--overlap", "8"]):
        assert run(capsys, "cache", "build", *MINI, *more)[0] == 0
    read = [line for line in run(capsys, "cache", "info")[1].splitlines() if line.startswith("*")]
    assert len(read) == 2 and "64 tokens" in read[0]  # the second line explains the star


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["build", *MINI, "--shard", "3/2"], "there is no shard 3 of 2"),
        (["build", *MINI, "--shard", "half"], "write it as 2/8"),
        (["build", *MINI, "--max-tokens", "8"], "give at least 16"),
        (["build", *MINI, "--overlap", "256"], "less than max_tokens"),
        (["merge", *MINI, "--from", "/nowhere"], "no cache folder /nowhere"),
        (["merge", "--dataset", "mini", "--setting", "norag"], "Nothing to build"),
    ],
)
def test_wrong_arguments_of_build_and_merge(capsys, tmp_path, monkeypatch, arguments, hint):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    code, out, err = run(capsys, "cache", *arguments)
    assert (code, out) == (1, "") and hint in err


def test_info_needs_no_data(capsys, cvqa, monkeypatch):
    assert run(capsys, "cache", "build", "m4rag_cvqa_textrag_question_bm25")[0] == 0
    monkeypatch.setenv("M4RAG_DATA", "/nowhere")
    code, out, err = run(capsys, "cache", "info")
    assert code == 0 and out.startswith("  cvqa textrag_question_bm25") and "1 complete caches" in out
    assert "no cache of cvqa is marked" in err and "M4RAG_DATA names /nowhere" in err


@pytest.mark.parametrize(
    "arguments, says",
    [
        (("--dense", "pixel"), "--dense names a component of the retriever hybrid; this is bm25"),
        (("--index", "ivf"), "'bm25' has no parameter index"),
        (("--model", "nobody/nothing"), "nobody/nothing is neither on this machine"),
        (("--model", "/nowhere/model"), "/nowhere/model is not there: --model is a folder"),
        (("--retriever", "hybrid", "--dense", "nothing"), "unknown retriever 'nothing'"),
        (("--retriever", "e5_small", "--revision", "main"), "--revision is that of a --model"),
        (("--retriever", "e5_small", "--model", "."), "holds no weights"),
    ],
)
def test_retrievers_that_cannot_be_chosen_are_told_apart(capsys, tmp_path, monkeypatch, arguments, says):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, _, err = run(capsys, "cache", "build", *MINI, *arguments)
    assert code == 1 and says in err
    assert not list(tmp_path.glob("indexes/*"))


def test_a_chosen_kind_of_index_is_told_and_its_recall_shown(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("M4RAG_CACHE", str(tmp_path))
    code, _, err = run(capsys, "cache", "build", *MINI, "--retriever", "pixel", "--index", "ivf", "--estimate")
    assert code == 0 and not list(tmp_path.glob("indexes/*"))
    code, _, err = run(capsys, "cache", "build", *MINI, "--retriever", "pixel", "--index", "ivf")
    assert code == 0 and "SQ8 codes in" in err
    out = run(capsys, "cache", "info")[1]
    assert out.startswith("* mini") and "recall_at_5 " in out and "recall_queries " in out
