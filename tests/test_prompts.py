"""Prompts: golden renders of every language, data that stays data, errors that help.

Golden files: after a deliberate change of wording, regenerate with
`M4RAG_UPDATE_GOLDEN=1 pytest tests/test_prompts.py` and read the diff.
"""

import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import edit_templates
from hypothesis import example, given
from hypothesis import strategies as st

from m4rag_tasks import prompts
from m4rag_tasks.errors import ContextError, DataError, TemplateError
from m4rag_tasks.prompts import (
    HEADER_FIELDS,
    ShownPassage,
    header,
    render,
    search_also,
    template_digest,
    template_languages,
    template_path,
    templates_dir,
    words,
)

GOLDEN = Path(__file__).parent / "golden" / "prompts"
UPDATE_GOLDEN = bool(os.environ.get("M4RAG_UPDATE_GOLDEN"))  # read here: no test sees the user's settings
LANGUAGES = template_languages()
ANSWER_FORMS = {"mcq": '{"answer": <number>}', "open_ended": '{"answer": "<answer>"}'}
PASSAGE = ShownPassage("Title", "text")


def numbered_block(prompt: str) -> list[str]:
    """The last run of lines numbered 1, 2, 3…, as a reader model would find it."""
    block: list[str] = []
    for line in reversed(prompt.splitlines()):
        if re.match(r"[0-9]+\. ", line):
            block.insert(0, line)
        elif block:
            break
    return block


