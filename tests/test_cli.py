"""The `m4rag` command in this process: what it prints, where, and its exit code."""

from __future__ import annotations

import pytest

from m4rag_tasks import suite
from m4rag_tasks.cli import main


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
    ],
)
def test_unknown_names_are_errors_with_near_names(capsys, arguments, hint):
    code, _, err = run(capsys, *arguments)
    assert code == 1 and hint in err


def test_a_retriever_that_cannot_run_is_refused_before_anything_is_built(capsys, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("")
    code, out, err = run(capsys, "cache", "build", "m4rag_cvqa_mmrag_b3", "--corpus", str(corpus))
    assert (code, out) == (1, "")
    assert "meant for the retriever b3" in err and "by --retriever" in err


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
