"""Mistakes in languages.toml are named by row and field; varieties from outside never harm ours."""

from __future__ import annotations

import logging

import pytest

from m4rag_tasks import languages, outside, prompts, suite, toml_file
from m4rag_tasks.cli import main
from m4rag_tasks.errors import GridError
from m4rag_tasks.plugin import register

GOOD = {"code": "wo", "name": "Wolof", "script": "Latn", "resource": "low", "datasets": {"wc": "wo"}}


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Replaces languages.toml until the test ends; returns a writer of its text."""
    path = tmp_path / "languages.toml"
    monkeypatch.setattr(languages, "LANGUAGES_FILE", path)

    def forget():
        for cached in (suite.languages, suite.own_codes, suite.all_tasks, suite.groups):
            cached.cache_clear()

    def write(*found):
        text = ""
        for row in found:
            values = {name: value for name, value in {**GOOD, **row}.items() if value is not None}
            text += "[[language]]\n" + "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())
        path.write_text(text, encoding="utf-8")
        forget()

    yield write
    forget()


def _toml(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f'{key} = "{name}"' for key, name in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.fixture(autouse=True)
def forgotten():
    yield
    for cached in (suite.languages, suite.own_codes, suite.all_tasks, suite.groups):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([{"colour": "red"}], r"row 1 \(wo\): there is no field colour; the fields are code, name"),
        ([{"name": None}], r"row 1 \(wo\): the field name is missing"),
        ([{"code": None}], r"row 1 \(without a code\): the field code is missing"),
        ([{"datasets": {}}], "the field datasets is missing"),
        ([{"datasets": "wc"}], "datasets is 'wc'; see the head of the file"),
        ([{"name": 3}], "name is 3; see the head"),
        ([{"code": "Wo"}], "code is 'Wo'; small letters"),
        ([{"code": "../wo"}], "small letters"),
        ([{"template": "../../x"}], "template is '../../x'"),
        ([{"resource": "lowest"}], "resource is 'lowest'; it is one of high, mid, low"),
        ([{"datasets": {"wcc": "wo"}}], "datasets has wcc; its keys are cvqa, mini, wc"),
        ([{}, {"datasets": {"mini": "wo"}}], r"row 2 \(wo\): there is another row with this code"),
        ([{}, {"code": "wo_x"}], r"row 2 \(wo_x\): wc = wo is said of wo too"),
    ],
)
def test_a_faulty_row_is_named_with_its_fault(rows, capsys, found, problem):
    rows(*found)
    with pytest.raises(GridError, match=problem):
        suite.languages()
    assert main(["tasks"]) == 1
    assert "languages.toml, row" in capsys.readouterr().err


def test_a_file_that_is_no_toml_is_named_with_its_line(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("[[language]]\ncode = wo\n")
    with pytest.raises(GridError, match=r"x\.toml cannot be read: .*line 2"):
        toml_file.read_toml(path)


def test_a_faulty_file_leaves_the_harness_its_own_tasks(rows, caplog):
    from lmms_eval.tasks import TaskManager

    register()
    rows({"colour": "red"})
    with caplog.at_level(logging.WARNING):
        manager = TaskManager("ERROR")
    assert "m4rag tasks are not available: languages.toml, row 1" in caplog.text
    assert manager.match_tasks(["mme"]) == ["mme"]


def test_a_language_called_like_a_variant_has_no_group_of_its_own(rows):
    english = {"code": "en_nigeria", "language": "en", "country": "Nigeria", "datasets": {"cvqa": "English/Nigeria"}}
    rows({"datasets": {"cvqa": "Wolof/Senegal"}}, english)
    assert suite.groups()["m4rag_cvqa_norag_en"] == ("m4rag_cvqa_norag_en_wo", "m4rag_cvqa_norag_en_en_nigeria")


def test_two_tasks_of_one_name_are_refused(rows):
    rows(
        {"code": "wo", "datasets": {"cvqa": "Wolof/Senegal"}},
        {"code": "en_wo", "datasets": {"cvqa": "Wolof/Gambia"}},
    )
    with pytest.raises(GridError, match="Two tasks would be called m4rag_cvqa_norag_en_wo"):
        suite.all_tasks()


def write_template(folder, name, text=None):
    english = (prompts.templates_dir() / "en.jinja").read_text(encoding="utf-8")
    (folder / f"{name}.jinja").write_text(text if text is not None else english, encoding="utf-8")


def test_a_template_from_outside_becomes_a_variety_described_by_its_header(tmp_path):
    write_template(tmp_path, "wo")
    outside.use_folders([tmp_path, tmp_path / "nowhere"])
    found = suite.language("wo")
    assert (found.name, found.script, found.template) == ("English", "Latn", "wo")
    outside.use_folders([])
    assert "wo" not in {variety.code for variety in languages.outside_languages()}


@pytest.mark.parametrize("text", ["{% set x = 'a' + 5 %}{% extends skeleton %}", "{% if", "", "{{ 1 / 0 }}"])
def test_other_files_in_the_folder_harm_nobody(tmp_path, text):
    write_template(tmp_path, "wo")
    write_template(tmp_path, "strange", text)
    (tmp_path / "bytes.jinja").write_bytes(b"\xff\xfe")
    outside.use_folders([tmp_path])
    assert [variety.code for variety in languages.outside_languages()] == ["wo"]


def test_our_own_templates_are_not_replaced(tmp_path, caplog):
    ours = prompts.template_digest("mcq", "sw")
    write_template(tmp_path, "sw")
    with caplog.at_level(logging.WARNING):
        outside.use_folders([tmp_path])
    assert prompts.template_digest("mcq", "sw") == ours
    assert "sw.jinja is not used: this suite has a template of that name" in caplog.text