def one_line(text: str) -> str:
    return re.sub(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+\s*", " ", text).strip()


# Golden renders


def golden_text(language: str) -> str:
    dish = ["Rendang", "Pempek", "Gudeg", "Rawon", "Soto"]
    passages = (
        ShownPassage("Rawon", "Rawon: Jawa Timur, kluwek.\n1. daging 2. kluwek"),
        ShownPassage(" Soto\nayam ", "Soto ayam: {{ ayam }}, kunyit."),
    )
    row = {"question": "Rawon?", "options": dish[1:]}
    shapes = {
        "norag, 4 options": render("mcq", language, question="Rawon\n (Jawa)?", options=dish[:4]),
        "2 passages, 5 options": render("mcq", language, question="1. Rawon?", options=dish, passages=passages),
        "context, 4 options": render("mcq", language, **row, context="Rawon, Jawa Timur."),
        "open-ended, norag": render("open_ended", language, **row),
        "open-ended, 2 passages": render("open_ended", language, **row, passages=passages),
        "open-ended, context": render("open_ended", language, **row, context="Rawon, Jawa Timur."),
    }
    return "".join(f"==== {name} ====\n{prompt}\n" for name, prompt in shapes.items())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_rendered_prompts_are_the_golden_ones(language: str) -> None:
    path = GOLDEN / f"{language}.txt"
    if UPDATE_GOLDEN:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(golden_text(language), encoding="utf-8")
    assert golden_text(language) == path.read_text(encoding="utf-8")


def test_each_language_has_one_golden_file_and_none_is_stale() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.txt")) == LANGUAGES


# What a file of words holds


def test_words_are_read_without_a_skeleton() -> None:
    english = words("en")
    assert len(english) == 12 and english["question_label"] == "Question:"
    assert english["open_answer_intro"].endswith("where <answer> is your answer in English:")


def test_texts_that_are_put_together_are_words_and_other_values_are_not(tmp_path: Path) -> None:
    search_also([copy(tmp_path, lambda s: s + '{% set both = question_label ~ "!" %}{% set n = 1 %}')])
    assert words("xx") == {**words("en"), "both": "Question:!"}


def test_the_header_is_read(tmp_path: Path) -> None:
    comment = (
        "{#\nlanguage: Wolof\nwritten: by A,\n   who asked B\n  and C\nregister:\nreviewed by a fluent reader: no\n#}"
    )
    search_also([copy(tmp_path, lambda s: comment + s.split("#}", 1)[1])])
    assert header("xx") == {
        "language": "Wolof",
        "written": "by A, who asked B and C",
        "register": "",
        "reviewed by a fluent reader": "no",
    }
    assert header("en").keys() == set(HEADER_FIELDS)


@pytest.mark.parametrize("comment", ["", "{##}", "{# a note #}", "{# not closed", "{#\n: x\nlanguage\n#}"])
def test_an_odd_comment_is_no_header_and_no_error(tmp_path: Path, comment: str) -> None:
    search_also([copy(tmp_path, lambda s: comment + s.split("#}", 1)[1])])
    assert header("xx") == {}


# Form


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_options_and_answer_form(language: str, count: int) -> None:
    options = [f"§{n}" for n in range(count)]
    prompt = render("mcq", language, question="7. §?", options=options)
    numbered = [f"{n}. {option}" for n, option in enumerate(options, 1)]
    assert [line for line in prompt.splitlines() if re.match(r"\s*\d+\s*\.", line)] == numbered
    assert prompt.count(ANSWER_FORMS["mcq"]) == 1 and prompt.endswith("\n" + ANSWER_FORMS["mcq"])
    instruction, answer_intro = prompt.splitlines()[-3:-1]
    assert str(count) in answer_intro and "{" not in answer_intro
    assert instruction == words(language)["instruction"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_open_ended_prompt_shows_no_options(language: str) -> None:
    prompt = render("open_ended", language, question="§?", options=["§1", "§2"])
    own = words(language)
    assert prompt == render("open_ended", language, question="§?")
    assert prompt.splitlines() == [
        f"{own['question_label']} §?",
        "",
        own["open_instruction"],
        own["open_answer_intro"],
        ANSWER_FORMS["open_ended"],
    ]


def test_passages_and_context_bring_their_own_sentences() -> None:
    own, row = words("en"), {"question": "Q", "options": ["a", "b"]}
    for kind, task, instruction in (
        ("mcq", "\nOptions:\n1. a\n2. b\n\n", "instruction"),
        ("open_ended", "\n\n", "open_instruction"),
    ):
        plain = render(kind, "en", **row)
        found = render(kind, "en", **row, passages=[ShownPassage(" T\n1 ", " x\ny\n"), PASSAGE])
        told = render(kind, "en", **row, context="\nx\ny ")
        passages = f"{own['passages_intro']}\n\n[1] T 1\nx\ny\n\n[2] Title\ntext\n\n"
        assert plain.startswith(f"Question: Q{task}{own[instruction]}\n")
        assert found.startswith(f"{passages}Question: Q{task}{own[instruction + '_with_passages']}\n")
        assert told.startswith(
            f"{own['context_intro']}\nx\ny\n\nQuestion: Q{task}{own[instruction + '_with_context']}\n"
        )


@example("{{ 7 * 7 }}{% raw %}{# x #}", ["{{ question }}", "1. a\n2. b", " \n ", "{count}"])
@example("a\r\n\u2028 b <b>&amp;", ["\x85x\x1c", "\\n", "%s {0}", "<number>"])
@given(st.text(), st.lists(st.text(), min_size=2, max_size=6))
def test_data_is_never_interpreted(question: str, options: list[str]) -> None:
    passage = ShownPassage(question, options[0])
    prompt = render("mcq", "yo", question=question, options=options, passages=[passage])
    expected = [f"{n}. {one_line(option)}" for n, option in enumerate(options, 1)]
    assert numbered_block(prompt) == expected

    marks = [f"§{n}§" for n in range(len(options))]
    frame = render("mcq", "yo", question="§q§", options=marks, passages=[ShownPassage("§t§", "§p§")])
    data = {"§q§": one_line(question), "§t§": one_line(question), "§p§": options[0].strip()}
    data |= {mark: one_line(option) for mark, option in zip(marks, options, strict=True)}
    assert prompt == re.sub("|".join(data), lambda match: data[match[0]], frame)


# Errors


def copy(folder: Path, edit: Callable[[str], str], name: str = "xx") -> Path:
    """A folder with one language file outside the repository: English, edited."""
    source = (templates_dir() / "en.jinja").read_text(encoding="utf-8")
    (folder / f"{name}.jinja").write_text(edit(source), encoding="utf-8")
    return folder


def refusal(language: object, folder: Path | None = None, kind: object = "mcq") -> str:
    search_also([folder] if folder else [])
    with pytest.raises(TemplateError) as caught:
        render(kind, language, question="Q", options=["a", "b"])
    return str(caught.value)


def line_of(folder: Path, text: str) -> int:
    lines = (folder / "xx.jinja").read_text(encoding="utf-8").splitlines()
    return next(n for n, line in enumerate(lines, 1) if text in line)


def test_a_folder_outside_the_repository_adds_to_our_templates_and_replaces_none(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace("Question:", "Frage:"))
    copy(tmp_path, lambda s: s.replace("Question:", "Ask:"), name="en")
    row, ours = {"question": "Q", "options": ["a", "b"]}, template_digest("mcq", "en")
    search_also([tmp_path])
    assert render("mcq", "xx", **row).startswith("Frage: Q\n")
    assert words("xx")["question_label"] == "Frage:" and template_path("xx") == tmp_path / "xx.jinja"
    assert render("mcq", "en", **row).startswith("Question: Q\n")
    assert template_languages() == sorted([*LANGUAGES, "xx"])
    assert template_digest("mcq", "en") == ours


def test_folders_named_before_are_forgotten(tmp_path: Path) -> None:
    row = {"question": "Q", "options": ["a", "b"]}
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, label in zip(folders, ("Ask:", "Say:"), strict=True):
        folder.mkdir()
        copy(folder, lambda s, label=label: s.replace("Question:", label))
    for named, label in ((folders, "Ask:"), (folders[::-1], "Say:"), (folders[1:], "Say:")):
        search_also(named)
        assert render("mcq", "xx", **row).startswith(f"{label} Q\n")
        assert words("xx")["question_label"] == label
    assert "no such file" in refusal("xx")


def test_folders_without_templates_are_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    search_also([tmp_path / "nowhere", tmp_path / "file", tmp_path / "folder"])
    assert template_languages() == LANGUAGES
    assert render("mcq", "en", question="Q", options=["a"]).startswith("Question: Q\n")


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\r\n \n"])
def test_marks_of_other_editors_do_not_reach_the_prompt(tmp_path: Path, start: bytes) -> None:
    data = (templates_dir() / "en.jinja").read_bytes().replace(b"\n", b"\r\n")
    (tmp_path / "xx.jinja").write_bytes(start + data)
    search_also([tmp_path])
    row = {"question": "Q", "options": ["a", "b"], "passages": [PASSAGE]}
    assert render("mcq", "xx", **row) == render("mcq", "en", **row)
    assert header("xx") == header("en")


def test_templates_are_found_in_a_wheel_and_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "m4rag_tasks"
    monkeypatch.setattr(prompts, "__file__", str(package / "prompts.py"))
    with pytest.raises(TemplateError, match="install m4rag again"):
        templates_dir.__wrapped__()
    for folder in (tmp_path / "templates", package / "templates"):  # the package's own goes first
        folder.mkdir(parents=True)
        (folder / "mcq.jinja").touch()
        assert templates_dir.__wrapped__() == folder.resolve()


def test_a_missing_language_says_where_and_what_to_do() -> None:
    message = refusal("tlh")
    assert str(templates_dir() / "tlh.jinja") in message and "no language 'tlh'" in message
    assert "start from en.jinja" in message
    assert "no prompt kind 'essay'" in refusal("en", kind="essay")


@pytest.mark.parametrize("name", ["../x", "a/b", "", "EN", "en.jinja", "x\n", "é", float("nan")])
def test_a_name_that_is_not_one_is_refused(name: object) -> None:
    assert f"{name!r} cannot name a language" in refusal(name)
    assert f"{name!r} cannot name a prompt kind" in refusal("en", kind=name)


def test_a_kind_is_not_a_language() -> None:
    assert "mcq.jinja, line 1: not a language" in refusal("mcq")
    assert "en.jinja, line 1: not a prompt kind" in refusal("es", kind="en")
    assert "prompt.jinja, line 1: not a prompt kind" in refusal("es", kind="prompt")
    assert "prompt.jinja, line 1: not a language" in refusal("prompt")


def test_a_language_file_without_skeleton_is_refused(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace("{% extends skeleton %}\n", ""))
    message = refusal("xx", tmp_path)
    assert "xx.jinja, line 1: not a language" in message and "{% extends skeleton %}" in message
    assert template_languages() == LANGUAGES


def test_a_syntax_error_says_the_line(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace("set options_label", "sett options_label"))
    line = line_of(tmp_path, "options_label")
    message = refusal("xx", tmp_path)
    assert f"{tmp_path / 'xx.jinja'}, line {line}: Encountered unknown tag 'sett'" in message
    with pytest.raises(TemplateError, match=f"line {line}: Encountered unknown tag 'sett'"):
        words("xx")


def test_a_quote_left_open_is_noticed_one_line_later(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace('"Options:"', '"Options:'))
    message = refusal("xx", tmp_path)
    assert f"xx.jinja, line {line_of(tmp_path, 'options_label') + 1}: " in message
    assert "a quote left open before it" in message


def test_a_syntax_error_in_the_skeleton_says_the_line(tmp_path: Path) -> None:
    skeleton = (templates_dir() / "mcq.jinja").read_text(encoding="utf-8")
    broken = skeleton.replace("{% endfor %}", "{% endfr %}", 1)
    (tmp_path / "mcq.jinja").write_text(broken, encoding="utf-8")
    line = broken.splitlines().index("{% endfr %}") + 1
    edit_templates(tmp_path)
    assert f"{tmp_path / 'mcq.jinja'}, line {line}: " in refusal("en")


def test_a_missing_word_is_found_before_the_row_that_needs_it(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: re.sub(r".*set instruction_with_context.*\n", "", s))
    message = refusal("xx", tmp_path)
    assert "'instruction_with_context' is undefined" in message
    skeleton = (templates_dir() / "mcq.jinja").read_text(encoding="utf-8").splitlines()
    line = skeleton.index("{{ instruction_with_context }}") + 1
    assert f"{templates_dir() / 'mcq.jinja'}, line {line}: " in message
    assert str(tmp_path / "xx.jinja") in message


@pytest.mark.parametrize(
    ("kind", "other", "word"),
    [("mcq", "open_ended", "options_label"), ("open_ended", "mcq", "open_instruction_with_context")],
)
def test_a_word_that_one_kind_needs_is_missed_by_that_kind_only(
    tmp_path: Path, kind: str, other: str, word: str
) -> None:
    copy(tmp_path, lambda s: re.sub(rf".*set {word} .*\n", "", s))
    message = refusal("xx", tmp_path, kind)
    assert f"{kind}.jinja, line " in message and f"'{word}' is undefined" in message
    assert render(other, "xx", question="Q", options=["a"]).endswith(ANSWER_FORMS[other])


def test_an_undefined_variable_in_a_language_file_says_the_line(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s.replace('"Question:"', "qestion ~ 1"))
    line = line_of(tmp_path, "qestion")
    message = refusal("xx", tmp_path)
    assert f"{tmp_path / 'xx.jinja'}, line {line}: 'qestion' is undefined" in message
    with pytest.raises(TemplateError, match=f"line {line}: 'qestion' is undefined"):
        words("xx")


def test_a_file_that_is_not_utf8_says_the_line(tmp_path: Path) -> None:
    copy(tmp_path, lambda s: s)
    data = (tmp_path / "xx.jinja").read_bytes().replace(b"Options:", "Möglich:".encode("latin-1"))
    (tmp_path / "xx.jinja").write_bytes(data)
    line = data[: data.index(b"M\xf6")].count(b"\n") + 1
    assert f"{tmp_path / 'xx.jinja'}, line {line}: not UTF-8" in refusal("xx", tmp_path)
    with pytest.raises(TemplateError, match="not UTF-8"):
        template_digest("mcq", "xx")


def test_an_unreadable_file_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.parent == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    copy(tmp_path, lambda s: s)
    monkeypatch.setattr(Path, "read_bytes", denied)
    message = refusal("xx", tmp_path)
    assert f"{tmp_path / 'xx.jinja'}: cannot be read" in message and "Permission denied" in message


def test_rows_that_cannot_be_asked() -> None:
    row = {"question": "Which dish?", "options": ["a", "b"]}
    with pytest.raises(ValueError, match="never both"):
        render("mcq", "en", **row, passages=[PASSAGE], context="x")
    with pytest.raises(ContextError, match="'Which dish\\?' is empty"):
        render("mcq", "en", **row, context=" \n")
    with pytest.raises(DataError, match="'Which dish\\?' has no options"):
        render("mcq", "en", question="Which dish?", options=[])


# Digest and cost


@pytest.mark.parametrize("kind", ["mcq", "open_ended"])
def test_the_digest_covers_skeleton_and_words(kind: str) -> None:
    data = b"".join((templates_dir() / f"{name}.jinja").read_bytes() for name in ("prompt", kind, "sc"))
    assert template_digest(kind, "sc") == hashlib.sha256(data).hexdigest()
    assert len({template_digest(kind, language) for language in LANGUAGES}) == len(LANGUAGES)


@pytest.mark.parametrize("name", ["prompt", "mcq", "xx"])
def test_every_file_that_is_rendered_changes_the_digest(tmp_path: Path, name: str) -> None:
    copy(tmp_path, lambda s: s)
    edit_templates(tmp_path)
    before = template_digest("mcq", "xx")
    own = tmp_path / f"{name}.jinja"
    own.write_bytes(own.read_bytes() + b"\n")
    search_also([])
    assert template_digest("mcq", "xx") != before


def test_files_are_read_once_per_process(tmp_path: Path) -> None:
    search_also([copy(tmp_path, lambda s: s)])
    row = {"question": "Q", "options": ["a", "b"]}
    before, digest = render("mcq", "xx", **row), template_digest("mcq", "xx")
    (tmp_path / "xx.jinja").unlink()
    assert render("mcq", "xx", **row) == before
    assert template_digest("mcq", "xx") == digest
